"""Sends what runs could not, once MLflow is back. Anybody may call it, at any time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from dagbook.credentials.delivery import TRACKING_PREFIX
from dagbook.policy.package_platform import platform_of
from dagbook.project import STATE_FOLDER
from dagbook.recorder.private_process import hide
from dagbook.sinks.delivery import Delivery
from dagbook.sinks.later_login import LaterLogins, Platforms, fetch_logins
from dagbook.sinks.login import own_login
from dagbook.sinks.sender import environment_with
from dagbook.sinks.sender_process import PATIENCE
from dagbook.sinks.spool import Spool, is_uploading, spools_aside, spools_in


def replay_spools(
    project_root: Path,
    *,
    uris: Iterable[str] = (),
    seconds: float = 50.0,
    at_once: bool = False,
    platforms: Platforms | None = None,
) -> list[str]:
    """Send what waits in a project, in a process of its own that ends in time.

    Costs next to nothing where nothing waits.

    Args:
        project_root: the project.
        uris: addresses with their logins, where MLFLOW_TRACKING_URI does not name them.
        seconds: for how long at most; what is left then waits for the next time.
        at_once: also what failed a moment ago, which otherwise is left alone for a while.
        platforms: the policies whose connections log in, for what was recorded with one; None:
            that of the project. They are read only where such a run waits.

    Returns:
        What became of each run that waited, a line for each.
    """
    state_folder = project_root / STATE_FOLDER
    due = [spool for spool in spools_in(state_folder) if _is_due(spool, at_once)]
    if not due:
        return []
    logins = fetch_logins(due, platforms or (lambda: [platform_of(project_root)]))
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "dagbook.sinks.replay", str(state_folder.absolute())],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        # No login is in an environment, which others of the same user may read.
        env={**PATIENCE, **environment_with({})},
    )  # fmt: skip
    own = {n: v for n, v in os.environ.items() if n.startswith(TRACKING_PREFIX)}
    message = json.dumps([at_once, list(uris), own, logins.variables, logins.problems])
    try:
        told, _ = process.communicate(message, timeout=seconds)
    except subprocess.TimeoutExpired as late:
        if any(is_uploading(spool.state) for spool in due):
            # Half of a large file is of no use. It goes on alone, and ends with what it is at.
            so_far = late.stdout or b""
            return (so_far if isinstance(so_far, str) else so_far.decode()).splitlines()
        process.kill()
        told, _ = process.communicate()
    return told.splitlines()


def replay(
    state_folder: Path,
    *,
    uris: Iterable[str] = (),
    at_once: bool = False,
    logins: LaterLogins = LaterLogins(),  # noqa: B008 - nothing changes it
) -> Iterator[str]:
    """Send what waits, in this process; tells what became of each as it goes.

    One that fails holds up no other, but a server that has just failed is not asked again.
    """
    environment = dict(os.environ)
    failing: dict[str | None, str] = {}
    for spool in spools_in(state_folder):
        head = spool.head
        if not _is_due(spool, at_once) or (head is not None and head.tracking_uri in failing):
            continue
        name = spool.folder.name
        if name in logins.problems:
            yield f"{name}: waits for its login to MLflow: {logins.problems[name]}"
            continue
        login = logins.variables.get(name)
        if login is None and head is not None and head.tracking_uri is not None:
            login = own_login(head.tracking_uri, environment)
        _log_in(environment, login)
        delivery = Delivery(spool, uris=uris)
        try:
            if delivery.advance() and not delivery.was_somebody_elses:
                yield _line(spool, delivery.notes)
            elif head is not None and delivery.has_failed:
                failing[head.tracking_uri] = delivery.problem or ""
                yield f"{name}: waits for MLflow: {delivery.problem}"
        finally:
            delivery.give_up_lock()


def describe_spools(state_folder: Path) -> list[str]:
    """What is not in MLflow, in a few lines; nothing when everything is."""
    lines = []
    states = [spool.state for spool in spools_in(state_folder) if not spool.is_owned]
    waiting = [state for state in states if not state.get("delivered")]
    if waiting:
        problems = [state.get("problem") for state in waiting]
        reason = next((problem for problem in reversed(problems) if problem), "not tried yet")
        lines.append(f"{_runs(len(waiting))} not in MLflow yet, sent when it answers: {reason}")
    aside = spools_aside(state_folder)
    if aside:
        notes = aside[-1].state.get("notes") or ["no reason is known"]
        lines.append(
            f"{_runs(len(aside))} not recorded completely: {notes[0]}. See and remove "
            f"{aside[-1].folder.parent}"
        )
    return lines


def _log_in(environment: dict[str, str], login: dict[str, str] | None) -> None:
    """Have MLflow's client find one login in this process's environment, and no other."""
    os.environ.clear()
    os.environ.update(environment)
    if login is not None:
        for name in [name for name in os.environ if name.startswith(TRACKING_PREFIX)]:
            del os.environ[name]
        os.environ.update(login)


def _is_due(spool: Spool, at_once: bool) -> bool:
    return not spool.is_owned and (at_once or spool.state.get("retry_after", 0) <= time.time())


def _runs(count: int) -> str:
    return "1 run is" if count == 1 else f"{count} runs are"


def _line(spool: Spool, notes: list[str]) -> str:
    name = spool.folder.name
    return f"{name}: not recorded completely: {'; '.join(notes)}" if notes else f"{name}: recorded"


def _main() -> None:
    hide()
    at_once, uris, own, variables, problems = json.loads(sys.stdin.read())
    os.environ.update(own)
    logins = LaterLogins(variables, problems)
    # MLflow itself prints, and so may anything it loads.
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    for line in replay(Path(sys.argv[1]), uris=uris, at_once=at_once, logins=logins):
        try:
            print(line, file=out)
        except OSError:
            return  # nobody waits any more: the rest is for the next who looks


if __name__ == "__main__":
    _main()
