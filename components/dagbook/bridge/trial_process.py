"""A trial as the front sees it: a process of its own for one run of one notebook."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dagbook.bridge_protocol import BridgeError, Code, line_of, message_of

_KEPT_LINES = 40
#: How long a cancelled trial may take to store its notebook, in seconds.
END_SECONDS = 30.0


class TrialProcess:
    """One trial, from its start to its end."""

    def __init__(self, root: Path, arguments: Any) -> None:
        self._said: deque[str] = deque(maxlen=_KEPT_LINES)
        self._is_cancelled = False
        from_trial, answers = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "dagbook.bridge.trial", str(root), str(answers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=root,
            pass_fds=(answers,),
            start_new_session=True,
        )
        os.close(answers)
        self._answers = os.fdopen(from_trial, "rb")
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(line_of({"arguments": arguments}).encode())
            self._process.stdin.flush()

    def follow(self, tell: Callable[[Mapping[str, Any]], None]) -> dict[str, Any]:
        """Pass on what it tells, and return its answer: ``result`` or ``error``.

        Raises:
            BridgeError: it ended without one.
        """
        words = threading.Thread(target=self._read_words, daemon=True)
        words.start()
        answer: dict[str, Any] | None = None
        with self._answers:
            for line in self._answers:
                message = message_of(line.decode("utf-8", "replace")) or {}
                if "event" in message:
                    tell(message["event"])
                elif message:
                    answer = message
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        status = self._process.wait()
        words.join(1)
        if answer is not None:
            return answer
        if self._is_cancelled:
            raise BridgeError(Code.CANCELLED, "the trial was cancelled")
        raise BridgeError(
            Code.CRASHED,
            f"the trial ended without a result (exit status {status})",
            last_words=tuple(self._said),
        )

    def cancel(self) -> None:
        """Have it end, its notebook stored as cancelled; what does not end by itself is ended."""
        self._is_cancelled = True
        with contextlib.suppress(OSError):
            self._process.send_signal(signal.SIGINT)
        timer = threading.Timer(END_SECONDS, self._kill)
        timer.daemon = True
        timer.start()

    def _kill(self) -> None:
        if self._process.poll() is None:
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _read_words(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stdout:
            for line in stdout:
                self._said.append(line.decode("utf-8", "replace").rstrip()[:500])
