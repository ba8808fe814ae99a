"""Takes a credential out of Google Secret Manager."""

from __future__ import annotations

from typing import Any

import google.auth
from google.api_core import exceptions
from google.auth import exceptions as login
from google.cloud import secretmanager

from dagbook.credentials.provider import ANSWER_SECONDS, Fetched, Lookup, ProviderDown
from dagbook.errors import DagbookError

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
#: The environment's names for the project, the first that is set.
_PROJECT_VARIABLES = ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT")


def fetch(lookup: Lookup) -> Fetched:
    """Read one version of a secret with the deployment's own Google credentials."""
    client = None
    try:
        credentials, project = google.auth.default(scopes=[_SCOPE])
        name = _name(lookup, project)
        endpoint = lookup.settings.get("endpoint")
        client = secretmanager.SecretManagerServiceClient(
            credentials=credentials, client_options={"api_endpoint": endpoint} if endpoint else None
        )
        answer = client.access_secret_version(
            request={"name": name}, timeout=ANSWER_SECONDS, retry=None
        )
    except login.DefaultCredentialsError:
        raise DagbookError(
            "google_secret_manager: the deployment has no Google credentials of its own: give its "
            "machine a service account, or set GOOGLE_APPLICATION_CREDENTIALS where Dagster starts"
        ) from None
    except login.GoogleAuthError as error:
        raise _not_logged_in(error) from None
    except exceptions.NotFound:
        raise DagbookError(
            f"google_secret_manager has no {name}: mend `key`, `project` or `version`"
        ) from None
    except exceptions.PermissionDenied:
        raise DagbookError(
            f"google_secret_manager: the deployment is not permitted to read {name}: it needs "
            "roles/secretmanager.secretAccessor"
        ) from None
    except exceptions.Unauthenticated:
        raise DagbookError(
            "google_secret_manager does not accept the deployment's own Google credentials"
        ) from None
    except exceptions.FailedPrecondition:
        raise DagbookError(f"google_secret_manager: {name} is disabled or destroyed") from None
    except exceptions.GoogleAPICallError as error:
        raise _failed(error, lookup, name) from None
    finally:
        if client is not None:
            client.transport.close()  # type: ignore[no-untyped-call]
    data = bytes(answer.payload.data)
    try:
        return Fetched(data.decode("utf-8"))
    except UnicodeDecodeError:
        return Fetched(data)


def _name(lookup: Lookup, own_project: str | None) -> str:
    version = lookup.options.get("version", "latest")
    if lookup.key.startswith("projects/"):
        return lookup.key if "/versions/" in lookup.key else f"{lookup.key}/versions/{version}"
    environment = (lookup.environment.get(name) for name in _PROJECT_VARIABLES)
    project = lookup.told("project") or next(filter(None, environment), own_project)
    if not project:
        raise DagbookError(
            "google_secret_manager: no project is known: write `project` below "
            "`providers.google_secret_manager`"
        )
    return f"projects/{project}/secrets/{lookup.key}/versions/{version}"


def _not_logged_in(error: Any) -> DagbookError:
    text = f"google_secret_manager: the deployment cannot log in to Google ({type(error).__name__})"
    return ProviderDown(text) if getattr(error, "retryable", False) else DagbookError(text)


def _failed(error: Any, lookup: Lookup, name: str) -> DagbookError:
    kind = type(error).__name__
    if isinstance(error, exceptions.ServerError | exceptions.TooManyRequests):
        host = lookup.settings.get("endpoint") or "secretmanager.googleapis.com"
        return ProviderDown(
            f"google_secret_manager: {host} does not answer, or is busy ({kind}): check the "
            "network of the deployment and `endpoint`"
        )
    return DagbookError(f"google_secret_manager does not give {name} ({kind})")
