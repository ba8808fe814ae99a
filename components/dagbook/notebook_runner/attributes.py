"""The parts of a component's YAML that have keys of their own: schedule, partitions, retries, …

No ``from __future__ import annotations`` here: Dagster and pydantic read the annotations.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import dagster as dg
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

TimePartition = Literal["hourly", "daily", "weekly", "monthly"]
Measurement = Literal["runtime", "memory_usage", "cpu_usage", "gpu_utilization", "gpu_memory"]


def _as_text(value: Any) -> Any:
    # A date that a YAML parser recognised, or a number that names a partition.
    if isinstance(value, str | bool) or value is None:
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


Text = Annotated[str, BeforeValidator(_as_text)]


class Schedule(dg.Resolvable, dg.Model):
    """When the notebook runs."""

    cron: str = Field(
        description="When to run, as a cron line of five fields or a macro such as @daily.",
        examples=["0 6 * * *"],
    )
    timezone: str = Field(
        default="UTC",
        description="The time zone the cron line is read in, by its IANA name.",
        examples=["Europe/Berlin"],
    )
    own_job: bool = Field(
        default=False,
        description="Give the schedule a job of its own, so that Dagster shows it on the asset's "
        "page. Costs about 32 KB in every load of the project.",
    )


class TimePartitions(dg.Resolvable, dg.Model):
    """One run for each hour, day, week or month."""

    type: TimePartition = Field(description="How long one partition is.")
    start_date: Text = Field(
        description="The first day, as YYYY-MM-DD; for hourly partitions also YYYY-MM-DDTHH:MM.",
        examples=["2026-01-01"],
    )
    end_date: Text | None = Field(
        default=None, description="The day on which partitions end; that day has none any more."
    )
    timezone: str | None = Field(
        default=None,
        description="The time zone in which days begin. Default: the schedule's, else UTC.",
    )


class StaticPartitions(dg.Resolvable, dg.Model):
    """One run for each value of a list."""

    type: Literal["static"] = Field(description="A list of values.")
    values: list[Text] = Field(
        min_length=1,
        description="The partitions, by name.",
        examples=[["DE", "FR"]],
    )


class Retries(dg.Resolvable, dg.Model):
    """How often a run that could not finish is tried again."""

    model_config = ConfigDict(json_schema_extra=lambda schema: _allow_on(schema))

    max: int = Field(default=1, ge=0, le=100, description="How often to try again.")
    on: list[Literal["error"]] = Field(
        default_factory=list,
        description="What else to try again for; `error` is an exception in a cell.",
    )
    delay_seconds: float = Field(
        default=0,
        ge=0,
        le=86_400,
        description="How long to wait before each new try, in seconds: at most a day.",
    )

    @model_validator(mode="before")
    @classmethod
    def _read_on(cls, value: Any) -> Any:
        # To YAML 1.1, which Dagster reads, an unquoted `on` is the truth value.
        if isinstance(value, Mapping) and True in value:
            return {"on" if key is True else key: item for key, item in value.items()}
        return value


class Limits(dg.Resolvable, dg.Model):
    """What ends a run."""

    max_runtime_hours: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="How long the whole run may take, in hours. At most what the size allows.",
    )
    max_cost_usd: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="What a run may cost at most, in USD: it then ends like one that is out of "
        "time. At most the platform's budget per run. Needs a size with a price, in USD.",
    )


class Monitoring(dg.Resolvable, dg.Model):
    """What is measured of each run."""

    track_metrics: list[Measurement] = Field(
        default=["runtime", "memory_usage", "cpu_usage"],
        description="Which measurements of the run's processes are kept as series, in Dagster "
        "and in MLflow.",
    )


class Experiment(dg.Resolvable, dg.Model):
    """Where the run is recorded in MLflow."""

    name: str | None = Field(
        default=None,
        description="The MLflow experiment. Default: the asset's key. Names in braces are "
        "filled in at run time.",
        examples=["churn", "churn {{ environment }}"],
    )
    tags: list[str] | dict[str, Text] = Field(
        default_factory=list,
        description="Tags of the MLflow run: a list of words, or names with values.",
        examples=[["q3"], {"team": "growth"}],
    )
    tracking_uri: str | None = Field(
        default=None,
        description="The MLflow server. Default: MLFLOW_TRACKING_URI, else a store inside the "
        "project.",
        examples=["http://mlflow:5000"],
    )


class Dagstermill(dg.Resolvable, dg.Model):
    """What a notebook is given under `engine: dagstermill`."""

    resource_keys: list[str] = Field(
        default_factory=list,
        description="The project's resources that the notebook finds in `context.resources`.",
        examples=[["warehouse"]],
    )
    io_manager_key: str | None = Field(
        default=None,
        description="The project's IO manager that keeps the executed notebook. Default: "
        "dagstermill's own, in the folder `runs`.",
        examples=["output_notebook_io_manager"],
    )
    inputs: dict[str, str] = Field(
        default_factory=dict,
        description="Variables that the notebook finds set to the values of other assets, by "
        "asset key. They come before it, as `deps` do.",
        examples=[{"events": "raw/events"}],
    )


def _allow_on(schema: dict[str, Any]) -> None:
    # `dg check yaml` compares keys with this schema as YAML 1.1 reads them: see `_read_on`.
    schema.pop("additionalProperties", None)


def plain(context: dg.ResolutionContext, value: Any) -> Any:
    """Resolve a value from YAML, leaving text that holds no template exactly as written.

    Dagster renders every string as a template, after which `"20260101"` is a number and
    `"None"` is nothing.
    """
    if isinstance(value, BaseModel):
        value = value.model_dump(exclude_unset=True)
    if isinstance(value, Mapping):
        return {key: plain(context.at_path(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(context.at_path(index), item) for index, item in enumerate(value)]
    if isinstance(value, str) and holds_template(value):
        return context.resolve_value(value)
    return value


def holds_template(value: Any) -> bool:
    """Whether Dagster would render something in this value when it loads the file."""
    if isinstance(value, Mapping):
        return any(holds_template(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(holds_template(item) for item in value)
    return isinstance(value, str) and any(mark in value for mark in ("{{", "{%", "{#"))
