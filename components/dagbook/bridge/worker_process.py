"""The worker as the front sees it: its pipes, its deadlines, and what it leaves."""

from __future__ import annotations

import collections
import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dagbook.bridge.component_frames import is_component_code
from dagbook.bridge.culprit import Culprit, find_culprit
from dagbook.bridge_protocol import BridgeError, Code, line_of, message_of

#: How long loading Dagster and our own component may take, in seconds.
START_SECONDS = 60.0
#: How long all imports of one question may take together, in seconds.
_MOST_IMPORT_SECONDS = 120.0
_STACK_SECONDS = 1.0
_KEPT_LINES = 200


class TooSlow(Exception):
    """It did not answer in time."""


class Ended(Exception):
    """It ended instead of answering."""


class WorkerProcess:
    """One worker, from its start to its end. Asked one question at a time."""

    def __init__(self, root: Path, *, trusted: bool, left_out: Mapping[str, str]) -> None:
        """Start it; it is ready later."""
        self.doing = ""
        self.is_ready = False
        #: Files of the project that it has imported.
        self.imported: set[str] = set()
        self._importing: str | None = None
        self._messages: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._said: collections.deque[str] = collections.deque(maxlen=_KEPT_LINES)
        questions, to_worker = os.pipe()
        from_worker, answers = os.pipe()
        # In a session of its own, so that what its code starts can be ended with it.
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-P", "-m", "dagbook.bridge.worker"),
                *(str(questions), str(answers), str(os.getpid())),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=root,
            pass_fds=(questions, answers),
            start_new_session=True,
        )
        os.close(questions)
        os.close(answers)
        self._to_worker = os.fdopen(to_worker, "w", encoding="utf-8")
        self._from_worker = os.fdopen(from_worker, "rb")
        self._readers = [
            threading.Thread(target=self._read_answers, daemon=True),
            threading.Thread(target=self._read_words, daemon=True),
        ]
        for reader in reversed(self._readers):
            reader.start()
        self._write({"root": str(root), "trusted": trusted, "left_out": dict(left_out)})

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._process.returncode is None and self._ended(wait=False) is None

    def await_ready(self) -> None:
        """Wait until it can be asked.

        Raises:
            BridgeError: it cannot.
        """
        try:
            self._next(time.monotonic() + START_SECONDS)
        except (TooSlow, Ended) as error:
            words = tuple(self._said)[-20:]
            self.kill()
            text = f"Dagster cannot be loaded in {sys.executable}: {error}"
            raise BridgeError(Code.DOWN, text, last_words=words) from None
        self.is_ready = True

    def ask(
        self,
        verb: str,
        arguments: Any,
        tell: Callable[[Mapping[str, Any]], None],
        *,
        call_seconds: float,
        import_seconds: float,
    ) -> dict[str, Any]:
        """Its answer: ``result`` or ``error``.

        Raises:
            TooSlow: there was none in time; it must be replaced.
            Ended: it ended; it must be replaced.
        """
        began = time.monotonic()
        deadline, limit = began + call_seconds, call_seconds
        self.doing, self._importing = "", None
        self._said.clear()
        self._write({"verb": verb, "arguments": arguments})
        while True:
            try:
                message = self._next(deadline)
            except TooSlow:
                self._ask_for_stack()
                raise TooSlow(f"did not end within {limit:g} s") from None
            if "importing" in message:
                self._importing = message["importing"]
                self.doing = f"importing `{self._importing}`"
                now = time.monotonic()
                deadline = max(deadline, min(now + import_seconds, began + _MOST_IMPORT_SECONDS))
                limit = import_seconds
            elif "event" in message:
                tell(message["event"])
            else:
                self.imported |= set(message.pop("imported", ()))
                self.doing = ""
                if "error" in message and self._said:
                    # What it printed may say why.
                    message["error"].setdefault("last_words", list(self._said)[-20:])
                return message

    def culprit(self, error: TooSlow | Ended) -> Culprit:
        """Whose code it was."""
        code = Code.TOO_SLOW if isinstance(error, TooSlow) else Code.CRASHED
        return find_culprit(
            code,
            str(error),
            list(self._said),
            importing=self._importing,
            is_foreign=is_component_code,
        )

    def kill(self) -> None:
        """End it, and what its code has started."""
        if self._process.returncode is None:
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for reader in self._readers:
            reader.join(_STACK_SECONDS)
        with contextlib.suppress(OSError, ValueError):
            self._to_worker.close()
        if not any(reader.is_alive() for reader in self._readers):
            self._from_worker.close()
            if self._process.stdout is not None:
                self._process.stdout.close()

    def _next(self, deadline: float) -> dict[str, Any]:
        try:
            message = self._messages.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise TooSlow("it did not answer in time") from None
        if message is None:
            raise Ended(self._how_it_ended())
        return message

    def _ended(self, *, wait: bool) -> os.waitid_result | None:
        """How it ended, None while it runs.

        It stays where it is: with its number its group must not become somebody else's before
        what it has started was ended.
        """
        if self._process.returncode is not None:
            return None
        flags = os.WEXITED | os.WNOWAIT | (0 if wait else os.WNOHANG)
        return os.waitid(os.P_PID, self._process.pid, flags)

    def _how_it_ended(self) -> str:
        ended = self._ended(wait=True)
        self._readers[1].join(_STACK_SECONDS)
        if ended is None or ended.si_code == os.CLD_EXITED:
            return f"ended the process (exit status {ended.si_status if ended else '?'})"
        try:
            return f"crashed the process ({signal.Signals(ended.si_status).name})"
        except ValueError:
            return f"crashed the process (signal {ended.si_status})"

    def _ask_for_stack(self) -> None:
        """Have it write down where it is; it answers also from within a loop."""
        before = len(self._said)
        with contextlib.suppress(OSError):
            self._process.send_signal(signal.SIGUSR1)
        end = time.monotonic() + _STACK_SECONDS
        while len(self._said) == before and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.05)  # the rest of its lines

    def _write(self, message: Mapping[str, Any]) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._to_worker.write(line_of(message))
            self._to_worker.flush()

    def _read_answers(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in self._from_worker:
                message = message_of(line.decode("utf-8", "replace"))
                if message is not None:
                    self._messages.put(message)
        self._messages.put(None)

    def _read_words(self) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(OSError, ValueError):
            for line in self._process.stdout:
                self._said.append(line.decode("utf-8", "replace").rstrip()[:500])
