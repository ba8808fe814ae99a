"""The run's record in MLflow, kept beside the run and never in its way."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import dagster as dg

from dagbook.errors import DagbookError
from dagbook.execution.result import ExecutionResult, RunStatus
from dagbook.notebook import Notebook
from dagbook.notebook_runner.run_time_names import fill_in
from dagbook.notebook_runner.run_values import RunValues
from dagbook.sinks.mlflow import (
    MlflowError,
    MlflowRun,
    is_installed,
    start_run,
    store_is_ready,
    tracking_uri,
)

if TYPE_CHECKING:
    from dagbook.notebook_runner.asset import NotebookAsset

_SET_EXPERIMENT = re.compile(
    r"\bmlflow\.set_experiment\(\s*(?:experiment_name\s*=\s*)?([\"'])(.+?)\1"
)
_SET_TRACKING_URI = re.compile(r"\bmlflow\.set_tracking_uri\(")


class Recording:
    """Keeps one run in MLflow. Whatever goes wrong there is said in the log and ends nothing."""

    def __init__(self, log: logging.Logger, asset: NotebookAsset) -> None:
        self._log = log
        self._asset = asset
        self._notebook: Notebook | None = None
        self._values: RunValues | None = None
        self._pending: Future[MlflowRun | None] | None = None
        self._start: Callable[[], MlflowRun] | None = None
        self._has_warned = False
        self._needs_id = False

    def about(self, notebook: Notebook, values: RunValues) -> None:
        """Say what the run is about."""
        self._notebook, self._values = notebook, values

    def start(self) -> None:
        """Make the run's record: in the background, where the notebook can start without it.

        Importing MLflow takes as long as starting a kernel, and most notebooks never ask for it.
        """
        if self._pending is not None or self._notebook is None or self._values is None:
            return
        if not is_installed():
            self._pending = Future()
            self._pending.set_result(None)
            self._log.info(
                "MLflow is not installed, so this run is not recorded there: "
                "pip install 'dagbook[mlflow]'"
            )
            return
        start = partial(
            start_run,
            experiment=self._experiment_name(self._notebook, self._values),
            run_name=self._values.partition_key or self._values.run_date,
            tags=self._tags(self._values),
            notebook=self._asset.component.notebook,
            tracking_uri=self._asset.component.experiment.tracking_uri,
            state_folder=self._state_folder,
        )
        self._pending = Future()
        self._start = start
        if self._is_needed_at_start(self._notebook):
            self._start_now()

    def start_in_background(self) -> None:
        """Make the record now, beside the kernel's work, if it has not been made.

        Not sooner: while the runner imports its own packages, a second importing thread finds
        some of them half made.
        """
        start, self._start = self._start, None
        if start is not None:
            # A daemon: a server that does not answer must not hold the run's end back.
            Thread(target=self._settle, args=(start,), daemon=True).start()

    def wait(self) -> MlflowRun | None:
        """The run in MLflow, once it is there; None when it cannot be had."""
        if self._pending is None:
            return None
        self._start_now()
        try:
            return self._pending.result()
        except MlflowError as error:
            if not self._has_warned:
                self._has_warned = True
                self._log.warning(f"MLflow does not record this run: {error}")
            return None

    def experiment_id(self) -> str:
        """The identity of the MLflow experiment, for `{{ experiment_id }}`.

        Raises:
            DagbookError: MLflow is not there to give one.
        """
        self._needs_id = True
        self.start()
        run = self.wait()
        if run is None:
            raise DagbookError("`{{ experiment_id }}` needs MLflow, which does not record this run")
        return run.experiment_id

    @property
    def known_experiment_id(self) -> str | None:
        """The identity of the MLflow experiment, if it is known by now."""
        run = self.wait() if self._pending is not None and self._pending.done() else None
        return run.experiment_id if run is not None else None

    @property
    def environment(self) -> dict[str, str]:
        """What makes `mlflow.*` calls in the notebook land in this very run."""
        if self._pending is None or self._notebook is None or self._values is None:
            return {}
        if not self._pending.done():
            # Nothing in the notebook names MLflow. A library that logs by itself finds the
            # right experiment.
            uri = tracking_uri(self._asset.component.experiment.tracking_uri, self._state_folder)
            return {
                "MLFLOW_TRACKING_URI": uri,
                "MLFLOW_EXPERIMENT_NAME": self._experiment_name(self._notebook, self._values),
            }
        run = self.wait()
        if run is None:
            return {}
        if _SET_TRACKING_URI.search(_code(self._notebook)):
            self._log.info(
                "The notebook names an MLflow server itself: what it logs goes there, in a run "
                "of its own"
            )
            return {"MLFLOW_TRACKING_URI": run.tracking_uri}
        return run.environment

    @property
    def metadata(self) -> dict[str, Any]:
        """Where to find the record."""
        run = self.wait()
        if run is None:
            return {}
        url = run.url
        value = dg.MetadataValue.url(url) if url else dg.MetadataValue.text(run.run_id)
        return {"mlflow_run": value}

    def finish(self, result: ExecutionResult, measurements: dict[str, float]) -> None:
        """Complete the record with what came out."""
        run = self.wait()
        for note in run.finish(result, measurements) if run is not None else []:
            self._log.warning(f"MLflow: {note}")

    def finish_soon(self, result: ExecutionResult, seconds: float = 3.0) -> None:
        """The same for a run that is being cancelled, which waits for no slow server."""
        thread = Thread(target=self.finish, args=(result, {}), daemon=True)
        thread.start()
        thread.join(seconds)

    def end(self, status: RunStatus) -> None:
        """Close the record of a run that came to nothing."""
        run = self.wait()
        if run is not None:
            run.end(status)

    def _start_now(self) -> None:
        start, self._start = self._start, None
        if start is not None:
            self._settle(start)

    def _settle(self, start: Callable[[], MlflowRun]) -> None:
        assert self._pending is not None
        try:
            self._pending.set_result(start())
        except Exception as error:
            self._pending.set_exception(error)

    @property
    def _state_folder(self) -> Path:
        return self._asset.project_root / ".dagbook"

    def _is_needed_at_start(self, notebook: Notebook) -> bool:
        named = self._asset.component.experiment.tracking_uri
        if self._needs_id or not store_is_ready(named, self._state_folder):
            return True
        texts = [_code(notebook)]
        texts += [path.read_text("utf-8", "replace") for path in self._asset.modules(notebook)]
        return any("mlflow" in text or "experiment_id" in text for text in texts)

    def _experiment_name(self, notebook: Notebook, values: RunValues) -> str:
        named = self._asset.component.experiment.name
        if named is not None:
            # `experiment_id` in here was refused when the YAML was read.
            return str(fill_in(named, values.lookup(lambda: "")))
        return experiment_set_in(notebook) or "/".join(self._asset.key.path)

    def _tags(self, values: RunValues) -> dict[str, str]:
        tags = self._asset.component.experiment.tags
        own = {
            "dagster.run_id": values.run_id,
            "dagster.asset_key": "/".join(self._asset.key.path),
            "dagster.partition": values.partition_key,
            "dagbook.environment": values.environment,
            "dagbook.attempt": str(values.attempt),
        }
        given = tags if isinstance(tags, dict) else dict.fromkeys(tags, "true")
        return {**{name: value for name, value in own.items() if value}, **given}


def experiment_set_in(notebook: Notebook) -> str | None:
    """The experiment a notebook sets itself, where it is written as plain text.

    MLflow refuses to go on with a run of another experiment than the one set, so the run is
    made in that one.
    """
    found = _SET_EXPERIMENT.search(_code(notebook))
    return found.group(2) if found else None


def _code(notebook: Notebook) -> str:
    return "\n".join(
        cell.source for cell in notebook.cells if cell.cell_type == "code" and not cell.is_skipped
    )
