"""``python -m dagbook.bridge.trial``: run a notebook now, exactly as its schedule would.

The run is recorded in the project's own Dagster instance, like every other. It needs no services.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagbook.bridge.answering import answer, error_json
from dagbook.bridge.verbs import VERBS, Asked
from dagbook.bridge_protocol import BridgeError, Code, line_of, message_of
from dagbook.errors import DagbookError

if TYPE_CHECKING:
    import dagster as dg

    from dagbook.component_index import Component

#: On a run that somebody started to see whether it works.
TRIAL_TAG = "dagbook/trial"

_PROGRESS = re.compile(r"^cells? (?:\d+ to )?(\d+) of (\d+)")
_POLL_SECONDS = 0.3


def run_trial(
    asked: Asked,
    notebook: str,
    component: str | None = None,
    parameters: dict[str, Any] | None = None,
    partition: str | None = None,
    size: str | None = None,
) -> dict[str, Any]:
    """Run a notebook's component once, recorded as every run is, and say what it came to."""
    import dagster as dg

    from dagbook.bridge.runs import told_of
    from dagbook.notebook_runner.asset import op_name
    from dagbook.notebook_runner.grant import asking_for_size
    from dagbook.sample_run import components_in, definitions_of, last_partition
    from dagbook.services import open_instance, prepare_instance
    from dagbook.services.run_history import find_run
    from dagbook.validation import importable

    project = asked.project
    found = asked.index.choose(notebook, component)
    if found is None:
        raise DagbookError(f'{notebook} is not scheduled: say when, for example "daily 06:00"')
    components_in(found.path)  # refuses what would not load
    prepare_instance(project)
    key = dg.AssetKey(found.key.split("/"))
    values = _values(found, parameters or {})
    with open_instance(project) as instance:
        assert instance is not None
        with importable(project):
            defs = definitions_of(project, found.path)
        if partition is None:
            partition = last_partition(defs, key, found)
        elif "partitions" not in found.document.attributes:
            raise DagbookError(
                f"partition {partition}: {notebook} is not repeated for anything: leave it out"
            )
        run_id = str(uuid.uuid4())
        asked.tell({"run": run_id, "partition": partition})
        done = threading.Event()
        teller = threading.Thread(
            target=_tell_progress, args=(instance, run_id, asked.tell, done), daemon=True
        )
        teller.start()
        try:
            with asking_for_size(size):
                _execute(defs, instance, key, partition, run_id, {op_name(key): values})
        finally:
            done.set()
            teller.join(2 * _POLL_SECONDS)
    return told_of(find_run(project, run_id))


def _execute(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    key: dg.AssetKey,
    partition: str | None,
    run_id: str,
    values: Mapping[str, Any],
) -> None:
    config: dict[str, Any] = {
        # What it says is told from its record; here nobody would read it.
        "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
    }
    if any(values.values()):
        config["ops"] = {name: {"config": {"parameters": each}} for name, each in values.items()}
    job = defs.resolve_implicit_global_asset_job_def()
    job.execute_in_process(
        run_config=config,
        instance=instance,
        asset_selection=[key],
        partition_key=partition,
        run_id=run_id,
        tags={TRIAL_TAG: "true"},
        raise_on_error=False,
    )


def _values(component: Component, given: Mapping[str, Any]) -> dict[str, Any]:
    if not given:
        return {}
    from dagbook.notebook import read_notebook, resolve_parameters

    root = component.project.root
    notebook = read_notebook(root / component.notebook, within=root)
    resolved: dict[str, Any] = {}
    for as_text in (True, False):
        part = {name: v for name, v in given.items() if isinstance(v, str) is as_text}
        if part:
            resolved |= resolve_parameters(notebook, part, from_text=as_text, complete=False)
    return resolved


def _tell_progress(
    instance: dg.DagsterInstance,
    run_id: str,
    tell: Callable[[Mapping[str, Any]], None],
    done: threading.Event,
) -> None:
    """Tell the lines that the run logs about its cells, as they come."""
    cursor = None
    while True:
        is_last = done.wait(_POLL_SECONDS)
        try:
            connection = instance.get_records_for_run(run_id, cursor=cursor)
        except Exception:
            return  # the record is there afterwards; the run must not suffer
        cursor = connection.cursor
        for record in connection.records:
            text = record.event_log_entry.user_message
            match = _PROGRESS.match(text)
            if match:
                tell({"progress": text, "cell": int(match[1]), "of": int(match[2])})
        if is_last and not connection.has_more:
            return


def main() -> None:
    """Run the trial that the first line of standard input asks for; its end cancels it."""
    out = os.fdopen(int(sys.argv[2]), "w", encoding="utf-8", newline="\n")
    writing = threading.Lock()

    def say(message: Mapping[str, Any]) -> None:
        with writing:
            out.write(line_of(message))
            out.flush()

    message = message_of(sys.stdin.readline()) or {}
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def end_with_owner() -> None:
        sys.stdin.read()
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=end_with_owner, daemon=True).start()
    asked = Asked(Path(sys.argv[1]), True, lambda event: say({"event": event}))
    try:
        told: dict[str, Any] = {"result": answer(VERBS["trial"], asked, message.get("arguments"))}
    except BaseException as error:
        told = {"error": error_json(error)}
        if isinstance(error, KeyboardInterrupt):
            told = {"error": BridgeError(Code.CANCELLED, "the trial was cancelled").to_json()}
    say(json.loads(json.dumps(told, default=str)))
    out.close()
    # Its owner closes its input afterwards; that cancels nothing any more.
    os._exit(0)


if __name__ == "__main__":
    main()
