"""Runs the demo's notebooks through Dagster and says what came out of each.

``python -m dagbook.tour FOLDER``, where FOLDER was made by ``dagbook init FOLDER --demo``. The runs
are kept in the project's own Dagster instance, the one that ``dagbook up`` shows.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagbook.errors import DagbookError
from dagbook.project import Project, require_project

if TYPE_CHECKING:
    import dagster as dg

#: What is run, in this order: an asset, and the partition where it has any.
STOPS: tuple[tuple[str, str | None], ...] = (
    *(("digits/features", f"2026-01-0{day}") for day in range(1, 6)),
    ("digits/model", None),
    ("digits/report", None),
)

# Characters in a line behind its label.
_LINE = 84

# Floats among a run's metadata that are not the notebook's own metrics.
_MEASURED = {"runtime_seconds", "cpu_seconds", "gpu_utilization_percent"}
# The same, where the size has a price.
_PAID = {"cost", "month_to_date"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all of it; 0 when every notebook succeeded, 2 when the folder is not the demo."""
    folder = Path((list(sys.argv[1:] if arguments is None else arguments) or ["demo"])[0])
    start = Path.cwd()
    # What MLflow says while it makes its database belongs in no list of results.
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    try:
        project = require_project(folder)
        succeeded = run_stops(project)
    except DagbookError as error:
        print(f"dagbook: {error}", file=sys.stderr)
        return 2
    print("", *where_to_look(project, start), sep="\n")
    return 0 if succeeded else 1


def run_stops(project: Project) -> bool:
    """Run the demo's notebooks up to the first that does not succeed; False when one did not.

    Raises:
        DagbookError: Dagster is not installed, or the project is not the demo.
    """
    from dagbook.location import load_project
    from dagbook.services import open_instance, prepare_instance

    prepare_instance(project)
    with open_instance(project) as instance:
        # Loaded while the instance is open: Dagster looks into the newest one, open or not.
        job = load_project(project).resolve_implicit_global_asset_job_def()
        known = {key.to_user_string() for key in job.asset_layer.selected_asset_keys}
        missing = {asset for asset, _ in STOPS} - known
        if missing:
            raise DagbookError(
                f"{project.root} is not the demo, it lacks {', '.join(sorted(missing))}: make it "
                "with `dagbook init demo --demo`"
            )
        for asset, partition in STOPS:
            print(f"{' '.join(filter(None, [asset, partition])):<30}", end="", flush=True)
            started = time.monotonic()
            result = run_asset(job, instance, asset, partition)
            verdict = "succeeded" if result.success else "did not succeed"
            print(f"{verdict} in {time.monotonic() - started:.1f} s")
            for line in what_came_out(result):
                print(f"    {line}")
            if not result.success:
                return False  # what comes after needs what this one makes
    return True


def run_asset(
    job: dg.JobDefinition,
    instance: dg.DagsterInstance | None,
    asset: str,
    partition: str | None,
    ops: Mapping[str, Any] | None = None,
) -> dg.ExecuteInProcessResult:
    """Run one notebook as a recorded run of Dagster, in this process."""
    from dagster import AssetKey

    return job.execute_in_process(
        instance=instance,
        asset_selection=[AssetKey(asset.split("/"))],
        partition_key=partition,
        # Dagster's own log goes to its page. Here it would bury what came out.
        run_config={
            "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            **({"ops": ops} if ops else {}),
        },
        raise_on_error=False,
    )


def what_came_out(result: dg.ExecuteInProcessResult) -> Iterator[str]:
    """The metrics, the checks and, where a run did not succeed, the reason: a line each."""
    for materialization in result.get_asset_materialization_events():
        metrics = own_metrics(materialization.materialization.metadata)
        yield from packed("metrics", [f"{name} {value:.4g}" for name, value in metrics.items()])
    checks = result.get_asset_check_evaluations()
    verdicts = {True: "passed", False: "not passed"}
    yield from packed("checks", [f"{c.check_name} {verdicts[c.passed]}" for c in checks])
    for check in checks:
        if not check.passed:
            effect = "stopped the run" if check.blocking else "noted only"
            yield f"         {check.check_name}, {effect}: {check.description}"
    if not result.success:
        for event in result.filter_events(lambda event: event.is_step_failure):
            yield f"failed   {why(event.step_failure_data)}"


def packed(label: str, items: Sequence[str]) -> Iterator[str]:
    """The items behind a label, as many in a line as fit; no line for no items."""
    line = ""
    for item in items:
        if line and len(line) + len(item) > _LINE:
            yield f"{label:<9}{line}"
            label, line = "", ""
        line += f"  {item}" if line else item
    if line:
        yield f"{label:<9}{line}"


def why(failure: Any) -> str:
    """Why a step failed, by Dagster's record of it."""
    if failure.user_failure_data is not None and failure.user_failure_data.description:
        return str(failure.user_failure_data.description)
    error = failure.error
    while error is not None and error.cause is not None:
        error = error.cause
    return str(error.message).strip() if error is not None else "no reason was recorded"


def own_metrics(metadata: Mapping[str, Any]) -> dict[str, float]:
    """The notebook's metrics out of what a run left on its asset."""
    from dagster import FloatMetadataValue

    measured = _MEASURED | _PAID if "currency" in metadata else _MEASURED
    return {
        name: value.value
        for name, value in metadata.items()
        if isinstance(value, FloatMetadataValue) and value.value is not None
        if name not in measured
    }


def where_to_look(project: Project, start: Path) -> Iterator[str]:
    """Where the executed notebooks lie, and how to see the runs, for somebody at `start`."""
    yield "Where to look"
    for asset in dict.fromkeys(asset for asset, _ in STOPS):
        pages = sorted(project.runs_folder.joinpath(asset).rglob("*.html"))
        if pages:
            yield f"    {asset:<26}{shown(pages[-1], start)}"
    dagbook = Path(sys.executable).with_name("dagbook")
    found = shutil.which("dagbook")
    at_hand = found is not None and Path(found).absolute() == dagbook.absolute()
    command = "dagbook" if at_hand else os.path.relpath(dagbook, project.root)
    yield f"    {'all runs and schedules':<26}cd {shown(project.root, start)} && {command} up"


def shown(path: Path, start: Path) -> str:
    """A path as short as it can be typed from `start`."""
    return str(path.relative_to(start)) if path.is_relative_to(start) else str(path)


if __name__ == "__main__":
    sys.exit(main())
