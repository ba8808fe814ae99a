"""The run's record in MLflow, kept beside the run and never in its way."""

from __future__ import annotations

import dataclasses
import logging
import math
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from dagbook.credentials.delivery import Delivery, Secret
from dagbook.errors import DagbookError
from dagbook.execution.result import ExecutionResult, MetricPoint, RunStatus
from dagbook.masking import Masker
from dagbook.notebook import Notebook
from dagbook.notebook_runner.author_recorder import AuthorRecorder
from dagbook.notebook_runner.company_sinks import CompanySinks
from dagbook.notebook_runner.experiment import (
    experiment_name,
    names_a_server,
    run_tags,
    speaks_of_mlflow,
)
from dagbook.notebook_runner.run_values import RunValues
from dagbook.policy.connections import Connection
from dagbook.recorder.passing import silence_of
from dagbook.sinks.login import Login
from dagbook.sinks.mlflow import (
    artifact_folder,
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
    FOR_A_NOTEBOOK,
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
        self._login = Login()
        self._secrets: tuple[Secret, ...] = ()
        self._masker: Masker | None = None
        self._recorder: AuthorRecorder | None = None

    def entrust(self, delivery: Delivery, connections: Iterable[Connection] = ()) -> Delivery:
        """Give it what the run was given, before `start`: the server's login, and what is masked.

        Args:
            delivery: of which `tracking` and `secrets` are used.
            connections: those that it comes from; a login goes only where they are bound to.

        Returns:
            The delivery for the kernel: when that is renewed, this learns of it first.
        """
        connections = tuple(connections)
        # What was renewed may have been told before.
        known = {secret.value: secret for secret in (*self._secrets, *delivery.secrets)}
        self._secrets = tuple(known.values())
        self._masker = Masker(self._secrets)
        self._login = Login.of(delivery.tracking, connections)
        if (fetch := delivery.renew) is None:
            return delivery

        def renew() -> Delivery:
            fresh = self.entrust(fetch(), connections)
            self._learn()
            return fresh

        return dataclasses.replace(delivery, renew=renew)

    def _learn(self) -> None:
        login = self._login.for_server(self._uri)
        if self._recorder is not None:
            self._recorder.learn(self._secrets, login)
        if self._is_handed_over:
            self._hand_over()

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
        head = Head(
            experiment=self._shown(self._experiment(self._notebook, values)),
            run_name=self._shown(values.partition_key or values.run_date),
            tags=self._shown(run_tags(self._asset, values)),
            notebook=self._asset.component.notebook,
            tracking_uri=None if self._is_embedded else without_login(self._uri),
            started_at=time.time(),
            output_folder=str(self._asset.output_folder(values.partition_key)),
            login=self._login.name,
        )
        try:
            name = f"{values.run_id}-{self._asset.op_name}-{values.attempt}"
            self._spool = OwnSpool(folder / name, head)
        except OSError as error:
            self._log.warning(
                f"MLflow does not record this run: {folder} cannot be written ({error.strerror})"
            )
            return
        if (problem := self._login.problem(self._uri)) is not None:
            self._log.warning(f"MLflow: {problem}")
        speaks = speaks_of_mlflow(self._asset, self._notebook)
        recorder = self._make_recorder() if speaks and not self._names_a_server else None
        if self._needs_id or speaks or not store_is_ready(self._uri, self._state_folder):
            self._wait_for_run(recorder is not None)
        if recorder is not None:
            self._begin_recorder(recorder, head)

    def _make_recorder(self) -> AuthorRecorder | None:
        assert self._spool is not None
        try:
            return AuthorRecorder(self._spool)
        except OSError as error:
            self._log.warning(f"MLflow: `mlflow.*` calls in the notebook are not kept: {error}")
            return None

    def _begin_recorder(self, recorder: AuthorRecorder, head: Head) -> None:
        try:
            recorder.begin(
                head,
                self._state,
                uri=self._uri,
                artifacts=artifact_folder(self._state_folder) if self._is_embedded else None,
                login=self._login.for_server(self._uri),
                secrets=self._secrets,
            )
        except OSError as error:
            self._log.warning(f"MLflow: `mlflow.*` calls in the notebook are not kept: {error}")
            return
        self._recorder = recorder

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
        """The identity of the MLflow experiment, as the notebook may know it by now."""
        if self._recorder is not None:
            return self._recorder.experiment_id
        return self._state.get("experiment_id")

    @property
    def environment(self) -> dict[str, str]:
        """What makes `mlflow.*` calls in the notebook land in this very run.

        No login is in it: what the recorder takes is sent with the server's own.
        """
        if self._recorder is not None:
            return self._recorder.environment
        uri = without_login(self._uri)
        if self._spool is None or self._notebook is None or self._values is None:
            # Of a sample that asks for no MLflow: what logs by itself must not find the server.
            return {"MLFLOW_TRACKING_URI": uri} if self._asset.scratch is not None else {}
        if self._names_a_server:
            self._log.info(
                "The notebook names an MLflow server itself: what it logs goes there, in a run "
                "of its own"
            )
            return {"MLFLOW_TRACKING_URI": uri}
        # Nothing in the notebook names MLflow. A library that logs by itself finds the right
        # experiment.
        return {
            "MLFLOW_TRACKING_URI": uri,
            "MLFLOW_EXPERIMENT_NAME": self._experiment(self._notebook, self._values),
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
            parameters=self._shown({n: str(value) for n, value in result.parameters.items()}),
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
        if self._recorder is not None:
            self._recorder.end()
            self._recorder = None
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

    def _shown(self, value: Any) -> Any:
        """What may be written down of a value: no secret of the run's."""
        return self._masker.value(value) if self._masker else value

    def _experiment(self, notebook: Notebook, values: RunValues) -> str:
        return experiment_name(self._asset, notebook, values, prefix=self._prefix)

    def _wait_for_run(self, is_recorded: bool) -> None:
        """Have the run made in MLflow now, as long as that holds nobody up.

        Args:
            is_recorded: whether a recorder takes what the notebook logs, so that it needs no run.
        """
        assert self._spool is not None
        self.start_in_background()
        patience = self._patience
        if is_recorded and not self._needs_id and is_server(self._uri):
            login = self._login.for_server(self._uri)
            if (problem := silence_of(self._uri, login)) is not None:
                self._say_later(problem)
                return
            patience = FOR_A_NOTEBOOK
        self._state = wait_for_run(self._spool, patience)
        if "run_id" not in self._state and self._state.get("problem"):
            self._say_later(self._state["problem"])

    def _say_later(self, problem: str) -> None:
        self._log.warning(f"MLflow does not answer, and gets this run later: {problem}")

    def _hand_over(self) -> None:
        assert self._spool is not None
        try:
            hand_over(self._spool, uris=[self._uri], login=self._login.for_server(self._uri))
        except OSError as error:
            self._log.warning(f"MLflow gets this run later: {error}")

    @property
    def _names_a_server(self) -> bool:
        return self._notebook is not None and names_a_server(self._notebook)

    @property
    def _uri(self) -> str:
        if self._asset.scratch is not None:
            return embedded_store(self._state_folder)  # a sample: nowhere else
        named = self._asset.component.experiment.tracking_uri or self._asset.tracking_uri
        return tracking_uri(named or self._login.uri, self._state_folder)

    @property
    def _is_embedded(self) -> bool:
        return self._uri == embedded_store(self._state_folder)

    @property
    def _patience(self) -> Patience:
        return FOR_A_SERVER if is_server(self._uri) else FOR_A_FILE

    @property
    def _state_folder(self) -> Path:
        return self._asset.state_folder
