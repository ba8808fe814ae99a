"""Takes a credential out of AWS Secrets Manager."""

from __future__ import annotations

from dagbook.credentials.aws_session import Refused, call
from dagbook.credentials.provider import Fetched, Lookup
from dagbook.errors import DagbookError

_DENIED = (
    "the deployment is not permitted to read `{key}`: it needs secretsmanager:GetSecretValue, and "
    "kms:Decrypt where the secret has a key of its own"
)


def fetch(lookup: Lookup) -> Fetched:
    """Read one version of a secret."""
    asked = {"SecretId": lookup.key}
    if "version_id" in lookup.options:
        asked["VersionId"] = lookup.options["version_id"]
    if "version_stage" in lookup.options:
        asked["VersionStage"] = lookup.options["version_stage"]
    denied = _DENIED.format(key=lookup.key)
    try:
        found = call("secretsmanager", "get_secret_value", lookup, denied=denied, **asked)
    except Refused as refused:
        raise DagbookError(_words(refused.code, lookup)) from None
    text = found.get("SecretString")
    return Fetched(bytes(found["SecretBinary"]) if text is None else str(text))


def _words(code: str, lookup: Lookup) -> str:
    if code == "ResourceNotFoundException":
        version = lookup.options.get("version_id") or lookup.options.get("version_stage")
        which = "" if version is None else f", or no version `{version}` of it"
        return (
            f"aws_secrets_manager has no secret `{lookup.key}` in this account and region{which}: "
            "mend `key` or `region`"
        )
    if code == "InvalidRequestException":
        return f"aws_secrets_manager does not give `{lookup.key}`: it is marked for deletion"
    return f"aws_secrets_manager does not give `{lookup.key}` ({code})"
