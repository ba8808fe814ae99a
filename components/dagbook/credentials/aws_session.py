"""One call to AWS with what the deployment itself may do there, and its errors in plain words."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore import exceptions
from botocore.config import Config

from dagbook.credentials.provider import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    RETRIES,
    Lookup,
    ProviderDown,
)
from dagbook.errors import DagbookError

#: Which provider uses which service.
_PROVIDERS = {"secretsmanager": "aws_secrets_manager", "sts": "aws_assume_role"}
_DENIED = (
    "403",  # without a code that can be read
    "AccessDenied",
    "AccessDeniedException",
    "DecryptionFailure",
    "KMSAccessDeniedException",
)
_NOT_ACCEPTED = (
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
)
_BUSY = ("Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException")


class Refused(Exception):
    """AWS answered with an error that only the caller can put into words."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def call(service: str, operation: str, lookup: Lookup, *, denied: str, **parameters: Any) -> Any:
    """Ask AWS one thing.

    Args:
        service: ``secretsmanager``, ``sts``.
        operation: the client's method.
        lookup: whose options and settings count.
        denied: what to say where the deployment may not.
        parameters: of the operation.

    Raises:
        ProviderDown: AWS does not answer, or is busy.
        DagbookError: the deployment has no credentials for AWS, or may not.
        Refused: anything else AWS answered, with its code.
    """
    provider = _PROVIDERS[service]
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=ANSWER_SECONDS,
        retries={"total_max_attempts": RETRIES + 1, "mode": "standard"},
    )
    client = None
    try:
        # Never boto3's own session: it would stay, with the deployment's credentials in it.
        session = boto3.Session(
            profile_name=lookup.settings.get("profile"), region_name=_region(lookup)
        )
        client = session.client(
            service, endpoint_url=lookup.settings.get("endpoint_url"), config=config
        )
        return getattr(client, operation)(**parameters)
    except exceptions.ClientError as error:
        raise _said(error.response, provider, denied) from None
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError):
        raise DagbookError(
            f"{provider}: the deployment has no AWS credentials of its own: give its machine a "
            "role, or set them where Dagster starts"
        ) from None
    except exceptions.ProfileNotFound:
        profile = lookup.settings.get("profile") or lookup.environment.get("AWS_PROFILE")
        raise DagbookError(
            f"{provider}: the deployment's AWS configuration has no profile `{profile}`"
        ) from None
    except (exceptions.NoRegionError, exceptions.InvalidRegionError):
        raise DagbookError(
            f"{provider}: no AWS region is known: write `region` below `providers.{provider}`"
        ) from None
    except (exceptions.ParamValidationError, exceptions.ValidationError):
        raise DagbookError(
            f"{provider}: AWS takes no such key or option: see `key` and `options`"
        ) from None
    except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:
        raise ProviderDown(_unreachable(error, client, provider)) from None
    except exceptions.CredentialRetrievalError:
        raise ProviderDown(
            f"{provider}: the deployment's own AWS credentials cannot be had just now"
        ) from None
    except exceptions.BotoCoreError as error:
        raise DagbookError(
            f"{provider}: AWS cannot be asked as the deployment is set up ({type(error).__name__})"
        ) from None
    finally:
        if client is not None:
            client.close()


def _region(lookup: Lookup) -> str | None:
    # An ARN says where its secret is; one of a role does not, its part is empty.
    parts = lookup.key.split(":")
    named = parts[3] if lookup.key.startswith("arn:") and len(parts) > 4 else ""
    # boto3 looks for AWS_DEFAULT_REGION alone, which not every machine of AWS has.
    environment = lookup.environment
    fallback = None if environment.get("AWS_DEFAULT_REGION") else environment.get("AWS_REGION")
    return lookup.told("region") or named or fallback


def _said(response: Any, provider: str, denied: str) -> Exception:
    code = str(response.get("Error", {}).get("Code", ""))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in _DENIED:
        return DagbookError(f"{provider}: {denied}")
    if code in _NOT_ACCEPTED:
        return DagbookError(
            f"{provider}: AWS does not accept the deployment's own credentials ({code})"
        )
    if code in _BUSY or status >= 500 or status == 429:
        return ProviderDown(f"{provider}: AWS is busy or out of order ({code or status})")
    return Refused(code or str(status))


def _unreachable(error: Exception, client: Any, provider: str) -> str:
    host = "AWS" if client is None else urlsplit(client.meta.endpoint_url).netloc.rpartition("@")[2]
    return (
        f"{provider}: {host} does not answer ({type(error).__name__}): check the network of the "
        "deployment, its proxy and `endpoint_url`"
    )
