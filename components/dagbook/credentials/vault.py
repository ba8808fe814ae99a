"""Takes a credential out of a KV store, version 2, of HashiCorp Vault or OpenBao."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import hvac
import requests
from hvac import exceptions

from dagbook.credentials.private_file import find_path, read_private_text
from dagbook.credentials.provider import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    Fetched,
    Lookup,
    ProviderDown,
)
from dagbook.errors import DagbookError

MOUNT = "secret"
#: Where Kubernetes mounts the token of a pod's service account; it is readable for all in the pod.
SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount/token"


def fetch(lookup: Lookup) -> Fetched:
    """Log in as the deployment, and read one version of a secret."""
    address = lookup.settings.get("address") or lookup.environment.get("VAULT_ADDR")
    if not address:
        raise DagbookError(
            "vault: no address is known: write `address` below `providers.vault`, or set "
            "VAULT_ADDR where Dagster starts"
        )
    shown = urlsplit(address).netloc.rpartition("@")[2]
    session = requests.Session()
    session.hooks["response"].append(_refuse_redirect)
    ca_file = lookup.settings.get("ca_file") or lookup.environment.get("VAULT_CACERT")
    client = hvac.Client(
        url=address,
        # Not None: hvac would look for a token of its own.
        token="",
        verify=str(find_path(ca_file, lookup)) if ca_file else True,
        timeout=(CONNECT_SECONDS, ANSWER_SECONDS),
        allow_redirects=False,
        session=session,
        namespace=lookup.told("namespace") or lookup.environment.get("VAULT_NAMESPACE"),
    )
    try:
        logged_in = _log_in(client, lookup)
        try:
            return _read(client, lookup)
        finally:
            if logged_in:
                _log_out(client)
    except exceptions.VaultDown:
        raise ProviderDown(f"vault: {shown} is sealed or on standby") from None
    except (
        exceptions.InternalServerError,
        exceptions.BadGateway,
        exceptions.RateLimitExceeded,
        exceptions.VaultNotInitialized,
    ) as error:
        raise ProviderDown(
            f"vault: {shown} is busy or out of order ({type(error).__name__})"
        ) from None
    except exceptions.VaultError as error:
        raise DagbookError(
            f"vault: {shown} does not give `{lookup.key}` ({type(error).__name__})"
        ) from None
    except requests.exceptions.SSLError:
        raise DagbookError(
            f"vault: the certificate of {shown} is not trusted: see `ca_file` and `address`"
        ) from None
    except requests.exceptions.RequestException as error:
        raise ProviderDown(
            f"vault: {shown} does not answer ({type(error).__name__}): check `address`, the "
            "network of the deployment and its proxy"
        ) from None
    finally:
        session.close()


def _read(client: Any, lookup: Lookup) -> Fetched:
    mount = lookup.options.get("mount", MOUNT)
    version = lookup.options.get("version")
    try:
        answer = client.secrets.kv.v2.read_secret_version(
            path=lookup.key,
            mount_point=mount,
            version=None if version is None else int(version),
            raise_on_deleted_version=True,
        )
    except exceptions.InvalidPath:
        which = "" if version is None else f" in version {version}"
        raise DagbookError(
            f"vault has no secret `{lookup.key}` below `{mount}`{which}: mend `key` or `mount`. A "
            "store of version 1 is not read"
        ) from None
    except exceptions.Forbidden:
        raise DagbookError(
            f"vault: the deployment is not permitted to read `{lookup.key}`: its policy needs "
            f"`read` on {mount}/data/{lookup.key}, or its token has ended"
        ) from None
    fields = answer
    for part in ("data", "data"):
        fields = fields.get(part) if isinstance(fields, dict) else None
    if not isinstance(fields, dict):
        raise DagbookError(f"vault: what answers for `{lookup.key}` is no KV store of version 2")
    return Fetched(fields)


def _log_in(client: Any, lookup: Lookup) -> bool:
    """Give the client a token; True when it was made for this one look-up."""
    settings = lookup.settings
    auth = settings.get("auth", "token")
    if auth == "token":
        client.token = _own(lookup, "token_variable", "VAULT_TOKEN", "token_file")
        return False
    mount = settings.get("auth_mount", auth)
    try:
        if auth == "approle":
            secret_id = _own(lookup, "secret_id_variable", "VAULT_SECRET_ID", "secret_id_file")
            role_id = _needed(settings.get("role_id"), "role_id", auth)
            client.auth.approle.login(role_id=role_id, secret_id=secret_id, mount_point=mount)
        else:
            jwt = read_private_text(
                find_path(settings.get("jwt_file", SERVICE_ACCOUNT), lookup), {"shared": "yes"}
            )
            role = _needed(settings.get("role"), "role", auth)
            client.auth.kubernetes.login(role=role, jwt=jwt.strip(), mount_point=mount)
    except (
        exceptions.InvalidRequest,
        exceptions.Forbidden,
        exceptions.Unauthorized,
        exceptions.InvalidPath,
    ) as error:
        raise DagbookError(
            f"vault does not let the deployment log in by {auth} ({type(error).__name__}): see "
            "`providers.vault`"
        ) from None
    except (KeyError, TypeError):
        raise DagbookError(f"vault: what answers at `address` gave no token by {auth}") from None
    return True


def _log_out(client: Any) -> None:
    try:
        client.auth.token.revoke_self()
    except Exception:
        # It ends by itself, only later.
        pass


def _own(lookup: Lookup, variable_setting: str, default: str, file_setting: str) -> str:
    """Something of the deployment's own, out of a file or a variable."""
    file = lookup.settings.get(file_setting)
    if file is not None:
        return read_private_text(Path(find_path(file, lookup))).strip()
    variable = lookup.settings.get(variable_setting, default)
    found = lookup.environment.get(variable)
    if not found:
        raise DagbookError(
            f"vault: the deployment has no {variable}: set it where Dagster starts, or write "
            f"`{file_setting}` below `providers.vault`"
        )
    return found.strip()


def _needed(value: str | None, name: str, auth: str) -> str:
    if value is None:
        raise DagbookError(f"vault: `auth: {auth}` needs `{name}` below `providers.vault`")
    return value


def _refuse_redirect(response: Any, **_: Any) -> None:
    # The token would go along; requests takes only `Authorization` away.
    if response.is_redirect:
        raise DagbookError(
            "vault: it answers with a redirection, which is not followed: give the address of the "
            "active node or of a load balancer as `address`"
        )
