"""The bridge's process as its owner sees it: its pipes, its questions, and how it ended."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from dagbook.bridge_protocol import PROTOCOL, BridgeError, Code, line_of, message_of
from dagbook.project_python import Interpreter
from dagbook.report import RUN_FOLDER_VARIABLE

#: How long it may take to say hello, in seconds. Nothing large is loaded before.
HELLO_SECONDS = 30.0

_END_SECONDS = 2.0
_KEPT_LINES = 40

#: Set where the owner is itself a run of a notebook; the bridge is no part of that run.
_NOT_HANDED_ON = (RUN_FOLDER_VARIABLE, "PYTHONHOME", "__PYVENV_LAUNCHER__")

Future = concurrent.futures.Future[Any]
Tell = Callable[[Mapping[str, Any]], None]


class BridgeProcess:
    """One ``python -m dagbook.bridge``, from its start to its end."""

    def __init__(self, root: Path, python: Interpreter) -> None:
        """Start it and wait for its hello.

        Raises:
            BridgeError: it cannot be started, or is of another version.
        """
        self._python = python
        self._pending: dict[int, tuple[Future, Tell | None]] = {}
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._said: collections.deque[str] = collections.deque(maxlen=_KEPT_LINES)
        self._began = time.monotonic()
        self._ended: float | None = None
        self._hello: concurrent.futures.Future[dict[str, Any]] = concurrent.futures.Future()
        self.last_event = ""
        self.was_noted = False
        if not root.is_dir():
            raise BridgeError(Code.REFUSED, f"{root} is no folder")
        environment = {k: v for k, v in os.environ.items() if k not in _NOT_HANDED_ON}
        try:
            # In a session of its own: an interrupted kernel interrupts its whole group. Without
            # the working directory on its path: what lies there must not be taken for a module.
            self._process = subprocess.Popen(
                [
                    *(str(python.path), "-P", "-m", "dagbook.bridge"),
                    *("--python-from", python.origin, str(root)),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=root,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise BridgeError(
                Code.DOWN, f"{python.path} ({python.origin}) cannot be started: {reason}"
            ) from None
        assert self._process.stdin and self._process.stdout and self._process.stderr
        self._stdin: IO[bytes] = self._process.stdin
        self._files = (self._process.stdin, self._process.stdout, self._process.stderr)
        self._readers = [
            threading.Thread(target=self._read_answers, daemon=True, name="dagbook-bridge"),
            threading.Thread(target=self._read_words, daemon=True, name="dagbook-bridge-words"),
        ]
        # Whoever reads the answers waits at their end for the other.
        for reader in reversed(self._readers):
            reader.start()
        self.hello = self._await_hello()

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it runs and answers."""
        return self._ended is None and self._process.poll() is None

    @property
    def lived_seconds(self) -> float:
        """For how long it ran, or has run."""
        return (self._ended or time.monotonic()) - self._began

    @property
    def how_it_ended(self) -> str:
        """In a few words, such as ``exit status 1``."""
        try:
            status = self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            return "it closed its output"
        if status >= 0:
            return f"exit status {status}"
        with contextlib.suppress(ValueError):
            return f"ended by {signal.Signals(-status).name}"
        return f"ended by signal {-status}"

    @property
    def last_words(self) -> tuple[str, ...]:
        """What it printed at the end that was no answer."""
        return tuple(self._said)

    def send(
        self, number: int, verb: str, arguments: Mapping[str, Any], on_event: Tell | None
    ) -> Future:
        """Ask something; the answer comes with the future."""
        future: Future = concurrent.futures.Future()
        # Whoever waits may stop waiting; the answer must still have where to go.
        future.set_running_or_notify_cancel()
        request = {"id": number, "verb": verb, "arguments": arguments}
        try:
            line = line_of(request).encode()
        except (TypeError, ValueError):
            text = f"the arguments of `{verb}` are not plain JSON"
            raise BridgeError(Code.INVALID_REQUEST, text) from None
        with self._lock:
            self._pending[number] = (future, on_event)
        self._write(line)
        if self._ended is not None:
            # The reader may have gone through the open questions before this one was among them.
            self._fail_pending()
        return future

    def cancel(self, number: int) -> None:
        """Say that nobody waits for an answer any more."""
        with self._lock:
            if self._pending.pop(number, None) is None:
                return
        self._write(line_of({"cancel": number}).encode())

    def end(self) -> None:
        """End it; what it has started ends with it."""
        with contextlib.suppress(OSError):
            self._stdin.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for reader in self._readers:
            if reader is not threading.current_thread():
                reader.join(_END_SECONDS)
        for file in self._files:
            with contextlib.suppress(OSError):
                file.close()

    def let_go(self) -> None:
        """Close our ends of its pipes, in a fork of its owner."""
        for file in self._files:
            with contextlib.suppress(OSError):
                os.close(file.fileno())
        # It is not our child: nobody here may wait for it.
        self._process.returncode = 0

    def _write(self, line: bytes) -> None:
        with self._writing, contextlib.suppress(OSError, ValueError):
            self._stdin.write(line)
            self._stdin.flush()

    def _read_answers(self) -> None:
        stdout = self._files[1]
        with contextlib.suppress(OSError, ValueError):
            for line in stdout:
                message = message_of(line.decode("utf-8", "replace"))
                if message is None:
                    self._said.append(line.decode("utf-8", "replace").rstrip()[:500])
                else:
                    self._take(message)
        self._ended = time.monotonic()
        self._readers[1].join(_END_SECONDS)
        if not self._hello.done():
            self._hello.set_exception(self._failed_start())
        self._fail_pending()

    def _take(self, message: dict[str, Any]) -> None:
        if "hello" in message and not self._hello.done():
            self._hello.set_result(message["hello"])
            return
        with self._lock:
            number: Any = message.get("id")
            entry = self._pending.get(number)
            if entry is None:
                return  # its question was given up
            if "event" not in message:
                del self._pending[number]
        future, on_event = entry
        if "event" in message:
            event = message["event"]
            self.last_event = str(event.get("waiting", ""))
            if on_event is not None:
                # What a listener does wrong must not end the reading for everybody.
                with contextlib.suppress(Exception):
                    on_event(event)
        elif "error" in message:
            future.set_exception(BridgeError.from_json(message["error"]))
        else:
            future.set_result(message.get("result"))

    def _read_words(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in self._files[2]:
                self._said.append(line.decode("utf-8", "replace").rstrip()[:500])

    def _fail_pending(self) -> None:
        with self._lock:
            waiting, self._pending = list(self._pending.values()), {}
        if not waiting:
            return
        text = f"the process that answers for the project ended before it did ({self.how_it_ended})"
        for future, _ in waiting:
            if not future.done():
                future.set_exception(BridgeError(Code.DOWN, text, last_words=self.last_words))

    def _await_hello(self) -> dict[str, Any]:
        try:
            hello = self._hello.result(HELLO_SECONDS)
        except concurrent.futures.TimeoutError:
            self._process.kill()
            self.end()
            text = (
                f"{self._python.path} ({self._python.origin}) said nothing in {HELLO_SECONDS:g} s"
            )
            raise BridgeError(Code.DOWN, text, last_words=self.last_words) from None
        except BridgeError:
            self.end()
            raise
        if hello.get("protocol") != PROTOCOL:
            self.end()
            raise BridgeError(
                Code.DOWN,
                f"{self._python.path} ({self._python.origin}) has dagbook {hello.get('dagbook')}, "
                "which is not understood here: install the same dagbook there",
            )
        return hello

    def _failed_start(self) -> BridgeError:
        said = " ".join(self._said)
        python = f"{self._python.path} ({self._python.origin})"
        if "No module named dagbook" in said or "No module named 'dagbook" in said:
            text = f"{python} has no dagbook that can answer here: {self._python.path} -m pip install 'dagbook[dagster]'"
        elif "Unknown option: -P" in said or "unknown option -P" in said.lower():
            text = f"{python} is too old: dagbook needs Python 3.11 or newer"
        else:
            ended = self.how_it_ended
            text = f"the process that answers for the project does not start in {python}: {ended}"
        return BridgeError(Code.DOWN, text, last_words=self.last_words)
