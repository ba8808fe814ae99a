"""What a platform file may say to each provider of credentials: the one table of them.

Nothing of a provider is imported for it: a file is checked where no provider could run.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

#: Where companies register providers of their own: ``name = "package.module:fetch"``.
ENTRY_POINT_GROUP = "dagbook.credential_providers"

_WHOLE_NUMBER = r"[1-9][0-9]{0,8}"
_NUMBER_FORM = "write a whole number above 0"
_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"
_VARIABLE_FORM = "write the name of one environment variable"
_ADDRESS = r"https?://[^\s/?#@\\]+(?:/[^\s?#@\\]*)?"
_ADDRESS_FORM = "write an address like https://host:port, without a user name"
_PATH = r"(?:/|~/)\S.*|[^/\s].*"


@dataclass(frozen=True)
class ProviderOption:
    """One thing a provider can be told; what it is told is always text."""

    help: str
    required: bool = False
    pattern: str | None = None
    """Of the whole text; None: anything"""
    form: str = ""
    """What the pattern allows, in words"""
    choices: tuple[str, ...] | None = None


@dataclass(frozen=True)
class ProviderSpec:
    """What is known of a provider without importing it."""

    name: str
    help: str
    key: str
    """What ``key:`` of a connection is to it"""
    options: Mapping[str, ProviderOption] | None = None
    """What a connection may tell it; None: anything, a company's own provider knows better"""
    settings: Mapping[str, ProviderOption] | None = None
    """What ``providers:`` may tell it for all connections; None: anything"""
    variables: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """By environment variable the field, for connections that name no variable and no file"""
    extra: str | None = None
    """The extra of dagbook that brings what it needs; None: it needs nothing"""
    package: str = ""
    """What that is"""
    function: str = ""
    """Where it is: ``module:function``; empty for one of a company's"""


def _number(help: str) -> ProviderOption:
    return ProviderOption(help, pattern=_WHOLE_NUMBER, form=_NUMBER_FORM)


def _variable(help: str) -> ProviderOption:
    return ProviderOption(help, pattern=_VARIABLE, form=_VARIABLE_FORM)


def _address(help: str) -> ProviderOption:
    return ProviderOption(help, pattern=_ADDRESS, form=_ADDRESS_FORM)


def _path(help: str) -> ProviderOption:
    return ProviderOption(help, pattern=_PATH, form="write the path of a file or folder")


def _yes_or_no(help: str) -> ProviderOption:
    return ProviderOption(help, choices=("yes", "no"))


_RENEW = {
    "renew_seconds": _number(
        "Fetched anew this often while a run lasts, for what is replaced without saying when. "
        "Default: never."
    )
}
_SHARED = _yes_or_no(
    "Whether it may be readable for others than its owner, as in a mounted Kubernetes secret. "
    "Default: no."
)
_OWNER = ProviderOption(
    "The user it belongs to, besides root and the one the runner runs as.",
    pattern=r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}",
    form="write the name or number of one user",
)
_FOLDER = {
    "folder": _path(
        "Where files lie whose `key` is no absolute path. Default: where the platform file lies."
    )
}
_REGION = ProviderOption(
    "The AWS region. Default: the deployment's own.",
    pattern=r"[a-z]{2}(?:-[a-z]+)+-[0-9]+",
    form="write a region like eu-central-1",
)
_AWS = {
    "region": _REGION,
    "profile": ProviderOption("The profile in the deployment's own AWS configuration."),
    "endpoint_url": _address("Where it answers, in place of AWS itself: a VPC endpoint, moto."),
}
_AWS_VARIABLES = MappingProxyType(
    {
        "AWS_ACCESS_KEY_ID": "AccessKeyId",
        "AWS_SECRET_ACCESS_KEY": "SecretAccessKey",
        "AWS_SESSION_TOKEN": "SessionToken",
    }
)

_SPECS = (
    ProviderSpec(
        "environment",
        "A variable of the deployment's own environment.",
        "the variable's name",
        options={},
        settings={},
        function="dagbook.credentials.environment:fetch",
    ),
    ProviderSpec(
        "file",
        "A file on the machine, whole or by field.",
        "its path",
        options={
            "format": ProviderOption(
                "What its fields are read as. Default: what its name ends in, else text.",
                choices=("text", "json", "ini"),
            ),
            "section": ProviderOption("The section of an INI file. Default: the only one."),
            "shared": _SHARED,
            "owner": _OWNER,
            **_RENEW,
        },
        settings=_FOLDER,
        function="dagbook.credentials.file:fetch",
    ),
    ProviderSpec(
        "dotenv",
        "A file of variables, `NAME=value` in each line; its fields are their names.",
        "its path",
        options={"shared": _SHARED, "owner": _OWNER, **_RENEW},
        settings=_FOLDER,
        extra="runner",
        package="python-dotenv",
        function="dagbook.credentials.dotenv:fetch",
    ),
    ProviderSpec(
        "aws_secrets_manager",
        "A secret in AWS Secrets Manager.",
        "its name or ARN",
        options={
            "version_id": ProviderOption("One version of it. Default: the one in force."),
            "version_stage": ProviderOption("The version with this label. Default: AWSCURRENT."),
            "region": _REGION,
            **_RENEW,
        },
        settings=_AWS,
        extra="aws",
        package="boto3",
        function="dagbook.credentials.aws_secrets_manager:fetch",
    ),
    ProviderSpec(
        "aws_assume_role",
        "Short-lived AWS credentials of a role that the deployment may assume (STS).",
        "the role's ARN",
        options={
            "duration_seconds": _number("How long they hold, 900 to 43200. Default: 3600."),
            "external_id": ProviderOption("The external ID the role asks for."),
            "policy_arn": ProviderOption("A managed policy that narrows what the role may do."),
            "region": _REGION,
        },
        settings=_AWS,
        variables=_AWS_VARIABLES,
        extra="aws",
        package="boto3",
        function="dagbook.credentials.aws_assume_role:fetch",
    ),
    ProviderSpec(
        "vault",
        "A secret in the KV store (version 2) of HashiCorp Vault or OpenBao.",
        "its path below the mount",
        options={
            "mount": ProviderOption("Where the store is mounted. Default: secret."),
            "version": _number("One version of it. Default: the newest."),
            "namespace": ProviderOption("The namespace it lies in, in place of the setting's."),
            **_RENEW,
        },
        settings={
            "address": _address("Where Vault answers. Default: `VAULT_ADDR` of the deployment."),
            "namespace": ProviderOption("Default: `VAULT_NAMESPACE` of the deployment."),
            "auth": ProviderOption(
                "How the deployment logs in. Default: token.",
                choices=("token", "approle", "kubernetes"),
            ),
            "auth_mount": ProviderOption(
                "Where that way to log in is mounted. Default: its own name."
            ),
            "token_variable": _variable(
                "The variable of the deployment that holds its token. Default: VAULT_TOKEN."
            ),
            "token_file": _path("The file that holds it instead, as the Vault agent writes it."),
            "role": ProviderOption("With kubernetes: the role to log in as."),
            "jwt_file": _path(
                "With kubernetes: the token of the service account. Default: where Kubernetes "
                "mounts it."
            ),
            "role_id": ProviderOption("With approle: the role's ID."),
            "secret_id_variable": _variable(
                "With approle: the variable of the deployment that holds its secret ID. Default: "
                "VAULT_SECRET_ID."
            ),
            "secret_id_file": _path("With approle: the file that holds it instead."),
            "ca_file": _path(
                "The certificates to trust. Default: `VAULT_CACERT`, then usual ones."
            ),
        },
        extra="vault",
        package="hvac",
        function="dagbook.credentials.vault:fetch",
    ),
    ProviderSpec(
        "google_secret_manager",
        "A secret in Google Secret Manager.",
        "its name, or projects/PROJECT/secrets/NAME",
        options={
            "version": ProviderOption(
                "One version of it, by number or alias. Default: latest.",
                pattern=r"[A-Za-z0-9_-]{1,63}",
                form="write a number, an alias or latest",
            ),
            "project": ProviderOption("The project it lies in, in place of the setting's."),
            **_RENEW,
        },
        settings={
            "project": ProviderOption("The project secrets lie in. Default: the deployment's own."),
            "endpoint": ProviderOption(
                "Where it answers, in place of secretmanager.googleapis.com: a regional endpoint.",
                pattern=r"[A-Za-z0-9.-]+(?::[0-9]{1,5})?",
                form="write a host, perhaps with a port",
            ),
        },
        extra="google",
        package="google-cloud-secret-manager",
        function="dagbook.credentials.google_secret_manager:fetch",
    ),
    ProviderSpec(
        "process",
        "What a program prints as JSON, as AWS defines it for `credential_process`.",
        "its command line, which no shell reads",
        options={"timeout_seconds": _number("How long it may take, at most 40. Default: 20.")},
        settings={"timeout_seconds": _number("How long each may take, at most 40. Default: 20.")},
        variables=_AWS_VARIABLES,
        function="dagbook.credentials.process:fetch",
    ),
)

#: Our own providers, by name.
PROVIDERS: Mapping[str, ProviderSpec] = MappingProxyType({spec.name: spec for spec in _SPECS})


def provider_names() -> list[str]:
    """Every provider that a connection may name here: our own, then companies'."""
    return [*PROVIDERS, *sorted(_registered().keys() - PROVIDERS.keys())]


def find_provider(name: str) -> ProviderSpec | None:
    """What is known of a provider; None when there is none of this name.

    Nobody's package replaces one of our own. Nothing of a company's package is imported.
    """
    known = PROVIDERS.get(name)
    if known is not None:
        return known
    point = _registered().get(name)
    if point is None:
        return None
    package = getattr(point.dist, "name", None) or point.value.partition(":")[0]
    return ProviderSpec(name, f"A provider of {package}.", "what it asks for")


def load_provider(name: str) -> Any:
    """The function that fetches, imported now.

    Raises:
        KeyError: there is no provider of this name.
        Exception: whatever importing a company's package raises.
    """
    known = PROVIDERS.get(name)
    if known is not None:
        module, _, function = known.function.partition(":")
        return getattr(importlib.import_module(module), function)
    return _registered()[name].load()


@functools.cache
def _registered() -> dict[str, Any]:
    # Slow, and nobody needs it whose file names our own providers alone.
    import importlib.metadata

    return {p.name: p for p in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)}
