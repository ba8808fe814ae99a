"""Hands a run's folder of the spool to the process that sends, and waits for it no longer than told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, dataclass
from threading import Lock
from typing import Any

from dagbook.credentials.delivery import TRACKING_PREFIX
from dagbook.sinks.spool import ASIDE_FOLDER, Spool, is_uploading


@dataclass(frozen=True)
class Patience:
    """How long a run waits for MLflow, in seconds: for one answer, and for all of them.

    That MLflow takes its time to be imported is no server's fault, and comes on top; and so does
    a large file that the notebook gave MLflow.
    """

    answer_seconds: float
    all_seconds: float
    import_seconds: float = 60.0
    upload_seconds: float = 3600.0

    def at_most(self, seconds: float) -> Patience:
        """The same, cut short."""
        return Patience(*(min(seconds, own) for own in astuple(self)))


#: A server that does not answer, or is slow, must not hold a run up.
FOR_A_SERVER = Patience(answer_seconds=5.0, all_seconds=10.0)
#: The same before the kernel starts, where a recorder takes what the notebook logs.
FOR_A_NOTEBOOK = Patience(answer_seconds=2.0, all_seconds=4.0, import_seconds=30.0)
#: A file of the project: other runs may be writing to it, but it does answer.
FOR_A_FILE = Patience(answer_seconds=30.0, all_seconds=60.0)

_POLL_SECONDS = 0.02

_lock = Lock()
_process: subprocess.Popen[bytes] | None = None
_process_of: int | None = None


def hand_over(
    spool: Spool, *, uris: Iterable[str] = (), login: Mapping[str, str] | None = None
) -> None:
    """Have a folder delivered, from now on, by a process beside this one.

    Args:
        spool: the folder.
        uris: addresses with their logins, which the folder does not hold.
        login: the server's, as `MLFLOW_TRACKING_…`; None: what the environment holds. It goes
            through a pipe.

    Raises:
        OSError: there can be no such process.
    """
    _tell(
        {
            "folder": str(spool.folder),
            "uris": list(uris),
            "environment": environment_with(login),
        }
    )


def environment_with(login: Mapping[str, str] | None) -> dict[str, str]:
    """This process's environment, with another login to the tracking server."""
    if login is None:
        return dict(os.environ)
    own = {n: v for n, v in os.environ.items() if not n.startswith(TRACKING_PREFIX)}
    return {**own, **login}


def wake() -> None:
    """Have it look at its folders now."""
    try:
        _tell({}, start=False)
    except OSError:
        pass  # it ended meanwhile; what it was to send, others will


def wait_for_run(spool: Spool, patience: Patience) -> dict[str, Any]:
    """Wait until the run is in MLflow, or it is clear that it will not be soon.

    Returns:
        The state of the folder: with a ``run_id``, or with the ``problem``.
    """
    return _wait(spool, lambda state: "run_id" in state or bool(state.get("problem")), patience)


def wait_for_end(spool: Spool, patience: Patience, failures: int) -> dict[str, Any]:
    """Wait until everything has been sent, or it is clear that it will not be soon.

    Args:
        spool: the folder.
        patience: for how long.
        failures: how often it had failed before the run ended; one more decides it.

    Returns:
        The state of the folder: ``delivered``, or with ``notes`` when some of it was refused, or
        with the ``problem``.
    """
    wake()
    return _wait(
        spool,
        lambda state: state.get("delivered", False) or state.get("failures", 0) > failures,
        patience,
    )


def _wait(
    spool: Spool, is_over: Callable[[dict[str, Any]], bool], patience: Patience
) -> dict[str, Any]:
    began = asked = heard = time.monotonic()
    before: dict[str, Any] | None = None
    while True:
        if not spool.folder.is_dir():
            return Spool(spool.folder.parent / ASIDE_FOLDER / spool.folder.name).state
        state = spool.state
        if is_over(state):
            return state
        now = time.monotonic()
        if state != before:
            before, heard = state, now
        if not state.get("imported") and now - began < patience.import_seconds and _is_running():
            asked = heard = now
        if is_uploading(state) and now - began < patience.upload_seconds and _is_running():
            asked = heard = now
        if now - heard > patience.answer_seconds or now - asked > patience.all_seconds:
            return {**state, "problem": state.get("problem") or "it does not answer"}
        time.sleep(_POLL_SECONDS)


def _tell(message: dict[str, Any], *, start: bool = True) -> None:
    line = json.dumps(message).encode() + b"\n"
    with _lock:
        for _ in range(2):
            process = _running(start)
            if process is None or process.stdin is None:
                return
            try:
                process.stdin.write(line)
                process.stdin.flush()
                return
            except OSError:
                process.kill()
                process.wait()
        raise OSError("the process that sends to MLflow ends at once")


def _is_running() -> bool:
    with _lock:
        return _running(start=False) is not None


def _running(start: bool) -> subprocess.Popen[bytes] | None:
    global _process, _process_of
    is_ours = _process_of == os.getpid()  # else it is a parent's, before a fork
    if _process is not None and is_ours and _process.poll() is None:
        return _process
    if not start:
        return None
    _process = subprocess.Popen(
        # Not from the folder it is started in: a notebook's module may be called mlflow.py.
        [sys.executable, "-P", "-m", "dagbook.sinks.sender_process"],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        # Its logins come through the pipe: an environment can be read by others of the same user.
        env=environment_with({}), start_new_session=True,
    )  # fmt: skip
    _process_of = os.getpid()
    return _process
