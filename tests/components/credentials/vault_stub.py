"""A stub of Vault: as much of its HTTP interface as the provider uses, and no more.

It is no Vault. It answers in the way Vault's documentation describes, so it shows what the provider
asks and how it takes the answers, and not that a Vault gives them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit


class VaultStub:
    """What it keeps, how it behaves, and what it was asked."""

    def __init__(self) -> None:
        self.secrets: dict[str, list[dict[str, Any] | None]] = {}
        self.tokens = {"s.the-deployments-own"}
        self.logins: dict[str, dict[str, str]] = {}
        self.forbidden: set[str] = set()
        self.status: int | None = None
        self.redirect: str | None = None
        self.hangs = False
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.let_go = Event()
        self.url = ""

    def answer(self, method: str, path: str, headers: dict[str, str], body: Any) -> tuple[int, Any]:
        """The status and the JSON of one answer."""
        parsed = urlsplit(path)
        self.asked.append((method, parsed.path, headers))
        if self.status is not None:
            return self.status, {"errors": ["hidden words of the server"]}
        name = parsed.path.removeprefix("/v1/")
        if method == "POST" and name in self.logins:
            if body != self.logins[name]:
                return 400, {"errors": ["invalid role or secret ID: hidden"]}
            token = f"s.made-for-{len(self.asked)}"
            self.tokens.add(token)
            return 200, {"auth": {"client_token": token, "lease_duration": 60}}
        token = headers.get("x-vault-token", "")
        if token not in self.tokens or name in self.forbidden:
            return 403, {"errors": ["permission denied: hidden"]}
        if name == "auth/token/revoke-self":
            self.tokens.discard(token)
            return 204, None
        versions = self.secrets.get(name)
        if versions is None:
            return 404, {"errors": []}
        wanted = int(parse_qs(parsed.query).get("version", ["0"])[0]) or len(versions)
        if wanted > len(versions) or versions[wanted - 1] is None:
            return 404, {"data": {"data": None, "metadata": {"version": wanted}}}
        return 200, {"data": {"data": versions[wanted - 1], "metadata": {"version": wanted}}}


@contextmanager
def vault_stub() -> Iterator[VaultStub]:
    """Serve one, on a free port of this machine."""
    stub = VaultStub()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"null")
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, found = stub.answer(self.command, self.path, headers, body)
            if stub.hangs:
                stub.let_go.wait(60)
                return
            if stub.redirect is not None:
                self.send_response(307)
                self.send_header("Location", stub.redirect + self.path)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            data = b"" if found is None else json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = _answer

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever)
    thread.start()
    stub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield stub
    finally:
        stub.let_go.set()
        server.shutdown()
        thread.join()
        server.server_close()
