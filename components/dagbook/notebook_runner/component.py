"""The component: the only place where a key of its YAML is declared.

No ``from __future__ import annotations`` here: Dagster reads the annotations.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import dagster as dg
from pydantic import BeforeValidator, Field, field_validator

from dagbook.errors import DagbookError
from dagbook.ledger.locked_files import wait_for_locked_files
from dagbook.notebook_runner.asset import KEY_PART, NotebookAsset, build_asset
from dagbook.notebook_runner.attributes import (
    Dagstermill,
    Experiment,
    Limits,
    Monitoring,
    Retries,
    Schedule,
    StaticPartitions,
    Text,
    TimePartitions,
    plain,
)
from dagbook.notebook_runner.delivery_sensor import deliver_from
from dagbook.notebook_runner.partitions import build_partitions
from dagbook.notebook_runner.place import find_place
from dagbook.notebook_runner.policy_problems import platform_for, with_defaults
from dagbook.notebook_runner.reaper import reaper_sensor
from dagbook.notebook_runner.run_process import is_run_process
from dagbook.notebook_runner.sample import current_sample
from dagbook.notebook_runner.scaffolder import NotebookRunnerScaffolder
from dagbook.notebook_runner.schedule import build_schedule
from dagbook.notebook_runner.versions import Versioned, checked_version, tell_old_version
from dagbook.policy.sizes import BUILT_IN_SIZES, DEFAULT_SIZE, Size, find_size
from dagbook.sinks import Sink

if TYPE_CHECKING:
    from dagbook.policy.platform import Platform
    from dagbook.policy.request import Objection, Request


def _described(description: str, *examples: Any, yaml: Any = None) -> dg.Resolver:
    """Say what a key means, and in `yaml` what may be written where that is more than its type."""
    return dg.Resolver(
        plain,
        inject_before_resolve=False,
        description=description,
        examples=list(examples) or None,
        model_field_type=yaml,
    )


def _as_is(description: str, *examples: Any) -> dg.Resolver:
    """As above, for values whose braces are ours to fill in when a run starts."""
    resolver: dg.Resolver = dg.Resolver.passthrough(
        description=description, examples=list(examples) or None
    )
    return resolver


def _schedule_from_cron(value: Any) -> Any:
    return {"cron": value} if isinstance(value, str) else value


def _retries_from_number(value: Any) -> Any:
    # `True` is an int to Python and a mistake in YAML.
    return {"max": value} if isinstance(value, int | str) and value is not True else value


ScheduleText = Annotated[Schedule, BeforeValidator(_schedule_from_cron)]
RetriesNumber = Annotated[Retries, BeforeValidator(_retries_from_number)]
AnyPartitions = Annotated[TimePartitions | StaticPartitions, Field(discriminator="type")]


@dg.scaffold_with(NotebookRunnerScaffolder)
class NotebookRunnerComponent(Versioned, dg.Component, dg.Resolvable, dg.Model):
    """Runs a Jupyter notebook as an asset: on a schedule, with checks, metrics and MLflow.

    ```yaml
    type: dagbook.NotebookRunnerComponent
    attributes:
      notebook: churn.ipynb
    ```

    is enough where the platform asks for no more. A schedule, a size and a value for a parameter look like this:

    ```yaml
    type: dagbook.NotebookRunnerComponent
    attributes:
      notebook: models/churn.ipynb
      schedule: {cron: "0 6 * * *", timezone: Europe/Berlin}
      compute_size: medium
      parameters: {since: "{{ data_interval_start }}"}
    ```
    """

    #: A company's class may name the platform file of its package, whose rules its components have
    #: to hold to beside those of the project: ``"company_components:dagbook-platform.yaml"``.
    platform: ClassVar[str | None] = None

    notebook: Annotated[
        str,
        _described(
            "The notebook to run, relative to the project: .ipynb, or .py or .md as jupytext "
            "writes them. The file as it is when a run starts is what runs.",
            "models/churn.ipynb",
        ),
    ]
    key: Annotated[
        str | None,
        _described(
            "The asset's key, its parts separated by slashes. Default: the component's folder "
            "under `defs`.",
            "models/churn",
        ),
    ] = None
    kernel: Annotated[
        str | None,
        _described("The kernel to run on, by its name. Default: the notebook's own.", "python3"),
    ] = None
    compute_size: Annotated[
        str,
        _described("How much of the machine a run may use, by the name of a size.", "medium"),
    ] = DEFAULT_SIZE
    parameters: Annotated[
        dict[str, Any],
        _as_is(
            "Values for the notebook's parameters, by name. Names in braces are filled in when "
            "the run starts.",
            {"since": "{{ data_interval_start }}"},
        ),
    ] = Field(default_factory=dict)
    resources: Annotated[
        dict[str, str],
        _described(
            "What the notebook may reach: by the platform's keys, the names of connections, or a "
            "plain value such as a bucket where the platform allows one. Never a credential.",
            {"database": "analytics_prod", "s3_bucket": "company-ml-data"},
        ),
    ] = Field(default_factory=dict)
    partitions: Annotated[
        AnyPartitions | None,
        _described(
            "One run for each hour, day, week or month, or for each of a list of values.",
            {"type": "daily", "start_date": "2026-01-01"},
            {"type": "static", "values": ["DE", "FR"]},
            yaml=TimePartitions | StaticPartitions | None,
        ),
    ] = None
    schedule: Annotated[
        ScheduleText | None,
        _described(
            "When to run: a cron line, or one with its time zone. With partitions, a tick runs "
            "the last complete hour, day, week or month, or every value of the list.",
            "0 6 * * *",
            {"cron": "0 6 * * *", "timezone": "Europe/Berlin"},
            yaml=str | Schedule | None,
        ),
    ] = None
    retries: Annotated[
        RetriesNumber | None,
        _described(
            "How often to try again when the kernel was killed: a number, or a number with what "
            "else to try again for. Never tried again: a run that was refused, a check that "
            "failed, a run that timed out or needed more than its size allows.",
            2,
            {"max": 2, "on": ["error"], "delay_seconds": 60},
            # Strict, or `true` would be one retry.
            yaml=Annotated[int, Field(strict=True)] | Retries | None,
        ),
    ] = None
    limits: Annotated[
        Limits | None,
        _described("What ends a run.", {"max_runtime_hours": 2}, yaml=Limits | None),
    ] = None
    timeout: Annotated[
        # The bounds are those of the number: a name in braces may stand in its place.
        Annotated[float, Field(gt=0, allow_inf_nan=False)] | None,
        _described(
            "How long one cell may run, in seconds. Default: as long as the run.",
            600,
            yaml=float | None,
        ),
    ] = None
    monitoring: Annotated[
        Monitoring,
        _described(
            "What is measured of each run.",
            {"track_metrics": ["runtime", "memory_usage"]},
            yaml=Monitoring,
        ),
    ] = Field(default_factory=Monitoring)
    experiment: Annotated[
        Experiment,
        _as_is("Where the run is recorded in MLflow.", {"name": "churn", "tags": ["q3"]}),
    ] = Field(default_factory=Experiment)
    engine: Annotated[
        Literal["dagbook", "dagstermill"],
        _described(
            "Who runs the notebook: `dagbook`, or `dagstermill` for a notebook that was written "
            "for its assets. The latter needs `pip install 'dagbook[dagstermill]'`."
        ),
    ] = "dagbook"
    dagstermill: Annotated[
        Dagstermill,
        _described("What a notebook is given under `engine: dagstermill`.", yaml=Dagstermill),
    ] = Field(default_factory=Dagstermill)
    owners: Annotated[
        list[str],
        _described(
            "Who answers for the notebook: e-mail addresses or `team:` with a name.",
            ["team:growth", "someone@example.com"],
        ),
    ] = Field(default_factory=list)
    tags: Annotated[
        dict[str, Text],
        _described(
            "Tags of the asset, to find it by.",
            {"tier": "gold"},
            yaml=dict[str, str | int | float | bool],
        ),
    ] = Field(default_factory=dict)
    group: Annotated[str | None, _described("The group of assets it is shown in.", "growth")] = None
    description: Annotated[
        str | None, _described("What the notebook does, for readers in Dagster. Markdown.")
    ] = None
    deps: Annotated[
        list[str],
        _described("The assets that must come before, by key.", ["raw/events"]),
    ] = Field(default_factory=list)
    schema_version: Annotated[
        int | None,
        _described(
            "The version of the component that the YAML was written for. Left out, it is 1.",
            yaml=int | None,
        ),
    ] = None

    @field_validator("schema_version")
    @classmethod
    def _check_version(cls, version: int | None) -> int | None:
        return checked_version(cls, version)

    def sinks(self) -> Sequence[Sink]:
        """Where a run's measurements and its result go besides Dagster and MLflow.

        A company's component returns its own; see `dagbook.sinks.Sink`. What fails or hangs there
        is said in the run's log and ends nothing.
        """
        return ()

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Make the asset, and the schedule if there is one."""
        return self.build_placed(self.place(context))

    def build_placed(self, asset: NotebookAsset) -> dg.Definitions:
        """Make the asset, and the schedule if there is one, of a component in its place."""
        # Every process that runs it loads it first.
        wait_for_locked_files()
        component = asset.component
        schedules: list[dg.ScheduleDefinition] = []
        jobs: list[Any] = []
        if component.schedule is not None:
            schedule, jobs = build_schedule(
                component.schedule,
                name=asset.op_name,
                key=asset.key,
                partitions=asset.partitions,
                notebook=component.notebook,
                origin=asset.origin,
            )
            schedules = [schedule]
        resources: Mapping[str, Any] = {}
        if component.engine == "dagstermill":
            from dagbook.notebook_runner.dagstermill_asset import (
                build_dagstermill_asset,
                local_resources,
            )

            definition = build_dagstermill_asset(asset, lambda run: self.execute(run, asset))
            if component.dagstermill.io_manager_key is None:
                resources = local_resources(asset.project_root)
        else:
            definition = build_asset(asset, lambda run: self.execute(run, asset))
        return dg.Definitions(
            assets=[definition],
            schedules=schedules,
            jobs=jobs,
            sensors=[
                reaper_sensor,
                deliver_from(
                    asset.project_root,
                    component.experiment.tracking_uri or asset.tracking_uri,
                    type(self),
                ),
            ],
            resources=resources,
        )

    def place(self, context: dg.ComponentLoadContext) -> NotebookAsset:
        """Give the component its key and its project.

        Raises:
            DagbookError: what the YAML asks for cannot be; the text says what to do.
        """
        from dagbook.notebook_runner.checks import setting_problems

        place = find_place(context)
        platform = platform_for(type(self), context.project_root)
        sample = current_sample()
        written = self if sample is None else sample.of(self)
        component = with_defaults(written, platform)
        key = self.key.split("/") if self.key else list(place.key)
        problems = setting_problems(
            component,
            context.project_root,
            platform=platform,
            asset="/".join(key),
            # What became forbidden since the launch is refused by the launch itself, with a word
            # and an entry in the record. Set aside here, Dagster would not even find it.
            judged=(platform is None and not component.resources) or not is_run_process(),
        )
        if problems:
            raise DagbookError(f"{place.label}: {problems[0]}")
        wrong = next((part for part in key if not KEY_PART.fullmatch(part)), None)
        if wrong is not None:
            raise DagbookError(
                f"{place.label}: the folder {wrong!r} cannot be part of an asset's key. "
                "Rename it with letters, digits, _ and -, or give the component a `key`"
            )
        tell_old_version(self, place.label)
        if not key:
            raise DagbookError(f"{place.label}: outside a `defs` folder a component needs a `key`")
        if "/".join(key) in (*component.deps, *component.dagstermill.inputs.values()):
            raise DagbookError(f"{place.label}: deps: an asset cannot come before itself")
        return NotebookAsset(
            component=component,
            key=dg.AssetKey(key),
            project_root=context.project_root,
            component_file=place.file,
            partitions=build_partitions(component.partitions, component.schedule),
            size=_size_of(component, platform),
            tracking_uri=None if platform is None else platform.tracking.tracking_uri,
            written=written,
            scratch=None if sample is None else sample.folder,
        )

    def more_rules(self, request: "Request", platform: "Platform") -> "Iterable[Objection]":
        """Rules of a company's own, added to those of the platform file.

        Asked where those are asked: by `dagbook validate`, when the component is loaded and again
        at each launch, whose answer binds. An objection refuses; nothing here takes one away.

        Args:
            request: what is asked for, with all defaults in it.
            platform: the policy in force.
        """
        return ()

    def execute(self, context: dg.AssetExecutionContext, asset: NotebookAsset) -> Iterator[Any]:
        """Run the notebook once; a company's component may do more around it."""
        from dagbook.notebook_runner.step import Step, run_step

        step_class = Step
        if asset.component.engine == "dagstermill":
            from dagbook.notebook_runner.dagstermill_step import DagstermillStep

            step_class = DagstermillStep
        yield from run_step(context, asset, step_class)


def _size_of(component: NotebookRunnerComponent, platform: "Platform | None") -> Size:
    if platform is None:
        return find_size(component.compute_size, BUILT_IN_SIZES)
    found = platform.sizes.get(component.compute_size)
    # Of one that the platform has no longer the launch says so.
    return found or platform.sizes[platform.default_size]
