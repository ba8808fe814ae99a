"""Starts a run's recorder beside the worker, and ends it."""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

from dagbook.recorder.settings import END, Settings

#: How long it may take to come up, and to end, in seconds.
START_SECONDS, END_SECONDS = 30.0, 10.0
#: How often another takes the place of one that was killed.
MOST_REPLACED = 20
#: What begins so may hold a login, which no process has in its environment because of us.
_LOGINS = ("MLFLOW_TRACKING_",)


class Recorder:
    """The recorder of one run."""

    def __init__(self, owner: int | None = None) -> None:
        """Start its process, which waits to be told what to do.

        Args:
            owner: a descriptor that stays open while the recorder lives.

        Raises:
            OSError: there can be no such process.
        """
        self._token = secrets.token_urlsafe(24)
        self._port: int | None = None
        self._owner = owner
        self._settings: Settings | None = None
        self._has_ended = False
        self._has_answered, self._has_learned, self._lock = Event(), Event(), Lock()
        self._listener: Thread | None = None
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            # Not from the folder it is started in: a module of the project may be in the way.
            [sys.executable, "-P", "-m", "dagbook.recorder.process"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={n: v for n, v in os.environ.items() if not n.startswith(_LOGINS)},
            pass_fds=() if self._owner is None else (self._owner,), start_new_session=True,
        )  # fmt: skip

    def begin(
        self,
        folder: Path,
        *,
        managed: Mapping[str, Any],
        uri: str,
        artifacts: str | None,
        variables: Mapping[str, str],
        masked: list[tuple[str, str]],
        wake: Callable[[], None],
    ) -> None:
        """Have it record.

        Args:
            folder: the run's, in the spool.
            managed: the run the notebook is recorded in.
            uri: the server or store.
            artifacts: where a store without a server keeps files.
            variables: the server's login, as `MLFLOW_TRACKING_…`.
            masked: what must not be seen, with what is shown for it.
            wake: called when what waits should be delivered at once.

        Raises:
            OSError: it does not come up.
        """
        self._settings = Settings(
            str(folder), self._token, dict(managed), uri, artifacts, dict(variables), masked
        )
        with self._lock:
            self._tell(asdict(self._settings))
        self._listener = Thread(target=self._listen, args=(wake,), daemon=True)
        self._listener.start()
        if not self._has_answered.wait(START_SECONDS) or self._port is None:
            self.end()
            raise OSError("the MLflow recorder does not start")

    def learn(self, masked: list[tuple[str, str]], variables: Mapping[str, str]) -> None:
        """Tell it of credentials that were fetched anew; it knows them when this returns.

        Args:
            masked: what must not be seen, with what is shown for it.
            variables: the server's login, as `MLFLOW_TRACKING_…`.
        """
        news = {"secrets": masked, "variables": dict(variables)}
        self._has_learned.clear()
        with self._lock:
            if self._settings is not None:
                # For one that takes its place.
                known = [*self._settings.secrets, *masked]
                self._settings = dataclasses.replace(
                    self._settings, variables=dict(variables), secrets=known
                )
            try:
                self._tell(news)
            except (OSError, ValueError):
                return  # it has ended; the next one knows it from the start
        self._has_learned.wait(END_SECONDS)

    def _tell(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()

    @property
    def uri(self) -> str:
        """Its address, for the kernel of this run alone: it holds the run's token."""
        return f"http://127.0.0.1:{self._port}/{self._token}"

    @property
    def process_id(self) -> int:
        """Its process."""
        return self._process.pid

    def end(self) -> None:
        """Have it take no more; what it has acknowledged is on disk."""
        with self._lock:
            self._has_ended = True
            process = self._process
            try:
                assert process.stdin is not None
                process.stdin.write(END.encode())
                process.stdin.close()
            except (OSError, ValueError):
                pass  # it has ended
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._listener is not None:
            self._listener.join(END_SECONDS)
        if process.stdout is not None:
            process.stdout.close()

    def _listen(self, wake: Callable[[], None]) -> None:
        """Hear what it says, and put another in its place where it was killed."""
        for _ in range(1 + MOST_REPLACED):
            self._hear(wake)
            with self._lock:
                if self._has_ended or self._port is None or not self._replace():
                    break
        self._has_answered.set()

    def _replace(self) -> bool:
        """Start it again at its old address: it finds all that was acknowledged on disk."""
        before = self._process
        before.wait()
        for pipe in (before.stdin, before.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    pass  # what was in it had nobody to read it
        assert self._settings is not None
        try:
            self._process = self._start()
            self._tell({**asdict(self._settings), "port": self._port})
        except OSError:
            return False
        return True

    def _hear(self, wake: Callable[[], None]) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                message = json.loads(line)
            except ValueError:
                continue
            if "port" in message:
                self._port = int(message["port"])
                self._has_answered.set()
            elif "learned" in message:
                self._has_learned.set()
            elif "wake" in message:
                wake()
