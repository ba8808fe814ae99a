"""What `find_problems` says of a component's attributes: whole texts, one test per kind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dagbook.errors import DagbookError, did_you_mean
from dagbook.execution.kernelspec import find_kernel
from dagbook.notebook import read_notebook, resolve_parameters
from dagbook.notebook_runner import NotebookRunnerComponent
from dagbook.notebook_runner.checks import Problem, find_problems
from dagbook.notebook_runner.run_time_names import RUN_TIME_NAMES
from dagbook.policy.sizes import BUILT_IN_SIZES

if TYPE_CHECKING:
    from conftest import Workbench

CRON = 'Write "minute hour day month weekday", for example "0 6 * * *" for every day at 06:00'


def test_three_lines_have_no_problem(bench: Workbench) -> None:
    bench.notebook("n.ipynb", ["1"])

    assert find_problems({"notebook": "n.ipynb"}, bench.root) == []


def test_everything_at_once_has_no_problem(bench: Workbench) -> None:
    bench.notebook(
        "n.ipynb",
        [("since: str = ''\nrate: float = 1.0", ["parameters"]), ("assert rate", ["check:rate"])],
    )
    attributes = {
        "notebook": "n.ipynb",
        "key": "models/churn",
        "kernel": "python3",
        "compute_size": "medium",
        "parameters": {"since": "from {{ data_interval_start }}", "rate": 2},
        "partitions": {"type": "daily", "start_date": "2026-01-01"},
        "schedule": {"cron": "0 6 * * *", "timezone": "Europe/Berlin", "own_job": True},
        "retries": {"max": 2, True: ["error"], "delay_seconds": 30},
        "limits": {"max_runtime_hours": 4},
        "timeout": 60,
        "monitoring": {"track_metrics": ["runtime", "gpu_memory"]},
        "experiment": {"name": "churn {{ environment }}", "tags": ["q3"]},
        "owners": ["team:growth", "someone@example.com"],
        "tags": {"tier": "gold"},
        "group": "growth",
        "description": "{{ env.ANY }}",
        "deps": ["raw/events"],
    }

    assert find_problems(attributes, bench.root) == []


@pytest.mark.parametrize(
    ("attributes", "loc", "text"),
    [
        pytest.param(
            {"schedul": "0 6 * * *"},
            ("schedul",),
            f"unknown key. {did_you_mean('schedul', NotebookRunnerComponent.model_fields)}",
            id="unknown-key",
        ),
        pytest.param(
            {"limits": {"max_cost": 5}},
            ("limits", "max_cost"),
            "unknown key. Did you mean `max_cost_usd`? Known: max_cost_usd, max_runtime_hours",
            id="key-of-a-later-day",
        ),
        pytest.param(
            {"schedule": {"cron": "0 6 * * *", "time_zone": "UTC"}},
            ("schedule", "time_zone"),
            "unknown key. Did you mean `timezone`? Known: timezone, cron, own_job",
            id="unknown-nested-key",
        ),
        pytest.param(
            {"partitions": {"type": "daily", "start_date": "2026-01-01", "values": [1]}},
            ("partitions", "values"),
            "unknown key. Known: end_date, start_date, type, timezone",
            id="key-of-the-other-kind-of-partitions",
        ),
        pytest.param(
            {"timeout": "soon"}, ("timeout",), "a number is wanted, not 'soon'", id="type"
        ),
        pytest.param({"timeout": 0}, ("timeout",), "more than 0 is wanted, not 0", id="bound"),
        pytest.param(
            {"owners": "me"}, ("owners",), "a list is wanted, not 'me'", id="text-for-a-list"
        ),
        pytest.param(
            {"parameters": {True: 1}},
            ("parameters", True),
            "the key True is no text to YAML: write it in quotes",
            id="yaml-took-the-key-for-a-truth-value",
        ),
        pytest.param(
            {"partitions": {"type": "dayly", "start_date": "2026-01-01"}},
            ("partitions",),
            "type 'dayly' is not known. Did you mean `daily`? Known: daily, hourly, weekly, "
            "monthly, static",
            id="kind-of-partitions",
        ),
        pytest.param(
            {"partitions": {"start_date": "2026-01-01"}},
            ("partitions",),
            "`type` is missing: write hourly, daily, weekly, monthly or static",
            id="no-kind-of-partitions",
        ),
        pytest.param(
            {"partitions": {"type": "daily"}},
            ("partitions", "start_date"),
            "is missing",
            id="no-start-date",
        ),
        pytest.param(
            {"partitions": {"type": "daily", "start_date": "1.1.2026"}},
            ("partitions",),
            "start_date '1.1.2026' is no date: write YYYY-MM-DD",
            id="no-date",
        ),
        pytest.param(
            {"partitions": {"type": "daily", "start_date": "2026-01-02", "end_date": "2026-01-02"}},
            ("partitions",),
            "end_date 2026-01-02 is not after start_date 2026-01-02",
            id="dates-in-reverse",
        ),
        pytest.param(
            {"partitions": {"type": "hourly", "start_date": "2026-01-02T10:30"}},
            ("partitions",),
            "start_date '2026-01-02T10:30': hourly partitions begin on the full hour",
            id="half-an-hour",
        ),
        pytest.param(
            {"partitions": {"type": "static", "values": ["DE", "DE"]}},
            ("partitions",),
            "values names 'DE' more than once",
            id="value-twice",
        ),
        pytest.param(
            {"partitions": {"type": "static", "values": []}},
            ("partitions", "values"),
            "is empty: give at least one",
            id="no-values",
        ),
        pytest.param(
            {"schedule": "0 6 * *"},
            ("schedule", "cron"),
            f"cron '0 6 * *' cannot be read: it has 4 fields, not five. {CRON}",
            id="four-fields",
        ),
        pytest.param(
            {"schedule": "0 0 31 2 *"},
            ("schedule", "cron"),
            f"cron '0 0 31 2 *' never comes or cannot be read. {CRON}",
            id="never-comes",
        ),
        pytest.param(
            {"schedule": {"cron": "0 6 * * *", "timezone": "Europe/Berln"}},
            ("schedule", "timezone"),
            "time zone 'Europe/Berln' does not exist: use an IANA name such as Europe/Berlin "
            "or UTC",
            id="time-zone",
        ),
        pytest.param(
            {"retries": {"on": ["eror"]}},
            ("retries", "on", 0),
            "'eror' is not known. Did you mean `error`? Known: error",
            id="cause-of-a-retry",
        ),
        pytest.param(
            {"monitoring": {"track_metrics": ["runtime", "gpu"]}},
            ("monitoring", "track_metrics", 1),
            "'gpu' is not known. Known: gpu_memory, cpu_usage, gpu_utilization, runtime, "
            "memory_usage",
            id="measurement",
        ),
        pytest.param(
            {"compute_size": "medum"},
            ("compute_size",),
            f"compute size 'medum' does not exist. {did_you_mean('medum', BUILT_IN_SIZES)}",
            id="size",
        ),
        pytest.param(
            {"limits": {"max_runtime_hours": 8}},
            ("limits", "max_runtime_hours"),
            "8 h is more than the size small (2 CPU, 4 GiB, 1 h) allows: choose a larger size or "
            "at most 1",
            id="more-time-than-the-size",
        ),
        pytest.param(
            {"key": "a//b"},
            ("key",),
            "'a//b' is no asset key: between its slashes use letters, digits, _ and -",
            id="key",
        ),
        pytest.param(
            {"deps": ["fine", "not fine"]},
            ("deps", 1),
            "'not fine' is no asset key: between its slashes use letters, digits, _ and -, not "
            "'not fine'",
            id="dep",
        ),
        pytest.param(
            {"owners": ["growth"]},
            ("owners", 0),
            "'growth' is neither an e-mail address nor `team:` with a name",
            id="owner",
        ),
        pytest.param(
            {"group": "a b"},
            ("group",),
            "'a b' cannot be a group: use letters, digits and _",
            id="group",
        ),
        pytest.param(
            {"tags": {"tier": "g o l d"}},
            ("tags", "tier"),
            "tier='g o l d' cannot be a tag: use at most 63 letters, digits, _, - and .",
            id="tag",
        ),
        pytest.param(
            {"experiment": {"name": "of {{ partition }}"}, "partitions": None},
            ("experiment", "name"),
            "`{{ partition }}` is no name that a run knows. "
            f"{did_you_mean('partition', RUN_TIME_NAMES)}. Only exact names are filled in: "
            "expressions belong in the notebook",
            id="name-in-braces",
        ),
        pytest.param(
            {"experiment": {"name": "{{ experiment_id }}"}},
            ("experiment", "name"),
            "`{{ experiment_id }}` is not known before the experiment has its name",
            id="experiment-named-after-itself",
        ),
    ],
)
def test_a_problem_is_told_with_its_place_and_the_way_on(
    bench: Workbench, attributes: dict[str, Any], loc: tuple[Any, ...], text: str
) -> None:
    bench.notebook("n.ipynb", ["1"])

    assert find_problems({"notebook": "n.ipynb", **attributes}, bench.root) == [Problem(loc, text)]


@pytest.mark.parametrize("name", ["data_interval_start", "data_interval_end"])
def test_an_interval_is_refused_where_a_run_has_none(bench: Workbench, name: str) -> None:
    bench.notebook("n.ipynb", [("since: str = ''", ["parameters"])])
    attributes: dict[str, Any] = {
        "notebook": "n.ipynb",
        "parameters": {"since": f"{{{{ {name} }}}}"},
    }

    assert find_problems(attributes, bench.root) == [
        Problem(
            ("parameters", "since"),
            f"`{{{{ {name} }}}}` needs a `schedule`, or `partitions` by time: without them a run "
            "is about no interval",
        )
    ]
    static = {"type": "static", "values": ["DE"]}
    assert len(find_problems({**attributes, "partitions": static}, bench.root)) == 1
    assert find_problems({**attributes, "schedule": "@daily"}, bench.root) == []


def test_a_partition_key_is_refused_without_partitions(bench: Workbench) -> None:
    bench.notebook("n.ipynb", [("days: list = []", ["parameters"])])
    attributes = {"notebook": "n.ipynb", "parameters": {"days": ["x", "{{ partition_key }}"]}}

    assert find_problems(attributes, bench.root) == [
        Problem(
            ("parameters", "days", 1),
            "`{{ partition_key }}` needs `partitions`, which this notebook has not",
        )
    ]


def test_every_problem_is_told_in_the_order_of_the_file(bench: Workbench) -> None:
    bench.notebook("n.ipynb", [("rate: float = 1.0", ["parameters"])])
    attributes = {
        "retries": "often",
        "parameters": {"rat": 1},
        "kernal": "python3",
        "notebook": "n.ipynb",
        "compute_size": "tiny",
    }

    places = [problem.loc for problem in find_problems(attributes, bench.root)]

    assert places == [("retries", "max"), ("parameters", "rat"), ("kernal",), ("compute_size",)]


def test_a_problem_reads_as_one_line() -> None:
    assert str(Problem(("schedule", "cron"), "is missing")) == "schedule.cron: is missing"


def test_a_notebook_that_is_missing_is_told_with_the_one_that_is_there(bench: Workbench) -> None:
    bench.notebook("models/churn.ipynb", ["1"])

    assert find_problems({}, bench.root) == [Problem(("notebook",), "is missing")]
    assert find_problems({"notebook": "churn.ipynb"}, bench.root) == [
        Problem(
            ("notebook",),
            f"churn.ipynb does not exist in {bench.root}. Did you mean `models/churn.ipynb`? "
            "Known: models/churn.ipynb",
        )
    ]
    assert find_problems({"notebook": "models/chrn.ipynb"}, bench.root) == [
        Problem(
            ("notebook",),
            f"models/chrn.ipynb does not exist in {bench.root}. Did you mean "
            "`models/churn.ipynb`? Known: models/churn.ipynb",
        )
    ]


@pytest.mark.parametrize("path", ["/etc/passwd", "../n.ipynb", "a/../../n.ipynb"])
def test_a_notebook_outside_the_project_is_refused(bench: Workbench, path: str) -> None:
    assert find_problems({"notebook": path}, bench.root) == [
        Problem(
            ("notebook",),
            f"{path!r} must lie inside the project: write it relative to {bench.root}",
        )
    ]


def test_what_the_notebook_says_against_its_yaml_is_told_by_the_core(bench: Workbench) -> None:
    path = bench.notebook(
        "n.ipynb", [("rate: float = 1.0\nday: str = ''\nmust: int", ["parameters"])]
    )
    notebook = read_notebook(path)
    attributes = {
        "notebook": "n.ipynb",
        "kernel": "pyton3",
        "parameters": {"rate": "high", "dai": "{{ run_date }}"},
        "schedule": "@daily",
    }

    assert find_problems(attributes, bench.root) == [
        Problem(("kernel",), _error(lambda: find_kernel("pyton3"))),
        Problem(
            ("parameters", "rate"),
            _error(lambda: resolve_parameters(notebook, {"rate": "high"}, complete=False)),
        ),
        Problem(
            ("parameters", "dai"),
            _error(lambda: resolve_parameters(notebook, {"dai": "x"}, complete=False)),
        ),
        Problem(
            ("parameters",),
            "the notebook requires `must`: give a value, a scheduled run has nobody to ask",
        ),
    ]


def test_a_template_of_dagsters_is_taken_on_trust(bench: Workbench) -> None:
    bench.notebook("n.ipynb", ["1"])
    attributes = {"notebook": "n.ipynb", "compute_size": "{{ env.SIZE }}", "timeout": "{{ 5 }}"}

    assert find_problems(attributes, bench.root) == []
    assert find_problems({"notebook": "{{ env.NOTEBOOK }}"}, Path("/nowhere")) == []


def _error(act: Any) -> str:
    with pytest.raises(DagbookError) as error:
        act()
    return str(error.value)


TOKEN = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
KEPT = (
    "and parameters are kept with every run: name a connection under `resources` in its "
    'component, and read it in the notebook with `os.environ["{}"]`'
)


@pytest.mark.parametrize(
    ("attributes", "loc", "text"),
    [
        (
            {"parameters": {"region": TOKEN}},
            ("parameters", "region"),
            f"looks like a GitHub token, {KEPT.format('REGION')}",
        ),
        (
            {"parameters": {"region": TOKEN + " {{ run_date }}"}},
            ("parameters", "region"),
            f"looks like a GitHub token, {KEPT.format('REGION')}",
        ),
        (
            {"parameters": {"unknown_password": "hunter2"}},
            ("parameters", "unknown_password"),
            f"is called a credential, {KEPT.format('UNKNOWN_PASSWORD')}",
        ),
        (
            {"tags": {"token": TOKEN}},
            ("tags", "token"),
            "looks like a GitHub token, which must not stand in a component file",
        ),
    ],
    ids=["shape", "with-braces", "name", "tag"],
)
def test_a_credential_is_told_of_once_and_not_shown(
    bench: Workbench, attributes: dict[str, Any], loc: tuple[str, ...], text: str
) -> None:
    bench.notebook("n.ipynb", [("region = 'DE'", ["parameters"])])
    assert find_problems({"notebook": "n.ipynb", **attributes}, bench.root) == [Problem(loc, text)]


def test_a_credential_as_default_is_told_of(bench: Workbench) -> None:
    bench.notebook("n.ipynb", [("api_key = 'hunter2-Zq9'", ["parameters"])])
    (problem,) = find_problems({"notebook": "n.ipynb"}, bench.root)
    assert problem.loc == ("notebook",)
    assert problem.text == (
        f"{bench.root}/n.ipynb, cell 1: the default of `api_key` is called a credential, "
        f"{KEPT.format('API_KEY')}."
    )
