"""Passes on to the server what only the server can answer, with the server's own login.

The login stays here: the notebook's own headers are not passed on, and no redirection is followed.
"""

from __future__ import annotations

import base64
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import IO, Any, Protocol
from urllib.parse import unquote, urlsplit

from dagbook.recorder.answers import Refusal, not_now

#: How long the server may take to answer, in seconds: less than MLflow's client waits for us.
ANSWER_SECONDS = 30.0
#: How long a run waits to hear whether there is a server at all, in seconds.
PROBE_SECONDS = 1.0
#: Of a caller's headers, what the server has to know.
_HEADERS = ("content-type", "accept", "x-mlflow-experiment-id", "x-mlflow-workspace")


@dataclass
class Passed:
    """What the server answered."""

    status: int
    content_type: str
    body: IO[bytes]
    length: int | None


class Behind(Protocol):
    """What stands behind the recorder."""

    def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Any = None,
        seconds: float = ANSWER_SECONDS,
    ) -> Passed:
        """Ask it something.

        Raises:
            Refusal: it does not answer.
        """


class NothingBehind:
    """Where nothing can be asked."""

    def __init__(self, why: str) -> None:
        self._why = why

    def ask(self, *_: Any, **__: Any) -> Passed:
        """Say so."""
        raise not_now(self._why)


class Server:
    """A server that speaks MLflow's REST API."""

    def __init__(self, uri: str, variables: Mapping[str, str], *, logs_in: bool = True) -> None:
        """The server at an address.

        Args:
            uri: its address, perhaps with a login.
            variables: ``MLFLOW_TRACKING_…``, as MLflow's client reads them.
            logs_in: whether to send the login.
        """
        parts = urlsplit(uri)
        self._base = parts._replace(
            netloc=parts.netloc.rpartition("@")[2], query="", fragment=""
        ).geturl().rstrip("/")  # fmt: skip
        self._login: str | None = None
        if logs_in:
            self.log_in(uri, variables)
        context = _context(variables) if parts.scheme == "https" else None
        https = [urllib.request.HTTPSHandler(context=context)] if context else []
        self._opener = urllib.request.build_opener(_NoRedirection, *https)

    def log_in(self, uri: str, variables: Mapping[str, str]) -> None:
        """Use a login from now on."""
        parts = urlsplit(uri)
        self._login = _login(parts.username, parts.password, variables)

    def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Any = None,
        seconds: float = ANSWER_SECONDS,
    ) -> Passed:
        """Ask it something.

        Raises:
            Refusal: it does not answer.
        """
        sent = {name: value for name, value in headers.items() if name.lower() in _HEADERS}
        if "content-length" in headers:
            sent["Content-Length"] = headers["content-length"]
        if self._login:
            sent["Authorization"] = self._login
        request = urllib.request.Request(self._base + path, body, sent, method=method)
        try:
            answer = self._opener.open(request, timeout=seconds)
        except urllib.error.HTTPError as error:
            return self._no(error)
        except (OSError, ValueError, HTTPException) as error:
            raise not_now(f"the MLflow server does not answer ({_why(error)})") from None
        return _passed(answer.status, answer)

    def _no(self, error: urllib.error.HTTPError) -> Passed:
        if 300 <= error.code < 400:
            raise not_now("the MLflow server sends the call elsewhere, which is not followed")
        if error.code in (401, 403) and _is_page(error):
            raise Refusal("PERMISSION_DENIED", "the MLflow server does not take the run's login")
        if error.code in (408, 429) or error.code >= 500:
            # Its client would repeat these for minutes.
            raise not_now(f"the MLflow server answers {error.code}")
        return _passed(error.code, error)


def silence_of(
    uri: str, variables: Mapping[str, str], seconds: float = PROBE_SECONDS
) -> str | None:
    """Why a server does not answer at once; None where it does, whatever it says.

    No login is sent.
    """
    try:
        Server(uri, variables, logs_in=False).ask("GET", "/health", {}, None, seconds).body.close()
    except Refusal as refusal:
        return refusal.message
    except ValueError:
        return "its address cannot be read"
    return None


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    """A login is for the server that was named, and for no other that it may name."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _passed(status: int, answer: Any) -> Passed:
    length = answer.headers.get("Content-Length")
    kind = answer.headers.get("Content-Type", "application/octet-stream")
    return Passed(status, kind, answer, None if length is None else int(length))


def _is_page(error: urllib.error.HTTPError) -> bool:
    return "json" not in error.headers.get("Content-Type", "")


def _why(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    if isinstance(reason, TimeoutError | socket.timeout):
        return "it takes too long"
    if isinstance(reason, ConnectionRefusedError):
        return "connection refused"
    if isinstance(reason, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {reason.verify_message}"
    return type(reason).__name__ if not isinstance(reason, OSError) else (
        reason.strerror or type(reason).__name__
    )  # fmt: skip


def _login(user: str | None, password: str | None, variables: Mapping[str, str]) -> str | None:
    name = variables.get("MLFLOW_TRACKING_USERNAME") or unquote(user or "")
    word = variables.get("MLFLOW_TRACKING_PASSWORD") or unquote(password or "")
    if name and word:
        return "Basic " + base64.b64encode(f"{name}:{word}".encode()).decode()
    token = variables.get("MLFLOW_TRACKING_TOKEN")
    return f"Bearer {token}" if token else None


def _context(variables: Mapping[str, str]) -> ssl.SSLContext:
    named = variables.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or variables.get("REQUESTS_CA_BUNDLE")
    context = ssl.create_default_context(cafile=named)
    if variables.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if client := variables.get("MLFLOW_TRACKING_CLIENT_CERT_PATH"):
        context.load_cert_chain(client)
    return context
