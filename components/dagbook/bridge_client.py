"""Asks a project's own Python about its components, without loading any of them here.

``with Bridge.open(project) as bridge: bridge.ask("form_schema", notebook="churn.ipynb")``

The answers come from ``python -m dagbook.bridge``, a process in the project's interpreter that is
started on the first question and ends with this process. This module takes nothing but the
standard library: a kernel imports it.
"""

from __future__ import annotations

import atexit
import concurrent.futures
import contextlib
import itertools
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dagbook import trust
from dagbook.bridge_process import BridgeProcess
from dagbook.bridge_protocol import BridgeError, Code
from dagbook.errors import DagbookError
from dagbook.project import Project, absolute_path, find_project
from dagbook.project_python import Interpreter, find_python, own_python

#: How long an answer may take, in seconds; the first one has Dagster loaded before it.
ANSWER_SECONDS = 90.0

#: How long a bridge that ended is left alone before it is started again, in seconds: twice as
#: long each time it ends soon after.
FIRST_WAIT = 1.0
LONGEST_WAIT = 60.0
_SOON = 30.0

Tell = Callable[[Mapping[str, Any]], None]

_open_bridges: dict[Path, Bridge] = {}
_registry = threading.Lock()


class Bridge:
    """One project's bridge. Every thread of this process may ask it at the same time."""

    def __init__(self, root: Path) -> None:
        """Use :meth:`open`, which hands out one for each project."""
        self.root = root
        self._lock = threading.Lock()
        self._process: BridgeProcess | None = None
        self._started_as: tuple[Any, ...] = ()
        self._numbers = itertools.count(1)
        self._users = 0
        self._wait = 0.0
        self._not_before = 0.0
        self._pid = os.getpid()

    @classmethod
    def open(cls, project: Project | Path | str) -> Bridge:
        """The bridge of a project, or of a folder that is to become one.

        Nothing is started yet. It is closed when everyone who opened it has closed it, and at the
        end of this process.

        Args:
            project: the project, or a file or folder in it.

        Raises:
            DagbookError: the project's settings cannot be read.
        """
        root = project.root if isinstance(project, Project) else _root_of(Path(project))
        with _registry:
            bridge = _open_bridges.get(root)
            if bridge is None or bridge._pid != os.getpid():
                # What was opened before a fork is the parent's.
                bridge = _open_bridges[root] = cls(root)
            bridge._users += 1
            return bridge

    def __enter__(self) -> Bridge:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(
        self,
        verb: str,
        *,
        timeout: float = ANSWER_SECONDS,
        on_event: Tell | None = None,
        **arguments: Any,
    ) -> Any:
        """Ask, and wait for the answer.

        Args:
            verb: what is asked; docs/bridge.md lists them.
            timeout: how long to wait, in seconds.
            on_event: is told what happens meanwhile, in a thread of the bridge's.
            arguments: what goes with the verb, as plain JSON; paths may be `Path`.

        Raises:
            BridgeError: there is no answer; its `code` says of what kind the reason is.
        """
        number, future = self._send(verb, arguments, on_event)
        try:
            return future.result(timeout)
        except concurrent.futures.TimeoutError:
            self._give_up(number)
            raise self._late(verb, timeout) from None
        except BaseException:
            # Such as Ctrl-C.
            self._give_up(number)
            raise

    async def ask_async(
        self,
        verb: str,
        *,
        timeout: float = ANSWER_SECONDS,
        on_event: Tell | None = None,
        **arguments: Any,
    ) -> Any:
        """The same for an event loop, which goes on meanwhile. Cancelled, it cancels the question.

        Raises:
            BridgeError: there is no answer.
        """
        import asyncio  # slow, and whoever asks here has it loaded

        # Starting the process would hold the loop up.
        loop = asyncio.get_running_loop()
        number, future = await loop.run_in_executor(None, self._send, verb, arguments, on_event)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), timeout)
        except TimeoutError:
            self._give_up(number)
            raise self._late(verb, timeout) from None
        except asyncio.CancelledError:
            self._give_up(number)
            raise

    def hello(self) -> dict[str, Any]:
        """What the bridge said of itself: versions, interpreter, verbs. Starts it.

        Raises:
            BridgeError: it cannot be started.
        """
        return dict(self._running().hello)

    @property
    def pid(self) -> int | None:
        """The number of its process, None while none runs."""
        process = self._process
        return process.pid if process is not None and process.is_alive else None

    @property
    def is_trusted(self) -> bool:
        """Whether the project's code may run.

        Raises:
            DagbookError: what is known of that cannot be relied on.
        """
        return trust.is_trusted(self.root)

    def trust(self) -> None:
        """Write down that this user trusts the project's code; the next question runs it.

        Raises:
            DagbookError: it cannot be written down.
        """
        trust.trust_project(self.root)

    def close(self) -> None:
        """End the process, unless somebody else of this process has it open too."""
        with _registry:
            self._users = max(0, self._users - 1)
            if self._users:
                return
            if _open_bridges.get(self.root) is self:
                del _open_bridges[self.root]
        self._end()

    def _end(self) -> None:
        with self._lock:
            process, self._process = self._process, None
        if process is not None and self._pid == os.getpid():
            process.end()

    def _send(
        self, verb: str, arguments: Mapping[str, Any], on_event: Tell | None
    ) -> tuple[int, concurrent.futures.Future[Any]]:
        process, number = self._running(), next(self._numbers)
        plain = {name: str(v) if isinstance(v, Path) else v for name, v in arguments.items()}
        return number, process.send(number, verb, plain, on_event)

    def _give_up(self, number: int) -> None:
        process = self._process
        if process is not None:
            process.cancel(number)

    def _late(self, verb: str, timeout: float) -> BridgeError:
        process = self._process
        doing = process.last_event if process is not None else ""
        after = f": {doing}" if doing else ""
        return BridgeError(Code.TIMED_OUT, f"`{verb}` had no answer within {timeout:g} s{after}")

    def _running(self) -> BridgeProcess:
        """The process, started if it has to be, and started anew where another is wanted."""
        if self._pid != os.getpid():
            raise BridgeError(Code.DOWN, "this bridge belongs to another process: open one here")
        with self._lock:
            try:
                python, trusted = self._wanted()
            except DagbookError as error:
                raise BridgeError(Code.REFUSED, str(error)) from None
            wanted = (python.path, trusted)
            process = self._process
            if process is not None and process.is_alive and wanted == self._started_as:
                return process
            if process is not None and process.is_alive:
                process.end()
            elif process is not None:
                self._note_end(process)
                process.end()
            self._refuse_too_soon(process)
            self._process = None
            try:
                self._process = BridgeProcess(self.root, python)
            except BridgeError:
                self._back_off()
                raise
            self._started_as = wanted
            return self._process

    def _wanted(self) -> tuple[Interpreter, bool]:
        """Which Python to ask, and whether it may run the project's code."""
        trusted = trust.is_trusted(self.root)
        # The interpreter of a project is a program that came with it.
        python = find_python(self.root) if trusted else own_python()
        return python, trusted

    def _note_end(self, process: BridgeProcess) -> None:
        if process.was_noted:
            return
        process.was_noted = True
        if process.lived_seconds < _SOON:
            self._back_off()
        else:
            self._wait = self._not_before = 0.0

    def _back_off(self) -> None:
        self._wait = min(max(FIRST_WAIT, self._wait * 2), LONGEST_WAIT)
        self._not_before = time.monotonic() + self._wait

    def _refuse_too_soon(self, process: BridgeProcess | None) -> None:
        left = self._not_before - time.monotonic()
        # The first time it is simply started again.
        if left > 0 and self._wait > FIRST_WAIT:
            why = "" if process is None else f" ({process.how_it_ended})"
            raise BridgeError(
                Code.DOWN,
                f"the process that answers for {self.root} ended several times{why}: it is started "
                f"again in {left:.0f} s",
                last_words=() if process is None else process.last_words,
            )


def _root_of(path: Path) -> Path:
    project = find_project(path)
    if project is not None:
        return project.root
    path = absolute_path(path)
    return path if path.is_dir() else path.parent


def _close_all() -> None:
    with _registry:
        bridges = list(_open_bridges.values())
        _open_bridges.clear()
    for bridge in bridges:
        with contextlib.suppress(Exception):
            bridge._end()


def _forget_parents() -> None:
    """In a fork: let go of the parent's processes, or they would outlive it with us."""
    global _registry
    _registry = threading.Lock()
    for bridge in list(_open_bridges.values()):
        process = bridge._process
        if process is not None:
            process.let_go()
    _open_bridges.clear()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_forget_parents)
