"""What the platform file says, held in three places: while checking, loading and launching."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import dagster as dg
import pytest

import dagbook
from dagbook.cli import main
from dagbook.errors import DagbookError
from dagbook.notebook_runner.checks import Problem, find_problems
from dagbook.notebook_runner.component import NotebookRunnerComponent
from dagbook.notebook_runner.policy_problems import platform_for, policy_in_force
from dagbook.notebook_runner.policy_request import effective, judge, request_of, type_name
from dagbook.policy.platform import Platform
from dagbook.policy.request import Objection, Request
from dagbook.safe_yaml import ScreeningRules
from dagbook.validation import validate_paths

if TYPE_CHECKING:
    from conftest import Workbench

PLATFORM = """\
contact: "#ml-platform"
compute_sizes:
  tiny: {cpus: 1, memory: 1 GiB, max_run_time: 10 min, default: true}
  huge: {cpus: 2, memory: 8 GiB, max_run_time: 2 h, teams: [models]}
teams:
  - {folder: "models/**", team: models, contact: models@example.com}
  - {folder: "**", team: everyone}
rules:
  maximum_retries: 2
  minimum_schedule_interval: 1 h
"""
HUGE = (
    "compute size 'huge' is for the team models, and {} is of the team everyone. Allowed: tiny. "
    "For an exception ask #ml-platform (dagbook-platform.yaml:4)"
)


def problems(bench: Workbench, attributes: dict[str, Any]) -> list[Problem]:
    platform = platform_for(NotebookRunnerComponent, bench.root)
    return find_problems(attributes, bench.root, platform=platform, asset="a")


def test_a_forbidden_size_is_refused_at_its_key_with_whom_to_ask(bench: Workbench) -> None:
    bench.platform(PLATFORM)
    bench.notebook("a.ipynb", ["1"])
    assert problems(bench, {"notebook": "a.ipynb", "compute_size": "huge"}) == [
        Problem(("compute_size",), HUGE.format("a.ipynb"))
    ]
    assert problems(bench, {"notebook": "a.ipynb"}) == []


def test_an_unknown_size_is_told_once_with_the_platforms_sizes(bench: Workbench) -> None:
    bench.platform(PLATFORM)
    bench.notebook("a.ipynb", ["1"])
    assert problems(bench, {"notebook": "a.ipynb", "compute_size": "small"}) == [
        Problem(("compute_size",), "compute size 'small' does not exist. Known: huge, tiny")
    ]


def test_every_rule_is_told_at_the_key_it_is_about(bench: Workbench) -> None:
    bench.platform(
        PLATFORM
        + "  kernels: [ir]\n  required_checks: [rows]\n  required_metadata: {owners: }\n"
        + "  folders: [models/**]\n"
    )
    bench.notebook("a.ipynb", ["1"])
    given = {
        "notebook": "a.ipynb",
        "schedule": "*/5 * * * *",
        "retries": 3,
        "limits": {"max_runtime_hours": 1},
    }
    assert [(p.loc, p.text.partition(".")[0]) for p in problems(bench, given)] == [
        (("notebook",), "the kernel 'python3' is not allowed"),
        (("notebook",), "a"),
        (("notebook",), "the notebook lacks the check `rows`"),
        (("schedule", "cron"), "the schedule comes due every 5 min, which is too often"),
        (("retries", "max"), "3 retries are too many"),
        (
            ("limits", "max_runtime_hours"),
            "1 h is more than the size tiny (1 CPU, 1 GiB, 10 min) allows: choose a larger size "
            "or at most 0",
        ),
        (("owners",), "`owners` is missing: every component has to give it"),
    ]


def test_without_a_platform_file_nothing_is_asked(bench: Workbench) -> None:
    assert platform_for(NotebookRunnerComponent, bench.root) is None


def test_defaults_of_the_platform_fill_what_the_yaml_leaves_out(bench: Workbench) -> None:
    bench.platform(
        PLATFORM
        + "defaults:\n  retries.max: 1\n  schedule.timezone: Europe/Berlin\n"
        + "  limits.max_runtime_hours: 0.1\n"
    )
    platform = policy_in_force(NotebookRunnerComponent, bench.root)
    plain = NotebookRunnerComponent(notebook="a.ipynb")

    filled = effective(plain, platform)

    assert filled.compute_size == "tiny"
    assert filled.retries is not None and filled.retries.max == 1
    assert filled.limits is not None and filled.limits.max_runtime_hours == 0.1
    assert filled.schedule is None
    said = {"notebook": "a.ipynb", "compute_size": "huge", "schedule": "@daily", "retries": 0}
    kept = effective(NotebookRunnerComponent.model_validate(said), platform)
    assert kept.compute_size == "huge"
    assert kept.schedule is not None and kept.schedule.timezone == "Europe/Berlin"
    assert kept.retries is not None and kept.retries.max == 0


def test_what_a_companys_class_has_as_another_default_stays(bench: Workbench) -> None:
    class Large(NotebookRunnerComponent):
        compute_size: str = "huge"

    bench.platform(PLATFORM)
    platform = policy_in_force(Large, bench.root)
    assert effective(Large(notebook="models/a.ipynb"), platform).compute_size == "huge"


def test_a_default_that_cannot_be_is_the_platform_files_fault(bench: Workbench) -> None:
    class Short(NotebookRunnerComponent):
        retries: None = None

    bench.platform(PLATFORM + "defaults: {retries.max: 1}\n")
    platform = policy_in_force(Short, bench.root)
    with pytest.raises(DagbookError) as refused:
        effective(Short(notebook="a.ipynb"), platform)
    assert str(refused.value).startswith(
        f"{bench.root}/dagbook-platform.yaml: `defaults` do not fit this component: retries: "
    )


def test_a_request_holds_what_is_known_of_a_component(bench: Workbench) -> None:
    bench.platform(PLATFORM)
    bench.notebook("models/a.ipynb", [("assert True", ["check:rows"])])
    component = NotebookRunnerComponent.model_validate(
        {"notebook": "models/a.ipynb", "schedule": "0 */2 * * *", "owners": ["team:x"]}
    )
    request = request_of(component, project_root=bench.root, asset="models/a")
    assert (request.notebook, request.asset) == ("models/a.ipynb", "models/a")
    assert request.component_type == "dagbook.NotebookRunnerComponent"
    assert request.shortest_interval_seconds == 7200.0
    assert request.attributes["owners"] == ["team:x"]
    assert request.attributes["schedule"]["cron"] == "0 */2 * * *"
    assert (request.kernel, request.checks) == (None, None)


def test_a_type_is_named_as_its_package_shows_it() -> None:
    assert type_name(NotebookRunnerComponent) == "dagbook.NotebookRunnerComponent"
    assert type_name(Workbench_like) == f"{__name__}.Workbench_like"


class Workbench_like: ...


# Where it is loaded


def test_what_is_refused_is_set_aside_with_the_line_of_its_key(bench: Workbench) -> None:
    bench.platform(PLATFORM)
    bench.notebook("a.ipynb", ["1"])
    bench.notebook("b.ipynb", ["1"])
    file = bench.component("a", "notebook: a.ipynb\ncompute_size: huge")
    bench.component("b", "notebook: b.ipynb")

    spec = bench.spec("a")

    assert spec.description == (
        f"Set aside, because it cannot be loaded: {file}:4: compute_size: {HUGE.format('a.ipynb')}"
    )
    assert bench.spec("b").metadata["size"] == "tiny (1 CPU, 1 GiB, 10 min)"


def test_in_an_ordinary_project_it_does_not_load(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.platform(PLATFORM)
    bench.notebook("a.ipynb", ["1"])
    file = bench.component("a", "notebook: a.ipynb\ncompute_size: huge")
    monkeypatch.syspath_prepend(str(bench.root))
    with pytest.raises(Exception) as failed:
        dg.load_from_defs_folder(path_within_project=bench.project.defs_folder)
    cause: BaseException = failed.value
    while cause.__cause__ is not None:
        cause = cause.__cause__
    assert str(cause) == f"{file}: compute_size: {HUGE.format('a.ipynb')}"


def test_screening_follows_the_platform_file(bench: Workbench) -> None:
    bench.platform(PLATFORM + "  environment: [REGION]\n  python_below_defs: false\n")
    bench.notebook("a.ipynb", ["1"])
    bench.component("a", 'notebook: a.ipynb\ndescription: "{{ env.REGION }}"')
    bench.component("b", 'notebook: a.ipynb\ndescription: "{{ env.OTHER }}"')
    (bench.project.defs_folder / "c").mkdir()
    (bench.project.defs_folder / "c" / "c.py").write_text("1 / 0")
    said = {
        spec.key.to_user_string(): spec.description
        for spec in bench.load().resolve_all_asset_specs()
        if "error" in spec.kinds
    }
    assert said.keys() == {"b", "c"}
    assert "component files may read these variables: REGION" in str(said["b"])
    assert "Python below `defs` is not allowed" in str(said["c"])


# Where it is launched


def test_a_run_uses_the_platforms_default_size_and_says_so(bench: Workbench) -> None:
    bench.platform(PLATFORM)
    bench.notebook("a.ipynb", ["1"])
    bench.component("a", "notebook: a.ipynb")
    ran = bench.run("a")
    assert ran.success
    assert ran.metadata["size"] == "tiny (1 CPU, 1 GiB, 10 min)"


def test_a_run_ends_at_the_platforms_time_and_names_the_next_size_its_team_may_use(
    bench: Workbench,
) -> None:
    bench.platform("""\
        compute_sizes:
          blink: {cpus: 1, memory: 1 GiB, max_run_time: 3 s, grace_seconds: 1}
          secret: {cpus: 1, memory: 2 GiB, max_run_time: 1 h, teams: [others]}
          long: {cpus: 2, memory: 4 GiB, max_run_time: 2 h}
        teams:
          - {folder: "others/**", team: others}
        """)
    bench.notebook("a.ipynb", ["import time; time.sleep(60)"])
    bench.component("a", "notebook: a.ipynb")
    ran = bench.run("a")
    assert ran.metadata["status"] == "timed_out"
    text = Path(ran.metadata["executed_notebook"]).read_text()
    assert "Next size up: long (2 CPU, 4 GiB, 2 h)." in json.loads(text)["cells"][0]["source"][-1]


def test_output_is_capped_as_the_platform_says(bench: Workbench) -> None:
    bench.platform(PLATFORM + "output_limits: {per_cell: 20 KB, per_notebook: 100 KB}\n")
    bench.notebook("a.ipynb", ["print('x' * 1_000_000)"])
    bench.component("a", "notebook: a.ipynb")
    ran = bench.run("a")
    assert ran.success
    assert Path(ran.metadata["executed_notebook"]).stat().st_size < 100_000


def test_a_schedule_launches_only_what_has_run_well_as_it_is(bench: Workbench) -> None:
    bench.platform(PLATFORM + "  require_trial: true\n")
    bench.notebook("a.ipynb", ["1"])
    bench.component("a", "notebook: a.ipynb\nschedule: '@daily'")
    tick = {"dagster/schedule_name": "a_schedule"}

    before = bench.run("a", tags=tick)
    assert before.failure.description == (
        "a.ipynb has not yet run well as it is now: run it once by hand, after that its schedule "
        "may. For an exception ask #ml-platform (dagbook-platform.yaml:11)"
    )
    assert bench.run("a").success
    assert bench.run("a", tags=tick).success
    bench.notebook("a.ipynb", ["2"])
    assert bench.run("a", tags=tick).metadata["status"] == "refused"


def test_runs_are_recorded_where_the_platform_says(
    bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = f"sqlite:///{tmp_path / 'platform.db'}"
    bench.platform(
        PLATFORM + f"tracking: {{tracking_uri: '{store}', experiment_prefix: 'growth/'}}\n"
    )
    bench.notebook("a.ipynb", ["import os; print(os.environ['MLFLOW_TRACKING_URI'])  # mlflow"])
    bench.component("a", "notebook: a.ipynb")
    ran = bench.run("a")
    assert ran.success
    # The notebook's own calls go to the recorder, which alone knows the store.
    text = Path(ran.metadata["executed_notebook"]).read_text()
    assert "http://127.0.0.1:" in text
    assert store not in text
    from mlflow import MlflowClient

    names = [e.name for e in MlflowClient(tracking_uri=store).search_experiments()]
    assert "growth/a" in names


def test_a_notebook_that_sets_another_experiment_is_refused(bench: Workbench) -> None:
    bench.platform(PLATFORM + "tracking: {experiment_prefix: 'growth/'}\n")
    bench.notebook("a.ipynb", ["import mlflow\nmlflow.set_experiment('mine')"])
    bench.component("a", "notebook: a.ipynb")
    assert bench.run("a").failure.description == (
        "the notebook sets the MLflow experiment 'mine', and here they all begin with 'growth/': "
        "write it so, or leave `mlflow.set_experiment` out"
    )


# A company's own rules


class Strict(NotebookRunnerComponent):
    """Refuses notebooks without a description."""

    def more_rules(self, request: Request, platform: Platform) -> Iterable[Objection]:
        if not request.attributes.get("description"):
            yield Objection(
                "company.description", ("description",), None, "", None, "say what it does"
            )


class Generous(NotebookRunnerComponent):
    """Tries to allow everything."""

    compute_size: str = "huge"

    def more_rules(self, request: Request, platform: Platform) -> Iterable[Objection]:
        request.attributes.clear()  # type: ignore[attr-defined]
        return []

    def model_dump(self, **_: Any) -> dict[str, Any]:
        return {"notebook": "models/a.ipynb", "compute_size": "tiny"}

    @property
    def model_fields_set(self) -> set[str]:
        return set()


class Broken(NotebookRunnerComponent):
    """Has a rule with a mistake in it."""

    def more_rules(self, request: Request, platform: Platform) -> Iterable[Objection]:
        raise KeyError("nothing")


class Leaving(NotebookRunnerComponent):
    """Has a rule that would end the process."""

    def more_rules(self, request: Request, platform: Platform) -> Iterable[Objection]:
        raise SystemExit("bye\nbye")


class Wordy(NotebookRunnerComponent):
    """Has a rule that objects in several lines, and in colour."""

    def more_rules(self, request: Request, platform: Platform) -> Iterable[Objection]:
        yield Objection("wordy", (), None, "", None, "\x1b[31mnot\n  so")


class Wrong(NotebookRunnerComponent):
    """Has a rule that gives text."""

    def more_rules(self, request: Request, platform: Platform) -> Iterable[Any]:
        return ["no"]


def said_of(component: NotebookRunnerComponent, bench: Workbench) -> list[str]:
    platform = policy_in_force(type(component), bench.root)
    component = effective(component, platform)
    request = request_of(component, project_root=bench.root, asset="a")
    return [objection.text for objection in judge(component, request, platform).objections]


def test_a_companys_rules_are_added(bench: Workbench) -> None:
    bench.platform(PLATFORM)
    component = Strict(notebook="a.ipynb", compute_size="huge")
    assert said_of(component, bench) == [HUGE.format("a.ipynb"), "say what it does"]


def test_a_companys_rules_hold_without_a_platform_file(bench: Workbench) -> None:
    bench.notebook("a.ipynb", ["1"])
    platform = platform_for(Strict, bench.root)
    assert find_problems({"notebook": "a.ipynb"}, bench.root, Strict, platform=platform) == [
        Problem(("description",), "say what it does")
    ]


def test_a_class_that_overrides_what_it_can_lifts_no_rule(bench: Workbench) -> None:
    bench.platform(PLATFORM)
    assert said_of(Generous(notebook="a.ipynb"), bench) == [HUGE.format("a.ipynb")]


def test_a_rule_that_cannot_be_asked_refuses(bench: Workbench) -> None:
    here = __name__
    assert said_of(Broken(notebook="a.ipynb"), bench) == [
        f"the rules of {here}.Broken.more_rules cannot be asked: KeyError: 'nothing'"
    ]
    assert said_of(Leaving(notebook="a.ipynb"), bench) == [
        f"the rules of {here}.Leaving.more_rules cannot be asked: SystemExit: bye bye"
    ]
    assert said_of(Wordy(notebook="a.ipynb"), bench) == ["�[31mnot so"]
    assert said_of(Wrong(notebook="a.ipynb"), bench) == [
        f"the rules of {here}.Wrong.more_rules gave 'no' where an Objection is wanted"
    ]


def test_the_platform_of_a_package_is_named_by_its_class(bench: Workbench) -> None:
    class Company(NotebookRunnerComponent):
        platform: ClassVar[str | None] = "nowhere_at_all:dagbook-platform.yaml"

    with pytest.raises(DagbookError, match=r"names the platform file nowhere_at_all"):
        platform_for(Company, bench.root)


def test_whoever_has_no_platform_file_loads_nothing_for_it(bench: Workbench) -> None:
    bench.notebook("a.ipynb", ["1"])
    code = (
        "import sys\n"
        "from dagbook.execution.plan import make_plan\n"
        "assert make_plan(sys.argv[1]).size.name == 'small'\n"
        "print([m for m in sys.modules if m.startswith(('dagbook.policy.', 'ruamel', 'yaml'))])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(bench.root / "a.ipynb")], capture_output=True, text=True
    )
    assert done.stderr == ""
    assert done.stdout == (
        "['dagbook.policy.sizes', 'dagbook.policy.presence', 'dagbook.policy.governing']\n"
    )


# The command line


def test_help_lists_the_sizes_of_the_project(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for text, said in (
        (PLATFORM, "compute size: tiny, huge (default: tiny)"),
        ("compute_sizes: 3", "compute size; those of this project cannot be read:"),
    ):
        bench.platform(text)
        monkeypatch.chdir(bench.root)
        for command in ("run", "schedule"):
            with pytest.raises(SystemExit):
                main([command, "--help"])
            assert said in " ".join(capsys.readouterr().out.split())


def test_the_platform_file_is_checked_by_its_name(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.platform(PLATFORM + "colour: red\n")
    monkeypatch.chdir(bench.root)
    assert main(["validate", "dagbook-platform.yaml"]) == 2
    said, summary = capsys.readouterr().out.splitlines()
    assert said.startswith("dagbook-platform.yaml:11:colour: ")
    assert summary == "1 problem in 1 file"
    bench.platform(PLATFORM)
    assert main(["validate", "dagbook-platform.yaml"]) == 0
    assert capsys.readouterr().out == (
        "✓ dagbook-platform.yaml:1: sizes tiny, huge, tiny by default\n"
    )


def test_a_platform_file_that_is_nearly_called_so_is_a_finding(bench: Workbench) -> None:
    (bench.root / "dagbook-platform.yml").write_text(PLATFORM)
    (finding,) = validate_paths([bench.root]).findings
    assert "the platform file is called dagbook-platform.yaml" in finding.text


def test_an_ordinary_project_is_screened_by_the_platform_file(bench: Workbench) -> None:
    bench.notebook("a.ipynb", ["1"])
    bench.component("a", 'notebook: a.ipynb\ndescription: "{{ env.REGION }}"')
    with pytest.raises(DagbookError, match="may read these variables: none"):
        dagbook.screen_project(bench.root)
    bench.platform(PLATFORM + "  environment: [REGION]\n")
    assert dagbook.screen_project(bench.root).files == 1
    with pytest.raises(DagbookError, match="may read these variables: none"):
        dagbook.screen_project(bench.root, rules=ScreeningRules())


def test_an_approval_that_ends_soon_is_told_when_its_asset_is_validated(bench: Workbench) -> None:
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    approval = (
        f"approvals:\n  - {{asset: a, size: huge, until: {tomorrow}, by: someone@example.com}}\n"
    )
    bench.platform(PLATFORM + approval)
    bench.notebook("a.ipynb", ["1"])
    file = bench.component("a", "notebook: a.ipynb\ncompute_size: huge")
    report = validate_paths([file])
    assert [finding.text for finding in report.findings] == []
    assert [passed.notes for passed in report.passed if passed.notes] == [
        (f"the approval of the size 'huge' for a by someone@example.com ends on {tomorrow}",)
    ]


def test_what_the_environment_gives_is_refused_with_its_line(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.platform("rules: {environment: [MANY, SECONDS]}\n")
    bench.notebook("a.ipynb", ["1"])
    monkeypatch.setenv("MANY", "500")
    monkeypatch.setenv("SECONDS", "20")
    bench.component("a", "notebook: a.ipynb\nretries: '{{ env.MANY }}'")
    bench.component("b", "notebook: a.ipynb\ntimeout: '{{ env.SECONDS }}'")
    bench.component("c", "notebook: a.ipynb\nretries: true")
    found = {
        spec.key.to_user_string(): (spec.metadata["reason"].value, spec.metadata["line"].value)
        for spec in bench.load().resolve_all_asset_specs()
        if "error" in spec.kinds
    }
    assert found == {
        "a": ("retries.max: at most 100 is wanted, not 500", 4),
        "c": ("retries: names with values is wanted, not True", 4),
    }


@pytest.mark.parametrize(
    "attribute", ["timeout", "limits.max_runtime_hours", "limits.max_cost_usd"]
)
def test_no_limit_is_endless(bench: Workbench, attribute: str) -> None:
    bench.notebook("a.ipynb", ["1"])
    first, _, rest = attribute.partition(".")
    value = f"{{{rest}: .inf}}" if rest else ".inf"
    file = bench.component("a", f"notebook: a.ipynb\n{first}: {value}")
    (finding,) = validate_paths([file]).findings
    assert (finding.key, finding.text) == (attribute, "a finite number is wanted, not inf")


def test_values_of_the_environment_are_judged_where_they_are_known(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIZE", "huge")
    rules = "environment: [OWNER, NOTEBOOK, SIZE]\n  required_metadata: {owners: 'team:.+'}"
    bench.platform(PLATFORM.replace("rules:", f"rules:\n  {rules}"))
    bench.notebook("models/a.ipynb", ["1"])
    file = bench.component(
        "a", "notebook: '{{ env.NOTEBOOK }}'\nowners: ['{{ env.OWNER }}']\ncompute_size: huge"
    )
    other = bench.component(
        "b",
        "notebook: models/a.ipynb\nowners: ['{{ env.OWNER }}']\ncompute_size: '{{ env.SIZE }}'\n"
        "limits: {max_runtime_hours: 1.5}",
    )
    monkeypatch.setenv("NOTEBOOK", "models/a.ipynb")
    monkeypatch.setenv("OWNER", "team:models")
    assert validate_paths([file, other]).findings == []
    assert not any("error" in spec.kinds for spec in bench.load().resolve_all_asset_specs())
    monkeypatch.setenv("OWNER", "models@example.com")
    reasons = {
        spec.key.to_user_string(): spec.metadata["reason"].value
        for spec in bench.load().resolve_all_asset_specs()
    }
    said = (
        "owners: `owners` is 'models@example.com', which is not of the form wanted here. Allowed: "
        "text that fits team:.+. For an exception ask models@example.com "
        "(dagbook-platform.yaml:10)"
    )
    assert reasons == {"a": said, "b": said}
