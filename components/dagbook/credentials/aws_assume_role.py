"""Has AWS make short-lived credentials of a role, for one run."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC

from dagbook.credentials.aws_session import Refused, call
from dagbook.credentials.provider import Fetched, Lookup
from dagbook.errors import DagbookError

DURATION_SECONDS = 3600
#: AWS takes no longer name of a session.
_LONGEST_NAME = 64

_DENIED = (
    "the deployment is not permitted to assume `{key}`: its own role needs sts:AssumeRole, and the "
    "role's trust policy has to name it"
)


def fetch(lookup: Lookup) -> Fetched:
    """Assume the role; AWS's own log tells by the session's name which asset's run it was."""
    duration = int(lookup.options.get("duration_seconds", DURATION_SECONDS))
    if not 900 <= duration <= 43200:
        raise DagbookError(
            f"aws_assume_role: `duration_seconds` is from 900 to 43200, not {duration}"
        )
    asked: dict[str, object] = {
        "RoleArn": lookup.key,
        "RoleSessionName": session_name(lookup.asset),
        "DurationSeconds": duration,
    }
    if "external_id" in lookup.options:
        asked["ExternalId"] = lookup.options["external_id"]
    if "policy_arn" in lookup.options:
        asked["PolicyArns"] = [{"arn": lookup.options["policy_arn"]}]
    denied = _DENIED.format(key=lookup.key)
    try:
        found = call("sts", "assume_role", lookup, denied=denied, **asked)["Credentials"]
    except Refused as refused:
        raise DagbookError(
            f"aws_assume_role: AWS gives no credentials of `{lookup.key}` ({refused.code}): see "
            "`key`, and `duration_seconds`, which the role bounds"
        ) from None
    expiration = found["Expiration"].astimezone(UTC)
    fields = {
        "AccessKeyId": found["AccessKeyId"],
        "SecretAccessKey": found["SecretAccessKey"],
        "SessionToken": found["SessionToken"],
        "Expiration": expiration.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    # What a notebook's own AWS library reads from a file, again and again.
    whole = json.dumps({"Version": 1, **fields})
    region = lookup.told("region")
    if region is not None:
        fields["Region"] = region
    return Fetched(fields, expiration.timestamp(), whole=whole)


def session_name(asset: str | None) -> str:
    """What AWS logs of a run: ``dagbook-models-churn``."""
    name = re.sub(r"[^A-Za-z0-9_=,.@-]+", "-", f"dagbook-{asset or 'check'}")
    if len(name) <= _LONGEST_NAME:
        return name
    # Two long keys that begin alike stay two.
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: _LONGEST_NAME - 9]}-{digest}"
