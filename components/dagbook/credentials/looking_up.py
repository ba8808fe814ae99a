"""Asks the providers of several connections side by side, and waits no longer than it was told.

A provider that hangs keeps nobody waiting: its thread is left behind, and ends with the process.
"""

from __future__ import annotations

import contextlib
import math
import queue
import threading
import time
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import cast

from dagbook.credentials.provider import Fetched, Lookup, Provider, ProviderDown
from dagbook.errors import DagbookError, did_you_mean
from dagbook.policy.connections import Connection
from dagbook.policy.objections import one_line
from dagbook.policy.platform import Platform
from dagbook.policy.providers import find_provider, load_provider, provider_names

#: How long all providers together may take, in seconds.
DEADLINE_SECONDS = 45.0
#: How many are asked at once.
_AT_ONCE = 16

Answer = Fetched | DagbookError
_Task = tuple[Connection, Provider, Lookup]


def look_up(
    connections: Iterable[Connection],
    platform: Platform,
    environment: Mapping[str, str],
    *,
    asset: str | None = None,
    deadline_seconds: float = DEADLINE_SECONDS,
) -> dict[str, Answer]:
    """What the provider of each connection gave, or why it did not.

    Args:
        connections: each once.
        platform: whose `providers` say how to reach them.
        environment: the deployment's own.
        asset: whose run asks.
        deadline_seconds: how long sixteen connections may take; more of them may take as much
            again.

    Returns:
        By the connection's name; every error names the connection.
    """
    answers: dict[str, Answer] = {}
    tasks: list[_Task] = []
    folder = None if platform.file is None else platform.file.parent
    for connection in connections:
        try:
            provider = _load(connection)
        except DagbookError as error:
            answers[connection.name] = error
            continue
        lookup = Lookup(
            connection.key,
            connection.options,
            platform.providers.get(connection.provider, {}),
            environment,
            folder,
            asset,
        )
        tasks.append((connection, provider, lookup))
        answers[connection.name] = ProviderDown(
            f"connection `{connection.name}`: {connection.provider} did not answer within "
            f"{deadline_seconds:g} s: check the network of the deployment and "
            f"`providers.{connection.provider}`"
        )
    rounds = math.ceil(len(tasks) / _AT_ONCE)
    for connection, answer in _ask(tasks, deadline_seconds * rounds):
        answers[connection.name] = answer
    return answers


def _load(connection: Connection) -> Provider:
    """Import a provider; here and not in the threads, two of which would get in each other's way.

    Raises:
        DagbookError: there is none, or it cannot be imported.
    """
    name = connection.provider
    spec = find_provider(name)
    if spec is None:
        raise _named(
            connection,
            DagbookError(f"there is no provider `{name}`. {did_you_mean(name, provider_names())}"),
        )
    try:
        return cast("Provider", load_provider(name))
    except Exception as error:
        text = f"the provider {name} cannot be imported ({_where(error)})"
        if isinstance(error, ImportError) and spec.extra is not None:
            needed = f"{spec.package}: `pip install 'dagbook[{spec.extra}]'`"
            text = f"the provider {name} needs {needed}"
        raise _named(connection, DagbookError(text)) from None


def _ask(tasks: list[_Task], seconds: float) -> Iterable[tuple[Connection, Answer]]:
    waiting: queue.SimpleQueue[_Task] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[Connection, Answer]] = queue.SimpleQueue()
    for task in tasks:
        waiting.put(task)

    def work() -> None:
        while True:
            try:
                connection, provider, lookup = waiting.get_nowait()
            except queue.Empty:
                return
            done.put((connection, _answer(connection, provider, lookup)))

    deadline = time.monotonic() + seconds
    for number in range(min(len(tasks), _AT_ONCE)):
        # Daemons: a pool's threads would keep the process from its end.
        threading.Thread(target=work, name=f"dagbook-credentials-{number}", daemon=True).start()
    try:
        for _ in tasks:
            yield done.get(timeout=max(deadline - time.monotonic(), 0))
    except queue.Empty:
        # Nobody waits for those that were not begun.
        with contextlib.suppress(queue.Empty):
            while True:
                waiting.get_nowait()


def _answer(connection: Connection, provider: Provider, lookup: Lookup) -> Answer:
    try:
        found = provider(lookup)
    except DagbookError as error:
        return _named(connection, error)
    except Exception as error:
        # Its text may hold anything, the value too.
        text = f"the provider {connection.provider} failed ({_where(error)})"
        return _named(connection, DagbookError(text))
    if not isinstance(found, Fetched):
        text = f"the provider {connection.provider} gave {type(found).__name__}, not Fetched"
        return _named(connection, DagbookError(text))
    if found.expires_at is not None and found.expires_at <= time.time():
        text = f"{connection.provider} gave a credential that has ended already"
        return _named(connection, ProviderDown(f"{text}: check its clock, and this machine's"))
    return found


def _named(connection: Connection, error: DagbookError) -> DagbookError:
    kind = ProviderDown if isinstance(error, ProviderDown) else DagbookError
    return kind(one_line(f"connection `{connection.name}`: {error}"))


def _where(error: BaseException) -> str:
    """What an error is and where it arose, and nothing that it says."""
    frames = traceback.extract_tb(error.__traceback__)
    at = f" in {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{at}"
