"""Each attribute of the YAML does what it says. One test, or more, for each: see the last one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import dagster as dg
import pytest
from pydantic import BaseModel

from dagbook.notebook_runner import NotebookRunnerComponent
from dagbook.policy import BUILT_IN_SIZES

if TYPE_CHECKING:
    from conftest import Workbench

_covered: set[str] = set()
# These have their tests in test_recording.py, which looks into MLflow.
_covered |= {"experiment", "experiment.name", "experiment.tags", "experiment.tracking_uri"}
# These in test_dagstermill_step.py and test_dagstermill_problems.py.
_covered |= {"engine", "dagstermill", "dagstermill.resource_keys", "dagstermill.inputs"}
_covered |= {"dagstermill.io_manager_key"}
# This in test_connections.py.
_covered |= {"resources"}

Test = TypeVar("Test", bound=Callable[..., None])


def about(*attributes: str) -> Callable[[Test], Test]:
    """Says which attributes a test is about."""
    _covered.update(attributes)
    return lambda test: test


@about("notebook")
def test_notebook_is_read_from_the_project_whatever_the_working_directory(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    path = bench.notebook("models/deep/churn.ipynb", ["import os\nprint(os.getcwd())"])
    bench.component("churn", "notebook: models/deep/churn.ipynb")

    assert bench.spec("churn").metadata["notebook"] == dg.MetadataValue.notebook(str(path))
    assert bench.run("churn").success


@about("notebook")
def test_notebook_may_be_a_text_notebook(bench: Workbench) -> None:
    (bench.root / "churn.py").write_text("# %%\nx = 1\n# %%\nassert x == 1\n")
    bench.component("churn", "notebook: churn.py")

    assert bench.run("churn").success


@about("key")
def test_key_is_the_folder_below_defs_unless_given(bench: Workbench) -> None:
    bench.notebook("n.ipynb", ["1"])
    bench.component("models/churn-v2", "notebook: n.ipynb")
    bench.component("other", "notebook: n.ipynb\nkey: raw/events")

    keys = {key.to_user_string() for key in bench.load().resolve_all_asset_keys()}

    assert keys == {"models/churn-v2", "raw/events"}
    assert bench.run("models/churn-v2").success
    assert (bench.root / "runs" / "models" / "churn-v2").is_dir()


@about("key")
@pytest.mark.parametrize("name", ["input", "config", "type", "class", "lambda", "2026"])
def test_key_may_be_a_word_that_dagster_keeps_for_itself(bench: Workbench, name: str) -> None:
    bench.notebook("n.ipynb", ["1"])
    bench.component(name, "notebook: n.ipynb\nschedule: 0 6 * * *")
    bench.component("after", f"notebook: n.ipynb\ndeps: [{name}]")

    dg.Definitions.validate_loadable(bench.load())
    assert "problem" not in bench.spec(name).metadata
    assert bench.spec(name).kinds == {"jupyter"}


@about("kernel")
def test_kernel_replaces_the_notebooks_own(bench: Workbench, bash_kernel: None) -> None:
    bench.notebook("n.ipynb", ["echo hello"], kernel="bash")
    bench.component("own", "notebook: n.ipynb")
    bench.component("other", "notebook: n.ipynb\nkernel: python3")

    defs = bench.load()

    assert bench.run("own", defs=defs).success
    failed = bench.run("other", defs=defs)
    assert failed.failure.description.startswith("SyntaxError")


@about("compute_size")
def test_compute_size_is_what_the_run_is_held_to(bench: Workbench) -> None:
    bench.notebook("n.ipynb", ["1"])
    bench.component("n", "notebook: n.ipynb\ncompute_size: medium")

    assert bench.spec("n").metadata["size"] == "medium (4 CPU, 16 GiB, 4 h)"
    assert bench.run("n").metadata["size"] == "medium (4 CPU, 16 GiB, 4 h)"


@about("parameters")
def test_parameters_keep_the_types_they_are_written_with(bench: Workbench) -> None:
    bench.notebook(
        "n.ipynb",
        [
            ("day: str = ''\nname: str = ''\nrate: float = 0.0\nwords: list = []", ["parameters"]),
            """
            assert (day, name, rate, words) == ("20260101", "None", 0.5, ["1", 2]), (
                day, name, rate, words)
            """,
        ],
    )
    bench.component(
        "n",
        "notebook: n.ipynb\nparameters: {day: '20260101', name: 'None', rate: 0.5, words: ['1', 2]}",
    )

    assert bench.run("n").success


@about("partitions")
def test_partitions_by_time_make_a_run_about_its_window(bench: Workbench) -> None:
    bench.notebook(
        "n.ipynb",
        [
            ("day: str = ''\nsince: str = ''\nuntil: str = ''", ["parameters"]),
            """
            import dagbook
            assert day == dagbook.context.partition_key == "2026-03-29"
            assert since == dagbook.context.data_interval_start == "2026-03-29T00:00:00+01:00"
            assert until == dagbook.context.data_interval_end == "2026-03-30T00:00:00+02:00"
            """,
        ],
    )
    bench.component(
        "n",
        """
        notebook: n.ipynb
        partitions: {type: daily, start_date: 2026-01-01, timezone: Europe/Berlin}
        parameters:
          day: "{{ partition_key }}"
          since: "{{ data_interval_start }}"
          until: "{{data_interval_end}}"
        """,
    )

    ran = bench.run("n", partition="2026-03-29")

    assert ran.success
    assert ran.materializations[0].partition == "2026-03-29"
    assert list((bench.root / "runs" / "n" / "2026-03-29").glob("*-succeeded.ipynb"))


@about("partitions.type")
@pytest.mark.parametrize(
    ("kind", "first", "kinds"),
    [
        ("hourly", "2026-01-01-00:00", dg.HourlyPartitionsDefinition),
        ("daily", "2026-01-01", dg.DailyPartitionsDefinition),
        ("weekly", "2026-01-04", dg.WeeklyPartitionsDefinition),
        ("monthly", "2026-01-01", dg.MonthlyPartitionsDefinition),
    ],
)
def test_partitions_type_is_how_long_one_is(
    bench: Workbench, kind: str, first: str, kinds: type
) -> None:
    bench.notebook("n.ipynb", ["1"])
    bench.component("n", f"notebook: n.ipynb\npartitions: {{type: {kind}, start_date: 2026-01-01}}")

    partitions = bench.spec("n").partitions_def

    assert isinstance(partitions, kinds)
    assert partitions.get_partition_keys()[0] == first


@about("partitions.start_date", "partitions.end_date")
def test_partitions_start_date_and_end_date_bound_the_partitions(bench: Workbench) -> None:
    bench.notebook("n.ipynb", ["1"])
    bench.component(
        "n",
        "notebook: n.ipynb\n"
        "partitions: {type: daily, start_date: 2026-01-01, end_date: 2026-01-04}",
    )

    partitions = bench.spec("n").partitions_def

    assert partitions is not None
    assert partitions.get_partition_keys() == ["2026-01-01", "2026-01-02", "2026-01-03"]


@about("partitions.timezone")
def test_partitions_timezone_is_the_schedules_unless_given(bench: Workbench) -> None:
    bench.notebook("n.ipynb", ["1"])
    daily = "notebook: n.ipynb\npartitions: {type: daily, start_date: 2026-01-01"
    bench.component("plain", daily + "}")
    bench.component("timed", daily + "}\nschedule: {cron: 0 1 * * *, timezone: Asia/Tokyo}")
    bench.component("given", daily + ", timezone: Europe/Rome}\nschedule: 0 1 * * *")

    zones = {
        spec.key.to_user_string(): spec.partitions_def.timezone
        for spec in bench.load().resolve_all_asset_specs()
    }

    assert zones == {"plain": "UTC", "timed": "Asia/Tokyo", "given": "Europe/Rome"}


@about("partitions.values")
def test_partitions_values_make_a_run_about_one_of_them(bench: Workbench) -> None:
    bench.notebook(
        "n.ipynb", [("number: int = 0", ["parameters"]), ("seen = number * 10", ["metrics"])]
    )
    bench.component(
        "n",
        """
        notebook: n.ipynb
        partitions: {type: static, values: [7, 8, a/b]}
        parameters: {number: "{{ partition_key }}"}
        """,
    )
    defs = bench.load()

    assert bench.run("n", defs=defs, partition="7").metadata["seen"] == 70.0
    # A value is never a path.
    assert not bench.run("n", defs=defs, partition="a/b").success
    assert sorted(p.name for p in (bench.root / "runs" / "n").iterdir()) == ["7"]


@about("schedule")
def test_schedule_is_a_cron_line_in_utc_and_runs_as_soon_as_it_is_loaded(bench: Workbench) -> None:
    bench.notebook("n.ipynb", ["1"])
    bench.component("models/n", "notebook: n.ipynb\nschedule: 0 6 * * *")

    schedule = bench.load().resolve_schedule_def("models__n_schedule")

    assert schedule.cron_schedule == "0 6 * * *"
    assert schedule.execution_timezone == "UTC"
    assert schedule.job_name == "__ASSET_JOB"
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING


@about("schedule.cron", "schedule.timezone")
def test_schedule_cron_and_timezone_are_on_the_asset_with_the_next_ticks(bench: Workbench) -> None:
    bench.notebook("n.ipynb", ["1"])
    bench.component("n", "notebook: n.ipynb\nschedule: {cron: 0 6 * * *, timezone: Europe/Berlin}")

    metadata = bench.spec("n").metadata

    assert metadata["schedule"] == "0 6 * * * (Europe/Berlin)"
    ticks = metadata["next_ticks"].split(", ")
    assert len(ticks) == 3
    assert all(re.fullmatch(r"\w{3} \d{2} \w{3} \d{4} 06:00 CES?T", tick) for tick in ticks)


@about("schedule.timezone")
def test_schedule_timezone_decides_what_a_day_is(bench: Workbench) -> None:
    bench.notebook("n.ipynb", ["1"])
    bench.component(
        "n",
        """
        notebook: n.ipynb
        schedule: {cron: 0 1 * * *, timezone: Europe/Berlin}
        partitions: {type: daily, start_date: 2026-01-01}
        """,
    )

    requests = _tick(bench, bench.load(), "n_schedule", datetime(2026, 7, 2, 23, 0, tzinfo=UTC))

    assert [request.partition_key for request in requests] == ["2026-07-02"]


@about("schedule.own_job")
def test_schedule_own_job_gives_it_a_job_that_runs_the_same(bench: Workbench) -> None:
    bench.notebook("n.ipynb", ["1"])
    bench.component("n", "notebook: n.ipynb\nschedule: {cron: 0 6 * * *, own_job: true}")
    defs = bench.load()

    assert defs.resolve_schedule_def("n_schedule").job_name == "n_job"
    (request,) = _tick(bench, defs, "n_schedule", datetime(2026, 7, 2, 6, tzinfo=UTC))
    result = defs.resolve_job_def("n_job").execute_in_process(
        instance=bench.instance, tags=request.tags
    )
    assert result.success


@about("retries", "retries.max")
@pytest.mark.parametrize(("retries", "attempts"), [("0", 1), ("1", 2), ("{max: 2}", 3)])
def test_retries_is_how_often_a_killed_kernel_is_tried_again(
    bench: Workbench, retries: str, attempts: int
) -> None:
    bench.notebook("n.ipynb", ["import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"])
    bench.component("n", f"notebook: n.ipynb\nretries: {retries}")

    ran = bench.run("n")

    assert ran.attempts == attempts
    assert ran.metadata["status"] == "killed"


@about("retries.max")
def test_retries_are_not_for_what_needs_more_memory_than_its_size(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = replace(BUILT_IN_SIZES["small"], memory_bytes=300 * 1024**2)
    monkeypatch.setitem(BUILT_IN_SIZES, "small", small)
    bench.notebook("n.ipynb", ["import time\nhoard = b'x' * 600_000_000\ntime.sleep(5)"])
    bench.component("n", "notebook: n.ipynb\nretries: 2")

    ran = bench.run("n")

    assert ran.attempts == 1
    assert ran.metadata["reason"].startswith("exceeded 300 MiB of size small, peak ")


@about("retries.delay_seconds")
def test_retries_delay_seconds_passes_between_two_tries(bench: Workbench) -> None:
    bench.notebook("n.ipynb", ["1 / 0"])
    bench.component("n", "notebook: n.ipynb\nretries: {on: [error], delay_seconds: 1.5}")

    ran = bench.run("n")

    (waiting,) = [e for e in ran.events if e.event_type_value == "STEP_UP_FOR_RETRY"]
    assert waiting.step_retry_data.seconds_to_wait == 1.5
    assert ran.attempts == 2


@about("retries.on")
def test_retries_on_error_tries_an_exception_once_more_by_default(bench: Workbench) -> None:
    # `on` without quotes is a truth value to the YAML that Dagster reads.
    bench.notebook("n.ipynb", ["1 / 0"])
    bench.component("n", "notebook: n.ipynb\nretries: {on: [error]}")

    assert bench.run("n").attempts == 2


@about("limits", "limits.max_runtime_hours")
def test_limits_max_runtime_hours_ends_the_run(bench: Workbench) -> None:
    bench.notebook("n.ipynb", ["import time\ntime.sleep(60)"])
    bench.component("n", "notebook: n.ipynb\nlimits: {max_runtime_hours: 0.0005}")

    assert bench.run("n").metadata["status"] == "timed_out"


@about("limits.max_cost_usd")
def test_limits_max_cost_usd_ends_the_run(bench: Workbench) -> None:
    (bench.root / "dagbook-platform.yaml").write_text(
        "compute_sizes: {small: {cpus: 2, memory: 4 GiB, max_run_time: 1 h, price_per_hour: 3600, "
        "default: true}}\n"
    )
    bench.notebook("n.ipynb", ["import time\ntime.sleep(60)"])
    bench.component("n", "notebook: n.ipynb\nlimits: {max_cost_usd: 3}")

    assert bench.run("n").metadata["reason"] == (
        "ended after 3 s, budget of 3.00 USD per run reached"
    )


@about("timeout")
def test_timeout_ends_a_cell(bench: Workbench) -> None:
    bench.notebook("n.ipynb", ["import time\ntime.sleep(60)"])
    bench.component("n", "notebook: n.ipynb\ntimeout: 0.5")

    assert bench.run("n").metadata["status"] == "timed_out"


@about("monitoring", "monitoring.track_metrics")
def test_monitoring_track_metrics_chooses_what_is_kept(bench: Workbench) -> None:
    bench.notebook("n.ipynb", ["1"])
    bench.component("usual", "notebook: n.ipynb")
    bench.component("some", "notebook: n.ipynb\nmonitoring: {track_metrics: [runtime]}")
    bench.component("gpu", "notebook: n.ipynb\nmonitoring: {track_metrics: [gpu_utilization]}")
    defs = bench.load()
    every = {"runtime_seconds", "peak_memory_bytes", "mean_memory_bytes", "cpu_seconds"}

    assert every & set(bench.run("usual", defs=defs).metadata) == every
    assert every & set(bench.run("some", defs=defs).metadata) == {"runtime_seconds"}
    assert every & set(bench.run("gpu", defs=defs).metadata) == set()


@about("owners", "tags", "group", "description")
def test_owners_tags_group_and_description_are_the_assets(bench: Workbench) -> None:
    bench.notebook("n.ipynb", ["1"])
    bench.component(
        "n",
        """
        notebook: n.ipynb
        owners: [team:growth, someone@example.com]
        tags: {tier: gold, year: 2026, "007": "1e5"}
        group: growth
        description: "20260101"
        """,
    )

    spec = bench.spec("n")

    assert list(spec.owners) == ["team:growth", "someone@example.com"]
    assert {"tier": "gold", "year": "2026", "007": "1e5"}.items() <= spec.tags.items()
    assert spec.group_name == "growth"
    assert spec.description == "20260101"


@about("description")
def test_description_may_hold_a_plain_name_of_dagsters(bench: Workbench) -> None:
    bench.notebook("n.ipynb", ["1"])
    bench.component("n", 'notebook: n.ipynb\ndescription: "in {{ context.project_root }}"')

    assert bench.spec("n").description == f"in {bench.project.root}"


@about("deps")
def test_deps_come_before(bench: Workbench) -> None:
    bench.notebook("n.ipynb", ["1"])
    bench.component("raw/events", "notebook: n.ipynb")
    bench.component("n", "notebook: n.ipynb\ndeps: [raw/events, elsewhere]")

    deps = {dep.asset_key.to_user_string() for dep in bench.spec("n").deps}

    assert deps == {"raw/events", "elsewhere"}


@about("schema_version")
def test_schema_version_1_is_read_and_a_newer_one_is_set_aside(bench: Workbench) -> None:
    bench.notebook("n.ipynb", ["1"])
    bench.component("n", "notebook: n.ipynb\nschema_version: 1")
    newer = bench.component("newer", "notebook: n.ipynb\nschema_version: 2")

    assert "schema_version" not in bench.spec("n").metadata
    found = bench.spec("newer").metadata
    assert found["reason"].value == (
        "schema_version: version 2 is newer than this NotebookRunnerComponent, which reads 1: "
        "upgrade its package"
    )
    assert (found["file"].value, found["line"].value) == (str(newer), 4)


def test_every_attribute_has_a_test() -> None:
    assert _covered == set(attribute_paths(NotebookRunnerComponent))


def attribute_paths(model: type[BaseModel], before: str = "") -> Iterator[str]:
    """Every key of the YAML, dotted: ``limits``, ``limits.max_runtime_hours``."""
    for name, info in model.model_fields.items():
        yield f"{before}{name}"
        for nested in _models(info.annotation):
            yield from attribute_paths(nested, f"{before}{name}.")


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def _tick(bench: Workbench, defs: dg.Definitions, name: str, at: datetime) -> list[dg.RunRequest]:
    context = dg.build_schedule_context(
        instance=bench.instance,
        scheduled_execution_time=at,
        repository_def=defs.get_repository_def(),
    )
    return list(defs.resolve_schedule_def(name).evaluate_tick(context).run_requests or [])
