"""One run of a notebook through dagstermill: our schedule, limits and account around it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg

from dagbook.atomic_write import write_atomically
from dagbook.errors import DagbookError
from dagbook.execution.foreign_kernel import ForeignKernelWatch
from dagbook.execution.page import write_page
from dagbook.execution.papermill_errors import interruption_in, verdict_of
from dagbook.execution.place import Place, take_place
from dagbook.execution.result import Cause, ExecutionResult, RunStatus, json_safe
from dagbook.notebook import read_notebook
from dagbook.notebook_runner.dagstermill_adapter import run_in_dagstermill, without_beta_warnings
from dagbook.notebook_runner.dagstermill_asset import as_json
from dagbook.notebook_runner.dagstermill_notebook import tell_the_end
from dagbook.notebook_runner.dagstermill_problems import cells_before, notebook_problem
from dagbook.notebook_runner.run_time_names import fill_in
from dagbook.notebook_runner.run_values import read_run_values
from dagbook.notebook_runner.step import Step


class DagstermillStep(Step):
    """One try of one run."""

    def prepare(self) -> None:
        """Read the notebook and fill in the config it is to find.

        Raises:
            DagbookError: the notebook cannot be run by dagstermill.
        """
        self._events: list[Any] = []
        self._asked: Exception | None = None
        self.notebook = read_notebook(self.asset.notebook_path, within=self.asset.project_root)
        problem = notebook_problem(self.notebook)
        if problem is not None:
            raise DagbookError(f"{self.notebook.label}, {problem}")
        self.decide()
        if self.grant.allowance.kernels is not None:
            raise DagbookError(
                "engine: dagstermill starts a kernel of its own, with the deployment's environment "
                "and user, so the platform's `kernel_process` rules cannot be kept: take `engine` out"
            )
        # Of the tracking server's login, which is the runner's; others were refused before.
        self.fetch()
        if self.credentials.environment or self.credentials.files:
            raise DagbookError(
                "engine: dagstermill starts a kernel of its own, to which no credentials can be "
                "kept: take `engine` out, or `resources`"
            )
        self.values = read_run_values(self.context, self.component.schedule, self.asset.partitions)
        self.recording.about(self.notebook, self.values)
        lookup = self.values.lookup(self.recording.experiment_id)
        config: Any = self.context.op_execution_context.op_config
        given = {**self.component.parameters, **(config or {})}
        self.parameters = {name: as_json(fill_in(value, lookup)) for name, value in given.items()}
        self.launch()
        self.recording.start()

    def execute(self) -> ExecutionResult:
        """Have dagstermill run the notebook, within the size's time and memory."""
        started = time.time()
        result = ExecutionResult(
            RunStatus.SUCCEEDED,
            notebook=self.asset.notebook_path,
            started_at=started,
            parameters=dict(self.parameters),
            size=self.grant.size.name,
        )
        place = take_place(None, self.asset.output_folder(self.values.partition_key), started)
        interruption: BaseException | None = None
        try:
            with TemporaryDirectory(prefix="dagbook-") as folder:
                watch = self._watch()
                try:
                    with watch:
                        self._run(Path(folder))
                except (dg.Failure, dg.RetryRequested) as asked:
                    # The notebook's own word, by `yield_event`: its cells have all run.
                    self._asked = asked
                    result.status = RunStatus.FAILED
                    result.reason = _what_was_asked(asked)
                    result.cause = Cause.ERROR
                except BaseException as error:
                    interruption = interruption_in(error)
                    self._judge(result, watch, error)
                if watch.cancelled or interruption is not None:
                    interruption = interruption or dg.DagsterExecutionInterruptedError()
                    result.status, result.reason = RunStatus.CANCELLED, "cancelled"
                    result.cause = Cause.CANCELLED
                result.resources = watch.measured()
                result.duration_seconds = time.time() - started
                self._store(result, place, Path(folder))
        finally:
            place.journal.discard()
        if interruption is not None:
            interruption.dagbook_result = result  # type: ignore[attr-defined]
            raise interruption
        return result

    def publish(self, result: ExecutionResult, metadata: dict[str, Any]) -> Iterator[Any]:
        """Hand on what the notebook yielded, then the executed notebook, or the failure."""
        for event in self._events:
            if not isinstance(event, dg.Output):
                yield event
            elif result.succeeded:
                # To the IO manager. A run that failed after all materialises nothing.
                yield dg.Output(event.value, "result", metadata=metadata)
        most = self.grant.most_retries
        if isinstance(self._asked, dg.RetryRequested):
            if most is not None and self.context.retry_number >= most:
                self._fail(result, metadata)
            self.context.log.warning(f"Trying again. The notebook: {result.executed_notebook}")
            raise self._asked
        if isinstance(self._asked, dg.Failure):
            raise dg.Failure(
                self._asked.description,
                metadata={**metadata, **self._asked.metadata},
                allow_retries=self._asked.allow_retries,
            )
        if not result.succeeded:
            self._fail(result, metadata)

    def record(self, result: ExecutionResult) -> dict[str, Any]:
        """Put the run on record; the parameters are those of the op's config."""
        metadata = super().record(result)
        metadata["parameters"] = dg.MetadataValue.json(json_safe(result.parameters))
        return {**metadata, "engine": "dagstermill"}

    def _run(self, failed_notebooks: Path) -> None:
        self.recording.start_in_background()
        events = run_in_dagstermill(
            self.context.op_execution_context,
            name=self.asset.op_name,
            notebook=self.asset.notebook_path,
            inputs=list(self.component.dagstermill.inputs),
            run_config=self._run_config(),
            failed_notebooks=failed_notebooks,
        )
        with without_beta_warnings():
            for event in events:
                self._events.append(event)

    def _run_config(self) -> Mapping[str, Any]:
        """The run's config with all that the YAML says and braces filled in.

        dagstermill gives the notebook the config as it was launched with, without defaults.
        """
        config: dict[str, Any] = dict(self.context.run.run_config)
        ops: dict[str, Any] = dict(config.get("ops") or {})
        ops[self.asset.op_name] = {
            **(ops.get(self.asset.op_name) or {}),
            "config": dict(self.parameters),
        }
        return {**config, "ops": ops}

    def _watch(self) -> ForeignKernelWatch:
        size, asked = self.grant.size, self.grant.run_seconds
        seconds = min(size.max_runtime_seconds, asked or size.max_runtime_seconds)
        is_size = seconds == size.max_runtime_seconds
        label = f"the limit of size {size.name}" if is_size else "the limit of this run"
        cause, budget = Cause.TIME, self.account.budget
        if budget is not None and budget.seconds < seconds:
            seconds, label, cause = budget.seconds, budget.label, Cause.BUDGET
        return ForeignKernelWatch(
            size,
            seconds,
            label,
            self.recording.environment,
            self.heartbeat.reason_to_stop,
            cause,
        )

    def _judge(
        self, result: ExecutionResult, watch: ForeignKernelWatch, error: BaseException
    ) -> None:
        if watch.status is not None:
            result.status, result.reason, result.cause = watch.status, watch.reason, watch.cause
        else:
            result.status, result.reason = verdict_of(
                error, cells_before=cells_before(self.notebook)
            )
            result.cause = Cause.KERNEL if result.status is RunStatus.KILLED else Cause.ERROR

    def _store(self, result: ExecutionResult, place: Place, failed_notebooks: Path) -> None:
        """Keep the executed notebook of every run under a name of its own, with its page."""
        content = next((e.value for e in self._events if isinstance(e, dg.Output)), None)
        if content is None:
            kept = next(failed_notebooks.glob("*.ipynb"), None)
            if kept is None:
                result.notes.append("dagstermill left no executed notebook")
                return
            content = kept.read_bytes()
        import nbformat

        document = nbformat.reads(content.decode("utf-8"), as_version=4)
        tell_the_end(document, result)
        path = place.notebook(result.status)
        write_atomically(path, nbformat.writes(document) + "\n", private=True)
        result.executed_notebook = path
        if result.status is not RunStatus.CANCELLED:
            write_page(result, document)


def _what_was_asked(asked: dg.Failure | dg.RetryRequested) -> str:
    if isinstance(asked, dg.RetryRequested):
        return "the notebook asked to be tried again"
    return asked.description or "the notebook yielded a Failure"
