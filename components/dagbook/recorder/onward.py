"""The way to the server: what waits goes first, so that it knows what it is asked about."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from http.client import HTTPException
from io import BytesIO
from pathlib import Path
from typing import Any

from dagbook.recorder.answers import Refusal, no_such, not_now
from dagbook.recorder.passing import Behind, Passed
from dagbook.recorder.taking import Taking

#: How long is waited for what the notebook has told so far to arrive, in seconds.
ARRIVAL_SECONDS = 15.0
#: How long for an answer that can be done without, in seconds, and how long such a server is not
#: asked again.
SHORT_SECONDS, PAUSE_SECONDS = 2.0, 30.0

_POLL_SECONDS = 0.05
_SILENT = "does not answer"
_STATE_FILE = "state.json"


class Onward:
    """Asks what stands behind the recorder."""

    def __init__(
        self, taking: Taking, behind: Behind, wake: Callable[[], None], mask: Callable[[Any], Any]
    ) -> None:
        """Ask it.

        Args:
            taking: what the notebook has told.
            behind: the server.
            wake: has what waits delivered now.
            mask: hides what must not be seen.
        """
        self._taking, self._behind, self._wake, self._mask = taking, behind, wake, mask
        self._paused_until = 0.0

    def find_experiment(self, path: str, headers: Mapping[str, str]) -> Passed:
        """Ask for an experiment by its name.

        Where nobody answers there is none: it is made, and found again when that is delivered.

        Raises:
            Refusal: there is none.
        """
        name_is_new = no_such("No Experiment with that name exists")
        if time.monotonic() < self._paused_until:
            raise name_is_new
        try:
            path = str(self._mask(path))
            return self._translated(self._behind.ask("GET", path, headers, None, SHORT_SECONDS))
        except Refusal as refusal:
            if refusal.code == "TEMPORARILY_UNAVAILABLE":
                self._paused_until = time.monotonic() + PAUSE_SECONDS
                raise name_is_new from None
            raise

    def ask(self, method: str, path: str, headers: Mapping[str, str], data: bytes) -> Passed:
        """Ask what only the server knows.

        Raises:
            Refusal: it does not answer.
        """
        problem = self._wait_for_arrival()
        taking = self._taking
        taking.ids.refresh()
        text = data.decode("utf-8", "surrogateescape")
        if problem is not None and self._is_about_ours(path + text):
            raise not_now(
                f"MLflow {problem}, so it does not have yet what this notebook told it, and cannot "
                "be asked about it: try again later, or use what you have in memory"
            )
        # Servers keep addresses in their logs.
        path, body = taking.ids.translate(str(self._mask(path))), self._body(headers, data)
        sent = {**headers, "content-length": str(len(body))} if body else dict(headers)
        sent.pop("transfer-encoding", None)
        if not body:
            sent.pop("content-length", None)
        return self._translated(self._behind.ask(method, path, sent, body or None))

    def _body(self, headers: Mapping[str, str], data: bytes) -> bytes:
        if "json" not in headers.get("content-type", ""):
            return self._hidden(data)
        try:
            shown = json.dumps(self._mask(json.loads(data))) if data else ""
        except (ValueError, RecursionError):
            raise Refusal("BAD_REQUEST", "the body of a call has to be JSON") from None
        return self._taking.ids.translate(shown).encode()

    def _hidden(self, data: bytes) -> bytes:
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return data
        return self._taking.ids.translate(str(self._mask(text))).encode()

    def _translated(self, answer: Passed) -> Passed:
        if "json" not in answer.content_type:
            return answer
        try:
            with answer.body as body:
                text = body.read().decode("utf-8", "surrogateescape")
        except (OSError, HTTPException):
            raise not_now("the MLflow server breaks its answer off") from None
        data = self._taking.ids.translate_back(text).encode("utf-8", "surrogateescape")
        return Passed(answer.status, answer.content_type, BytesIO(data), len(data))

    def _is_about_ours(self, text: str) -> bool:
        taking = self._taking
        with taking.lock:
            ours = [*taking.records.runs, *taking.records.models, *taking.records.experiments]
        return any(name in text for name in ours if len(name) > 10)

    def _wait_for_arrival(self) -> str | None:
        """Wait until the server has what the notebook told so far; the problem where it has not."""
        wanted, deadline = self._taking.log.length, time.monotonic() + ARRIVAL_SECONDS
        before = _state(self._taking.folder)
        if before.get("calls", 0) >= wanted:
            return None
        if before.get("problem"):
            return _SILENT
        self._wake()
        while time.monotonic() < deadline:
            state = _state(self._taking.folder)
            if state.get("calls", 0) >= wanted:
                return None
            if state.get("problem"):
                return _SILENT
            time.sleep(_POLL_SECONDS)
        return "takes too long"


def _state(folder: Path) -> dict[str, Any]:
    try:
        values = json.loads((folder / _STATE_FILE).read_bytes())
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
