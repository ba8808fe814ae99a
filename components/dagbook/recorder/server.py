"""The recorder's own HTTP: who may call, what a call says, and how the answer goes back."""

from __future__ import annotations

import hmac
import json
import shutil
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from threading import Lock
from typing import IO, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from dagbook.recorder import endpoints
from dagbook.recorder.answers import Refusal, no_such
from dagbook.recorder.bodies import artifact_path, as_object, id_of
from dagbook.recorder.names import owner_of
from dagbook.recorder.onward import Onward
from dagbook.recorder.passing import Passed
from dagbook.recorder.taking import Taking
from dagbook.recorder.uploads import Uploads

#: How large a call may be that is no file, in bytes.
MOST_BODY = 64 * 1024**2

_VERSIONS = ("/api/2.0", "/api/3.0")
_FULL = Refusal("RESOURCE_EXHAUSTED", "the disk is full: what is told to MLflow waits there")


class RecorderServer(ThreadingHTTPServer):
    """Listens on 127.0.0.1, on a port of its own, for whoever knows the token."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        token: str,
        taking: Taking,
        uploads: Uploads,
        onward: Onward,
        mask: Callable[[Any], Any],
        *,
        port: int = 0,
    ) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.prefix = f"/{token}"
        self.taking, self.uploads, self.onward, self.mask = taking, uploads, onward, mask
        self._active = 0
        self._lock = Lock()

    @property
    def is_idle(self) -> bool:
        """Whether no call is being answered."""
        return self._active == 0

    def count(self, change: int) -> None:
        """Know that an answer begins or ends."""
        with self._lock:
            self._active += change


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: RecorderServer
    protocol_version = "HTTP/1.1"
    # Header and body in one packet, sent at once.
    wbufsize = -1
    disable_nagle_algorithm = True
    # A notebook may compute for days between two calls.
    timeout = None

    def do_GET(self) -> None:
        """Answer a call."""
        self.server.count(1)
        try:
            self._answer()
        finally:
            self.server.count(-1)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def _answer(self) -> None:
        self._body_is_read = not self._has_body
        try:
            answer = self._find_answer()
        except Refusal as refusal:
            self._send_json(refusal.status, refusal.as_json())
        except OSError:
            # The caller is gone, or the disk is full: whoever is gone hears nothing.
            self._send_json(_FULL.status, _FULL.as_json())
        except Exception as error:
            # Without an answer MLflow's client would ask again for minutes. The text may hold
            # anything the caller sent.
            failed = Refusal("INTERNAL_ERROR", f"the MLflow recorder fails: {type(error).__name__}")
            self._send_json(failed.status, failed.as_json())
        else:
            if isinstance(answer, Passed):
                self._send_passed(answer)
            elif answer is not None:
                self._send_json(200, answer)

    def _find_answer(self) -> dict[str, Any] | Passed | None:
        split = urlsplit(self.path)
        prefix, path = self.server.prefix, split.path
        if not hmac.compare_digest(path[: len(prefix)].encode(), prefix.encode()):
            raise Refusal("PERMISSION_DENIED", "this is the MLflow recorder of somebody else's run")
        path = path[len(prefix) :]
        if path == "/health":
            return {}
        if not endpoints.is_plain(path):
            raise self._refused(path, "its path leads out of itself")
        query = dict(parse_qsl(split.query, keep_blank_values=True))
        version = next((v for v in _VERSIONS if path.startswith(f"{v}/")), None)
        if version is None:
            raise self._refused(path, endpoints.UNKNOWN.reason)
        below = path[len(version) :]
        if below.startswith(endpoints.ARTIFACTS):
            return self._artifacts(unquote(below[len(endpoints.ARTIFACTS) :]).strip("/"), query)
        endpoint = endpoints.find(self.command, below)
        if endpoint.reason is not None:
            raise self._refused(path, endpoint.reason)
        data = self._data()
        body = {**query, **self._json(data), **(endpoint.fields or {})}
        if endpoint.take is not None:
            taken = endpoint.take(self.server.taking, self.server.mask(body))
            return taken
        if endpoint.read is not None:
            answer = endpoint.read(self.server.taking, body)
            if answer is not None:
                return answer
        onward = path + (f"?{split.query}" if split.query else "")
        try:
            return self._pass_on(onward, data, by_name=below == "/mlflow/experiments/get-by-name")
        except Refusal as refusal:
            own = endpoint.else_read(self.server.taking, body) if endpoint.else_read else None
            if own is None or refusal.code != "TEMPORARILY_UNAVAILABLE":
                raise
            return own

    def _pass_on(self, path: str, data: bytes, *, by_name: bool = False) -> Passed:
        onward = self.server.onward
        if by_name:
            return onward.find_experiment(path, self._lower_headers())
        return onward.ask(self.command, path, self._lower_headers(), data)

    def _artifacts(self, path: str, query: dict[str, str]) -> dict[str, Any] | Passed | None:
        named = path or query.get("path", "")
        own = owner_of(named)
        if own is None or own[1] != self.server.taking.own_id(own[1]):
            if self.command == "DELETE":
                raise self._refused(named, "a run deletes no artifacts")
            return self._pass_on(self.path[len(self.server.prefix) :], self._data())
        kind, owner, below = own
        if self.command == "PUT":
            return self._upload(kind, owner, below)
        if self.command != "GET":
            raise self._refused(named, "a run deletes no artifacts")
        if not path:
            files = self.server.taking.records.list_artifacts(kind, owner, below.strip("/"))
            return {"files": [{**f, "path": f["path"].rpartition("/")[2]} for f in files]}
        found = self.server.taking.records.artifact(kind, owner, below, self.server.taking.folder)
        if found is None:
            raise no_such(f"No such artifact: '{below}'")
        with found.open("rb") as file:
            self._send_file(200, "application/octet-stream", file, found.stat().st_size)
        return None

    def _upload(self, kind: str, owner: str, path: str) -> dict[str, Any]:
        path, owner = self.server.mask(artifact_path(path)), id_of(owner, kind)
        body, length = self._stream()
        name = path.rpartition("/")[2]
        file, written = self.server.uploads.take(name, body, length)
        self._body_is_read = True
        self.server.taking.keep(
            "artifact", kind=kind, owner=owner, path=path, file=file, bytes=written
        )
        return {}

    # What comes in

    @property
    def _has_body(self) -> bool:
        return "chunked" in self.headers.get("Transfer-Encoding", "").lower() or (
            self.headers.get("Content-Length", "0") != "0"
        )

    def _stream(self) -> tuple[Any, int]:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            data = self._chunked()
            self._body_is_read = True
            return BytesIO(data), len(data)
        return self.rfile, self._length()

    def _data(self) -> bytes:
        body, length = self._stream()
        if length > MOST_BODY:
            raise Refusal(
                "RESOURCE_EXHAUSTED",
                f"a call may have {MOST_BODY // 1024**2} MiB, not {length} bytes",
            )
        data = body.read(length) if length else b""
        self._body_is_read = True
        return data

    def _length(self) -> int:
        length = self.headers.get("Content-Length", "0")
        if not (length.isascii() and length.isdigit()):
            raise Refusal("BAD_REQUEST", "Content-Length has to be a number")
        return int(length)

    def _chunked(self) -> bytes:
        # MLflow's client sends empty files so, and no others.
        data = b""
        while True:
            size = self.rfile.readline(32).partition(b";")[0].strip()
            try:
                length = int(size, 16)
            except ValueError:
                raise Refusal("BAD_REQUEST", "the call did not come whole") from None
            if not 0 <= length <= MOST_BODY - len(data):
                raise Refusal("RESOURCE_EXHAUSTED", "a call without a length may have 64 MiB")
            data += self.rfile.read(length)
            self.rfile.readline(8)
            if not length:
                return data

    def _json(self, data: bytes) -> dict[str, Any]:
        kind = self.headers.get("Content-Type", "")
        if not data or "protobuf" in kind:
            return {}
        try:
            return as_object(json.loads(data))
        except (ValueError, RecursionError):
            raise Refusal("BAD_REQUEST", "the body of a call has to be a JSON object") from None

    def _lower_headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers.items()}

    def _refused(self, path: str, reason: str | None) -> Refusal:
        return Refusal(
            "ENDPOINT_NOT_FOUND",
            f"the MLflow recorder of this run does not take {self.command} {path}: {reason}",
        )

    # What goes out

    def _send_json(self, status: int, answer: dict[str, Any]) -> None:
        data = json.dumps(answer).encode()
        self._send_file(status, "application/json", BytesIO(data), len(data))

    def _send_passed(self, answer: Passed) -> None:
        with answer.body as body:
            if answer.length is not None:
                self._send_file(answer.status, answer.content_type, body, answer.length)
                return
            self.close_connection = True
            self._send_head(answer.status, answer.content_type, None)
            shutil.copyfileobj(body, self.wfile)

    def _send_file(self, status: int, kind: str, file: IO[bytes], length: int) -> None:
        self._send_head(status, kind, length)
        try:
            shutil.copyfileobj(file, self.wfile, 256 * 1024)
        except OSError:
            self.close_connection = True  # nobody listens any more

    def _send_head(self, status: int, kind: str, length: int | None) -> None:
        if not self._body_is_read:
            # Nobody reads the rest of it, so nothing can follow on this connection.
            self.close_connection = True
        self.send_response_only(status)
        self.send_header("Content-Type", kind)
        if length is not None:
            self.send_header("Content-Length", str(length))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing: who calls is told in the answer."""
