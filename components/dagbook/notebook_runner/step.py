"""One run of a notebook inside Dagster: prepare, execute, record, publish."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import dagster as dg

from dagbook.credentials.delivery import NOTHING
from dagbook.errors import DagbookError
from dagbook.execution import ExecutionEvent, MetricsReported, run_notebook
from dagbook.execution.provenance import Origin
from dagbook.execution.recovery import recover_below
from dagbook.execution.result import Cause, CheckResult, ExecutionResult, RunStatus
from dagbook.execution.undumpable import undumpable
from dagbook.masking import Masker
from dagbook.notebook import Notebook, read_notebook
from dagbook.notebook_runner.accounting import StepAccount
from dagbook.notebook_runner.asset import NotebookAsset
from dagbook.notebook_runner.attributes import Retries
from dagbook.notebook_runner.grant import Asked, Grant, ask, granted
from dagbook.notebook_runner.heartbeat import Heartbeat
from dagbook.notebook_runner.masked_log import masked_log, masked_metadata
from dagbook.notebook_runner.metadata import (
    measurements,
    metric_metadata,
    missing_gpu,
    run_metadata,
)
from dagbook.notebook_runner.op_config import overrides
from dagbook.notebook_runner.patience import patiently
from dagbook.notebook_runner.progress import ProgressLog
from dagbook.notebook_runner.recording import Recording
from dagbook.notebook_runner.run_values import RunValues, fill_in_parameters, read_run_values
from dagbook.notebook_runner.trigger import USER_TAG, said_trigger

#: How soon a provider of credentials that was down is asked again, in seconds, where nobody says.
PROVIDER_SECONDS = 10.0


def run_step(
    context: dg.AssetExecutionContext, asset: NotebookAsset, step_class: type[Step] | None = None
) -> Iterator[Any]:
    """Run the notebook once, as its file is now, and tell Dagster what came out.

    Raises:
        dg.Failure: the run was refused, or did not succeed. Dagster tries again only what may
            end better: a killed kernel, and an exception in a cell where the YAML says so.
    """
    # What the credentials are fetched with is in this process's environment before they are.
    with undumpable(), Heartbeat(context) as heartbeat:
        step = (step_class or Step)(context, asset, heartbeat)
        with masked_log(context.log, step.masker):
            yield from _run_while_alive(step)


def _run_while_alive(step: Step) -> Iterator[Any]:
    try:
        # A run may have been ended while its worker was still coming up.
        step.heartbeat.confirm()
        step.prepare()
        result = step.execute()
        step.confirm(result)
    except DagbookError as refusal:
        step.recording.end(RunStatus.REFUSED)
        step.refused()
        failure = dg.Failure(
            step.masker.text(str(refusal)),
            metadata={"status": str(RunStatus.REFUSED), **step.rules_broken()},
            allow_retries=False,
        )
        if step.is_provider_down:
            step.try_again(failure, str(refusal), at_least=PROVIDER_SECONDS)
        raise failure from None
    except BaseException as interruption:
        step.interrupted(interruption)
        raise
    metadata = step.record(result)
    step.confirm(result)
    yield from step.publish(result, metadata)


class Step:
    """One try of one run."""

    notebook: Notebook
    values: RunValues
    parameters: Mapping[str, Any]
    asked: Asked
    grant: Grant

    def __init__(
        self, context: dg.AssetExecutionContext, asset: NotebookAsset, heartbeat: Heartbeat
    ) -> None:
        self.context = context
        self.heartbeat = heartbeat
        self.asset = asset
        self.component = asset.component
        self.recording = Recording(context.log, asset)
        self.account = StepAccount(context, asset)
        # Knows the values of the run's credentials as soon as there are any.
        self.masker = Masker()
        self.credentials = NOTHING
        self.is_provider_down = False

    def decide(self) -> None:
        """Ask the rules, as they are now, whether the notebook may run and with what.

        Raises:
            DagbookError: it may not, or the rules cannot be read.
        """
        self.asked = ask(self.context, self.asset, self.notebook)
        self.grant = granted(self.asked)
        for warning in self.asked.decision.warnings:
            self.context.log.warning(warning)
        self.component = self.grant.component
        tracking = self.grant.platform.tracking
        self.asset = dataclasses.replace(
            self.asset, component=self.component, tracking_uri=tracking.tracking_uri
        )
        self.recording = Recording(self.context.log, self.asset, tracking.experiment_prefix)

    def fetch(self) -> None:
        """Fetch the credentials the run is entitled to, for itself alone.

        Raises:
            DagbookError: they cannot be had; `is_provider_down` says whether that may pass.
        """
        entitlement = self.grant.entitlement
        if not entitlement.connections and not entitlement.values:
            return
        # Of no use to the many runs that have none.
        from dagbook.credentials.fetching import fetch
        from dagbook.credentials.provider import ProviderDown

        try:
            self.credentials = fetch(
                entitlement, self.grant.platform, asset=self.asset.key.to_user_string()
            )
        except ProviderDown:
            self.is_provider_down = True
            raise
        self.masker.add(self.credentials.secrets)
        self.credentials = self.recording.entrust(
            self.credentials, entitlement.connections.values()
        )

    def prepare(self) -> None:
        """Read the notebook and find the values it runs with.

        Raises:
            DagbookError: the notebook or a value is refused.
        """
        config = overrides(self.context.op_execution_context.op_config)
        self.notebook = read_notebook(self.asset.notebook_path, within=self.asset.project_root)
        self.decide()
        self.fetch()
        self.values = read_run_values(self.context, self.component.schedule, self.asset.partitions)
        self.recording.about(self.notebook, self.values)
        lookup = self.values.lookup(self.recording.experiment_id)
        self.parameters = fill_in_parameters(
            self.notebook, {**self.component.parameters, **config}, lookup
        )
        self.launch()
        self.recording.start()

    def launch(self) -> None:
        """Reserve what the run will probably cost, and write its launch down.

        Raises:
            DagbookError: there is not that much left, or it cannot be written down.
        """
        limits = self.component.limits
        self.account.launch(
            self.grant.platform,
            self.asked.decision,
            parameters=self.masker.value(dict(self.parameters)),
            partition=self.values.partition_key,
            longest=self.grant.run_seconds,
            max_cost=limits.max_cost_usd if limits is not None else None,
            connections=self.grant.entitlement.names,
        )

    def refused(self) -> None:
        """Write down that the run was refused."""
        asked = getattr(self, "asked", None)
        self.account.refuse(*(None, None) if asked is None else (asked.platform, asked.decision))

    def rules_broken(self) -> dict[str, str]:
        """Of a refused run, the platform's rules that it would have broken, for its page."""
        asked = getattr(self, "asked", None)
        if asked is None or asked.decision.allowed:
            return {}
        rules = dict.fromkeys(objection.rule for objection in asked.decision.objections)
        return {"rules": ", ".join(rules), "policy_version": asked.decision.policy_version}

    def execute(self) -> ExecutionResult:
        """Run the notebook in its kernel.

        Raises:
            DagbookError: refused before a kernel started.
        """
        asset = self.asset
        progress = ProgressLog(self.context.log)
        # Also of other partitions: theirs may not run again for long.
        recover_below(asset.output_folder(None))

        def listen(event: ExecutionEvent) -> None:
            self.recording.start_in_background()
            if isinstance(event, MetricsReported):
                self.recording.add(event.points)
            progress(event)

        try:
            return run_notebook(
                self.notebook,
                self.parameters,
                output_folder=asset.output_folder(self.values.partition_key),
                html=True,
                allowance=self.grant.allowance,
                timeout=self.grant.run_seconds,
                budget=self.account.budget,
                cell_timeout=self.grant.cell_seconds,
                kernel=self.grant.kernel,
                project_root=asset.project_root,
                context=self.values.as_context(
                    asset_key=list(asset.key.path),
                    experiment_id=self.recording.known_experiment_id,
                ),
                environment=self.recording.environment,
                on_event=listen,
                origin=Origin(asset.component_file, self._identity()),
                # Of a partitioned asset: the good runs of all its partitions.
                good_runs=asset.output_folder(None),
                should_stop=self.heartbeat.reason_to_stop,
                record=self.recording.record,
                masker=self.masker,
                credentials=self.credentials,
            )
        finally:
            progress.flush()

    def _identity(self) -> dict[str, str | None]:
        return {
            "run_id": self.values.run_id,
            "asset": self.asset.key.to_user_string(),
            "partition": self.values.partition_key,
            "trigger": said_trigger(self.context.run.tags),
            "launched_by": self.context.run.tags.get(USER_TAG),
        }

    def confirm(self, result: ExecutionResult) -> None:
        """Go on only while the run is this worker's to end.

        Raises:
            DagsterExecutionInterruptedError: it was ended from outside, with the result as
                `interrupted` finds it.
        """
        try:
            self.heartbeat.confirm()
        except dg.DagsterExecutionInterruptedError as ended:
            ended.dagbook_result = result  # type: ignore[attr-defined]
            raise

    def record(self, result: ExecutionResult) -> dict[str, Any]:
        """Put the run on record in MLflow; returns what it tells the reader in Dagster."""
        wanted = self.component.monitoring.track_metrics
        for note in result.notes:
            self.context.log.info(note)
        if missing_gpu(result.resources, wanted):
            self.context.log.info("no GPU figures: this machine's driver reported no GPU")
        account = self.account.end(result)
        self.recording.finish(result, measurements(result, wanted))
        metadata = {
            **run_metadata(
                result,
                self.notebook,
                size=self.grant.size,
                code_version=self.asset.code_version(self.notebook),
                wanted=wanted,
            ),
            **account,
            **self.recording.metadata,
        }
        return masked_metadata(self.masker, metadata)

    def publish(self, result: ExecutionResult, metadata: dict[str, Any]) -> Iterator[Any]:
        """Report the checks, then the materialisation or the failure."""
        for check in result.checks:
            yield from self._report_check(check)
        if not result.succeeded:
            self._fail(result, metadata)
        # Only a run without a failed blocking check comes here, so what it made may be used.
        metadata |= metric_metadata(result.last_metrics, metadata)
        if self.asset.key in self.context.selected_asset_keys:
            yield dg.MaterializeResult(asset_key=self.asset.key, metadata=metadata)

    def interrupted(self, interruption: BaseException) -> None:
        """Keep a cancelled run's notebook in sight; the interruption itself goes on."""
        result = getattr(interruption, "dagbook_result", None)
        if not isinstance(result, ExecutionResult):
            is_cancel = not isinstance(interruption, Exception)
            status = RunStatus.CANCELLED if is_cancel else RunStatus.FAILED
            self.recording.end(status)
            self.account.end_early(str(status), None)
            return
        # First the link: MLflow may be slow, and a cancel is not waited for.
        why = self.heartbeat.reason_to_stop()
        said = f"Nothing is materialised: {why}" if why else "Cancelled"
        self.context.log.info(f"{said}. The notebook so far: {result.executed_notebook}")
        account = self.account.end_early(str(RunStatus.CANCELLED), result)
        metadata = run_metadata(
            result,
            self.notebook,
            size=self.grant.size,
            code_version=self.asset.code_version(self.notebook),
            wanted=self.component.monitoring.track_metrics,
        )
        observation = dg.AssetObservation(
            self.asset.key,
            partition=self.values.partition_key,
            metadata=masked_metadata(self.masker, {**metadata, **account}),
        )
        patiently(lambda: self.context.log_event(observation))
        self.recording.finish_soon(result)

    def _report_check(self, check: CheckResult) -> Iterator[dg.AssetCheckResult]:
        role = next(
            (c.role for c in self.notebook.checks if c.role and c.role.name == check.name), None
        )
        name = role.slug if role is not None and role.slug is not None else check.name
        key = dg.AssetCheckKey(self.asset.key, name)
        severity = dg.AssetCheckSeverity.ERROR if check.blocking else dg.AssetCheckSeverity.WARN
        if key in self.context.selected_asset_check_keys:
            yield dg.AssetCheckResult(
                asset_key=self.asset.key,
                check_name=name,
                passed=check.passed,
                severity=severity,
                description=check.message or None,
            )
            return
        # A check edited in since Dagster loaded the notebook: recorded all the same, where an
        # undeclared result would fail the run.
        evaluation = dg.AssetCheckEvaluation(
            asset_key=self.asset.key,
            check_name=name,
            passed=check.passed,
            metadata={},
            severity=severity,
            description=check.message or None,
            blocking=check.blocking,
            partition=self.values.partition_key,
        )
        patiently(lambda: self.context.log_event(evaluation))

    def _fail(self, result: ExecutionResult, metadata: dict[str, Any]) -> NoReturn:
        """End this try; another follows where it may end better and the YAML allows it."""
        failure = dg.Failure(_headline(result), metadata=metadata, allow_retries=False)
        retries = self.component.retries
        if retries is not None and _may_end_better(result, retries):
            self.try_again(
                failure, f"{_headline(result)}. The notebook: {result.executed_notebook}"
            )
        raise failure

    def try_again(self, failure: dg.Failure, why: str, *, at_least: float = 0.0) -> None:
        """Ask for another try, where the YAML allows one more.

        Args:
            failure: how this one ended.
            why: the same for the log.
            at_least: how long to wait for it, in seconds, where the YAML does not say.

        Raises:
            dg.RetryRequested: there will be one.
        """
        retries = self.component.retries
        if retries is None or self.context.retry_number >= self.grant.retries:
            return
        self.context.log.warning(f"Trying again: {why}")
        # Asked for here and not by a retry policy of the op: Dagster would apply that to a
        # cancelled run as well, and run it again.
        raise dg.RetryRequested(
            max_retries=self.grant.retries,
            seconds_to_wait=retries.delay_seconds or at_least or None,
        ) from failure


def _may_end_better(result: ExecutionResult, retries: Retries) -> bool:
    if result.status is RunStatus.KILLED:
        # What needed more than its size needs it again.
        return result.cause is not Cause.MEMORY
    return result.cause is Cause.ERROR and "error" in retries.on


def _headline(result: ExecutionResult) -> str:
    """Why a run did not succeed, in one line: what, in which cell, with which message."""
    if result.reason:
        return result.reason
    return f"The run {str(result.status).replace('_', ' ')}"
