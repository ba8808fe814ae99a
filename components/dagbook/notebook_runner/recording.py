"""The run's record in MLflow, kept beside the run and never in its way."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from dagbook.errors import DagbookError
from dagbook.execution.result import ExecutionResult, MetricPoint, RunStatus
from dagbook.notebook import Notebook
from dagbook.notebook_runner.company_sinks import CompanySinks
from dagbook.notebook_runner.experiment import (
    experiment_name,
    names_a_server,
    run_tags,
    speaks_of_mlflow,
)
from dagbook.notebook_runner.run_values import RunValues
from dagbook.sinks.mlflow import (
    RECORDING_TAG,
    embedded_store,
    is_installed,
    is_server,
    run_url,
    store_is_ready,
    tracking_uri,
    without_login,
)
from dagbook.sinks.sender import (
    FOR_A_FILE,
    FOR_A_SERVER,
    Patience,
    hand_over,
    wait_for_end,
    wait_for_run,
)
from dagbook.sinks.spool import SPOOL_FOLDER, End, Head, OwnSpool

if TYPE_CHECKING:
    from dagbook.notebook_runner.asset import NotebookAsset


class Recording:
    """Keeps one run in MLflow, and tells a company's own sinks of it.

    Whatever goes wrong there is said in the log and ends nothing.

    Everything goes to a folder of the spool first; a process beside this one brings it to MLflow
    as the run goes on, or later.
    """

    def __init__(self, log: logging.Logger, asset: NotebookAsset, prefix: str = "") -> None:
        """Of one run.

        Args:
            log: the run's.
            asset: what is run.
            prefix: what the names of experiments begin with here.
        """
        self._log = log
        self._asset = asset
        self._sinks = CompanySinks(log, asset)
        self._prefix = prefix
        self._notebook: Notebook | None = None
        self._values: RunValues | None = None
        self._spool: OwnSpool | None = None
        self._has_started = False
        self._is_handed_over = False
        self._needs_id = False
        self._unwritten: list[MetricPoint] = []
        self._state: dict[str, Any] = {}

    def about(self, notebook: Notebook, values: RunValues) -> None:
        """Say what the run is about."""
        self._notebook, self._values = notebook, values

    def start(self) -> None:
        """Begin the run's record; make the run in MLflow now only if the notebook needs it.

        Importing MLflow takes as long as starting a kernel, and most notebooks never ask for it.
        """
        if self._has_started or self._notebook is None or self._values is None:
            return
        self._has_started = True
        if self._asset.scratch is not None:
            if not speaks_of_mlflow(self._asset, self._notebook):
                return  # a sample: nobody will look for it there
        else:
            self._sinks.start(self._values)
        if not is_installed():
            self._log.info(
                "MLflow is not installed, so this run is not recorded there: "
                "pip install 'dagbook[mlflow]'"
            )
            return
        values, folder = self._values, self._state_folder / SPOOL_FOLDER
        try:
            self._spool = OwnSpool(
                folder / f"{values.run_id}-{self._asset.op_name}-{values.attempt}",
                Head(
                    experiment=self._experiment(self._notebook, values),
                    run_name=values.partition_key or values.run_date,
                    tags=run_tags(self._asset, values),
                    notebook=self._asset.component.notebook,
                    tracking_uri=None if self._is_embedded else without_login(self._uri),
                    started_at=time.time(),
                    output_folder=str(self._asset.output_folder(values.partition_key)),
                ),
            )
        except OSError as error:
            self._log.warning(
                f"MLflow does not record this run: {folder} cannot be written ({error.strerror})"
            )
            return
        if (
            self._needs_id
            or not store_is_ready(self._uri, self._state_folder)
            or speaks_of_mlflow(self._asset, self._notebook)
        ):
            self._wait_for_run()

    def start_in_background(self) -> None:
        """Have what there is sent from now on, beside the kernel's work, if it is not yet."""
        if self._spool is None or self._is_handed_over:
            return
        self._is_handed_over = True
        self._hand_over()

    def add(self, points: Iterable[MetricPoint]) -> None:
        """Keep measurements as they come in."""
        points = list(points)
        if points:
            self._sinks.log(points)
        if self._spool is None:
            return
        self._unwritten += points
        try:
            self._spool.add(self._unwritten)
            self._unwritten = []
        except OSError:
            pass  # a full disk; tried again with the next ones, and told at the end

    @property
    def record(self) -> Path | None:
        """Where the result is put if the run vanishes."""
        return None if self._spool is None else self._spool.result_file

    def experiment_id(self) -> str:
        """The identity of the MLflow experiment, for `{{ experiment_id }}`.

        Raises:
            DagbookError: MLflow is not there to give one.
        """
        self._needs_id = True
        self.start()
        known = self.known_experiment_id
        if known is None:
            raise DagbookError("`{{ experiment_id }}` needs MLflow, which does not record this run")
        return known

    @property
    def known_experiment_id(self) -> str | None:
        """The identity of the MLflow experiment, if it is known by now."""
        return self._state.get("experiment_id")

    @property
    def environment(self) -> dict[str, str]:
        """What makes `mlflow.*` calls in the notebook land in this very run."""
        if self._spool is None or self._notebook is None or self._values is None:
            # Of a sample that asks for no MLflow: what logs by itself must not find the server.
            return {"MLFLOW_TRACKING_URI": self._uri} if self._asset.scratch is not None else {}
        run_id = self._state.get("run_id")
        if run_id is None:
            # Nothing in the notebook names MLflow, or it does not answer. A library that logs by
            # itself finds the right experiment.
            found = {
                "MLFLOW_TRACKING_URI": self._uri,
                "MLFLOW_EXPERIMENT_NAME": self._experiment(self._notebook, self._values),
            }
            if self._has_problem:
                # Should it answer later: the run that the notebook then makes is this one.
                tags = {RECORDING_TAG: self._spool.folder.name}
                found["MLFLOW_RUN_CONTEXT"] = json.dumps(tags)
            return found
        if names_a_server(self._notebook):
            self._log.info(
                "The notebook names an MLflow server itself: what it logs goes there, in a run "
                "of its own"
            )
            return {"MLFLOW_TRACKING_URI": self._uri}
        return {
            "MLFLOW_TRACKING_URI": self._uri,
            "MLFLOW_RUN_ID": run_id,
            "MLFLOW_EXPERIMENT_ID": self._state["experiment_id"],
        }

    @property
    def metadata(self) -> dict[str, Any]:
        """Where to find the record."""
        run_id = self._state.get("run_id")
        if run_id is None:
            return {}
        url = run_url(self._uri, self._state["experiment_id"], run_id)
        value = dg.MetadataValue.url(url) if url else dg.MetadataValue.text(run_id)
        return {"mlflow_run": value}

    def finish(
        self,
        result: ExecutionResult,
        measurements: Mapping[str, float],
        *,
        at_most: float | None = None,
    ) -> None:
        """Complete the record with what came out.

        Args:
            result: what came out.
            measurements: what was measured of the run's processes.
            at_most: how long to wait, in seconds, where that is shorter than usual.
        """
        self._sinks.finish(result, at_most=at_most)
        files = (result.executed_notebook, result.executed_html)
        end = End(
            result.status,
            result.started_at + result.duration_seconds,
            parameters={name: str(value) for name, value in result.parameters.items()},
            measurements={n: float(v) for n, v in measurements.items() if math.isfinite(v)},
            files=[str(path) for path in files if path is not None],
        )
        self._end(end, at_most)

    def finish_soon(self, result: ExecutionResult, seconds: float = 3.0) -> None:
        """The same for a run that is being cancelled, which waits for no slow server."""
        self.finish(result, {}, at_most=seconds)

    def end(self, status: RunStatus) -> None:
        """Close the record of a run that came to nothing."""
        self._sinks.finish(ExecutionResult(status))
        self._end(End(status, time.time()), None)

    def _end(self, end: End, at_most: float | None) -> None:
        spool, patience = self._spool, self._patience
        if spool is None:
            return
        self.add(())
        if self._unwritten:
            self._log.warning(
                f"MLflow: {len(self._unwritten)} measurements were not recorded: "
                f"{spool.folder} cannot be written"
            )
        failures = spool.state.get("failures", 0)
        try:
            spool.close(end)
        except OSError as error:
            self._log.warning(f"MLflow: the end was not recorded: {error}")
            return
        self.start_in_background()
        patience = patience if at_most is None else patience.at_most(at_most)
        state = wait_for_end(spool, patience, failures)
        self._state = {**self._state, **state}
        if state.get("delivered"):
            spool.remove()
        for note in state.get("notes", []):
            self._log.warning(f"MLflow: {note}")
        if state.get("problem") and not state.get("notes"):
            self._log.warning(
                f"MLflow does not take this run now, and gets it later from {spool.folder}: "
                f"{state['problem']}"
            )

    def _experiment(self, notebook: Notebook, values: RunValues) -> str:
        return experiment_name(self._asset, notebook, values, prefix=self._prefix)

    def _wait_for_run(self) -> None:
        assert self._spool is not None
        self.start_in_background()
        self._state = wait_for_run(self._spool, self._patience)
        if self._has_problem:
            self._log.warning(
                "MLflow does not answer, and gets this run later; `mlflow.*` calls in the "
                f"notebook may wait for it and fail: {self._state['problem']}"
            )
            # A notebook that was told no run makes one of its own, found by its tag at the end.
            self._hand_over(only_at_end=True)

    def _hand_over(self, *, only_at_end: bool = False) -> None:
        assert self._spool is not None
        try:
            hand_over(self._spool, uris=[self._uri], only_at_end=only_at_end)
        except OSError as error:
            self._log.warning(f"MLflow gets this run later: {error}")

    @property
    def _has_problem(self) -> bool:
        return "run_id" not in self._state and bool(self._state.get("problem"))

    @property
    def _uri(self) -> str:
        if self._asset.scratch is not None:
            return embedded_store(self._state_folder)  # a sample: nowhere else
        named = self._asset.component.experiment.tracking_uri or self._asset.tracking_uri
        return tracking_uri(named, self._state_folder)

    @property
    def _is_embedded(self) -> bool:
        return self._uri == embedded_store(self._state_folder)

    @property
    def _patience(self) -> Patience:
        return FOR_A_SERVER if is_server(self._uri) else FOR_A_FILE

    @property
    def _state_folder(self) -> Path:
        return self._asset.state_folder
