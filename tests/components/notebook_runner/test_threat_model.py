"""Each row of docs/threat-model.md, tried: ways round the platform's rules, and what stops them."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from dagbook.cli import main
from dagbook.errors import DagbookError
from dagbook.execution import OutputLimits, run_notebook
from dagbook.execution.clock import RunBudget
from dagbook.execution.plan import make_plan
from dagbook.ledger.audit import read_entries
from dagbook.ledger.instance_database import ledger_of_home, ledger_of_instance
from dagbook.ledger.project_ledger import HOME_NAME, HOME_VARIABLE, READY_FILE_NAME
from dagbook.location import load_project
from dagbook.notebook import parse_notebook
from dagbook.policy import Size
from dagbook.project import require_project
from dagbook.validation import validate_paths

if TYPE_CHECKING:
    from conftest import Ran, Workbench

DOC = Path(__file__).parents[3] / "docs" / "threat-model.md"

PLATFORM = """\
contact: "#ml-platform"
compute_sizes:
  tiny: {cpus: 1, memory: 1 GiB, max_run_time: 10 min, default: true}
  huge: {cpus: 2, memory: 8 GiB, max_run_time: 2 h, teams: [models]}
teams:
  - {folder: "models/**", team: models}
  - {folder: "**", team: everyone}
rules:
  maximum_retries: 2
"""
#: What is said of a notebook that asks for the size of another team.
HUGE = (
    "compute size 'huge' is for the team models, and {} is of the team everyone. Allowed: tiny. "
    "For an exception ask #ml-platform (dagbook-platform.yaml:4)"
)
TINY = "tiny (1 CPU, 1 GiB, 10 min)"
#: A notebook that leaves a mark: whether a kernel has run it.
MARK = "import pathlib; pathlib.Path('ran').touch()"


@pytest.fixture
def site(bench: Workbench) -> Workbench:
    """A project with rules, and a notebook of no special team."""
    bench.platform(PLATFORM)
    bench.notebook("a.ipynb", [MARK])
    return bench


def reasons(site: Workbench) -> dict[str, str]:
    """What was set aside, with its reason."""
    return {
        spec.key.to_user_string(): spec.metadata["reason"].value
        for spec in site.load().resolve_all_asset_specs()
        if "error" in spec.kinds
    }


def refused(ran: Ran, root: Path) -> str:
    """Why a run was refused; no kernel has run, and nothing tries again."""
    assert not ran.success
    assert ran.metadata["status"] == "refused"
    assert ran.attempts == 1
    assert not list(root.rglob("ran"))
    assert not (root / "runs").exists()
    return str(ran.failure.description)


# The page and this file


def test_every_row_of_the_page_has_its_test_and_every_test_its_row() -> None:
    rows = re.findall(r"^\|.*\| `(test_\w+)` \|$", DOC.read_text("utf-8"), re.M)
    here = re.findall(r"^def (test_\w+)", Path(__file__).read_text("utf-8"), re.M)
    about_the_page = "test_every_row_of_the_page_has_its_test_and_every_test_its_row"
    assert sorted(rows) == sorted(set(here) - {about_the_page})
    table = DOC.read_text("utf-8").partition("## Rows")[2].partition("##")[0]
    lines = [line for line in table.splitlines() if line.startswith("|")]
    assert len(lines) - 2 == len(rows)


# Authors


def test_a_team_claimed_in_owners_grants_nothing(site: Workbench) -> None:
    file = site.component(
        "a", "notebook: a.ipynb\ncompute_size: huge\nowners: [team:models]\ntags: {team: models}"
    )
    assert reasons(site) == {"a": f"compute_size: {HUGE.format('a.ipynb')}"}
    (finding,) = validate_paths([file]).findings
    assert (finding.line, finding.key, finding.text) == (4, "compute_size", HUGE.format("a.ipynb"))


def test_a_key_with_an_approval_cannot_be_taken_from_its_component(site: Workbench) -> None:
    site.platform(
        PLATFORM + "approvals:\n  - {asset: good, size: huge, until: 2999-12-31, by: somebody}\n"
    )
    site.notebook("b.ipynb", ["1"])
    good = site.component("good", "notebook: b.ipynb\ncompute_size: huge")
    said = (
        "the asset key `good` is also that of {}, and an exception is approved for it: give one "
        "of them another `key`"
    )
    # Also one that is read before it by its path does not get it.
    for folder in ("other", "early"):
        other = site.component(folder, "notebook: a.ipynb\ncompute_size: huge\nkey: good")
        assert reasons(site) == {folder: said.format(good), "good": said.format(other)}
        (finding,) = validate_paths([site.root]).findings
        assert "the asset key `good` is also that of" in finding.text
        shutil.rmtree(other.parent)
    assert reasons(site) == {}


def test_a_second_document_in_the_platform_file_stops_everything(site: Workbench) -> None:
    site.component("a", "notebook: a.ipynb")
    defs = site.load()
    site.platform(PLATFORM + "---\n" + PLATFORM.replace("teams: [models]", ""))
    (reason,) = reasons(site).values()
    assert "document" in reason
    assert "document" in refused(site.run("a", defs=defs), site.root)


def test_a_second_component_in_a_file_is_judged_as_well(site: Workbench) -> None:
    file = site.component("a", "notebook: a.ipynb\nkey: first")
    second = file.read_text().replace("key: first", "key: second\n  compute_size: huge")
    file.write_text(f"{file.read_text()}---\n{second}")
    assert reasons(site) == {"a": f"compute_size: {HUGE.format('a.ipynb')}"}


def test_a_platform_file_that_is_a_link_stops_everything(site: Workbench) -> None:
    site.component("a", "notebook: a.ipynb")
    defs = site.load()
    own = site.root / "mine.yaml"
    own.write_text(PLATFORM.replace(", teams: [models]", ""))
    file = site.root / "dagbook-platform.yaml"
    file.unlink()
    file.symlink_to(own)
    assert reasons(site) == {"a": "is a link: put the file itself there"}
    assert refused(site.run("a", defs=defs), site.root).endswith(
        "dagbook-platform.yaml:1: is a link: put the file itself there"
    )


def test_a_broken_platform_file_stops_everything(
    site: Workbench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site.component("a", "notebook: a.ipynb")
    defs = site.load()
    site.platform(PLATFORM.replace("cpus: 2", "cpus: many"))
    (reason,) = reasons(site).values()
    assert "cpus" in reason
    assert "dagbook-platform.yaml:4:compute_sizes.huge.cpus" in refused(
        site.run("a", defs=defs), site.root
    )
    findings = validate_paths([site.root]).findings
    assert [(Path(f.file).name, f.line, f.key) for f in findings] == [
        ("dagbook-platform.yaml", 4, "compute_sizes.huge.cpus")
    ]
    monkeypatch.chdir(site.root)
    assert main(["run", "a.ipynb"]) == 2
    assert "dagbook-platform.yaml:4" in capsys.readouterr().err


@pytest.mark.needs("other-uid")
def test_an_unreadable_platform_file_stops_everything(site: Workbench) -> None:
    for folder in (site.root, *site.root.parents):
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    # Once with the rights, so that everything is loaded; then with another text, and without.
    code = """
import os, sys
from pathlib import Path
from dagbook.errors import DagbookError
from dagbook.execution.allowance import decide_allowance
from dagbook.notebook import read_notebook
root = Path(sys.argv[1])
notebook, file = read_notebook(root / "a.ipynb"), root / "dagbook-platform.yaml"
print(decide_allowance(root, notebook, "python3", None).size.name)
file.write_text(file.read_text() + "# changed")
file.chmod(0o600)
os.setgid(65534)
os.setuid(65534)
try:
    decide_allowance(root, notebook, "python3", None)
except DagbookError as error:
    print(error)
"""
    command = [sys.executable, "-c", code, str(site.root)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=site.root)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "tiny\ndagbook-platform.yaml:1: cannot be read: Permission denied\n"


def test_without_the_platform_file_the_built_in_sizes_hold(site: Workbench) -> None:
    site.component("a", "notebook: a.ipynb\ncompute_size: tiny")
    site.component("b", "notebook: a.ipynb")
    (site.root / "dagbook-platform.yaml").unlink()
    assert reasons(site) == {
        "a": "compute_size: compute size 'tiny' does not exist. Known: medium, gpu_medium, "
        "gpu_large, large, small"
    }
    assert site.spec("b").metadata["size"] == "small (2 CPU, 4 GiB, 1 h)"


def test_yaml_edited_after_loading_is_judged_before_it_runs(site: Workbench) -> None:
    file = site.component("a", "notebook: a.ipynb")
    loaded = site.load()
    file.write_text(file.read_text() + "  compute_size: huge\n")
    # The process that runs it loads the file as it is now, and finds nothing it may run.
    assert reasons(site) == {"a": f"compute_size: {HUGE.format('a.ipynb')}"}
    # What was loaded before is what runs, and what is judged.
    assert site.run("a", defs=loaded).metadata["size"] == TINY


def test_a_rule_that_changed_after_loading_holds_at_the_launch(site: Workbench) -> None:
    site.notebook("models/m.ipynb", [MARK])
    site.component("m", "notebook: models/m.ipynb\ncompute_size: huge\nretries: 2")
    loaded = site.load()
    site.platform(PLATFORM.replace("teams: [models]", "teams: [everyone]"))
    assert refused(site.run("m", defs=loaded), site.root) == (
        "compute size 'huge' is for the team everyone, and models/m.ipynb is of the team models. "
        "Allowed: tiny. For an exception ask #ml-platform (dagbook-platform.yaml:4)"
    )


def test_a_link_into_another_teams_folder_does_not_change_the_team(site: Workbench) -> None:
    (site.root / "models").mkdir()
    (site.root / "models" / "link.ipynb").symlink_to(site.root / "a.ipynb")
    (site.root / "own").symlink_to(site.root / "models")
    site.component("file", "notebook: models/link.ipynb\ncompute_size: huge")
    site.component("folder", "notebook: own/link.ipynb\ncompute_size: huge")
    assert reasons(site) == {
        "file": f"compute_size: {HUGE.format('a.ipynb')}",
        "folder": f"compute_size: {HUGE.format('a.ipynb')}",
    }


def test_a_notebook_moved_after_loading_is_judged_where_it_is(site: Workbench) -> None:
    site.notebook("models/m.ipynb", [MARK])
    site.component("m", "notebook: models/m.ipynb\ncompute_size: huge")
    loaded = site.load()
    shutil.move(site.root / "models", site.root / "elsewhere")
    (site.root / "models").symlink_to(site.root / "elsewhere")
    assert refused(site.run("m", defs=loaded), site.root) == HUGE.format("elsewhere/m.ipynb")


COMPANY = """\
from dagbook.execution import run_notebook
from dagbook.notebook_runner import NotebookRunnerComponent
from dagbook.policy import Size


class Lenient(NotebookRunnerComponent):
    \"\"\"Shows itself as something smaller, has no rules, and runs the notebook its own way.\"\"\"

    def more_rules(self, request, platform):
        request.attributes.clear()
        return []

    def model_dump(self, **_):
        return {"notebook": "models/a.ipynb", "compute_size": "tiny"}

    def execute(self, context, asset):
        size = Size("tiny", cpus=2, memory_bytes=2**34, max_runtime_seconds=1e6)
        yield run_notebook(asset.notebook_path, size=size)
"""


def test_a_class_that_overrides_what_it_can_lifts_no_rule_through_yaml(site: Workbench) -> None:
    (site.root / "lenient_company.py").write_text(COMPANY)
    config = site.root / "dg.toml"
    config.write_text(f'{config.read_text()}registry_modules = ["lenient_company"]\n')
    for name, attributes in (("a", "compute_size: huge"), ("b", "retries: 1")):
        file = site.component(name, f"notebook: a.ipynb\n{attributes}")
        file.write_text(file.read_text().replace("dagbook.Notebook", "lenient_company.Notebook"))
        file.write_text(file.read_text().replace("NotebookRunnerComponent", "Lenient"))

    assert reasons(site) == {"a": f"compute_size: {HUGE.format('a.ipynb')}"}
    assert site.spec("a").metadata["line"].value == 4
    ran = site.run("b")
    assert not ran.success
    assert not list(site.root.rglob("ran"))
    (failure,) = [e for e in ran.events if e.event_type_value == "STEP_FAILURE"]
    assert "size 'tiny' was given more (CPUs, memory, max_runtime) than the platform file" in str(
        failure.step_failure_data.error
    )


def test_runs_are_recorded_on_no_other_server(
    site: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.platform(PLATFORM + "tracking:\n  allowed_uris: [https://mlflow.example.com]\n")
    site.component("a", "notebook: a.ipynb\nexperiment: {tracking_uri: 'http://mine:5000'}")
    site.component("b", "notebook: a.ipynb")
    said = (
        "runs may not be recorded at {}. Allowed: https://mlflow.example.com. For an exception "
        "ask #ml-platform (dagbook-platform.yaml:11)"
    )
    assert reasons(site) == {
        "a": f"experiment.tracking_uri: {said.format('http://mine:5000')}",
    }
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://other:5000")
    assert refused(site.run("b"), site.root) == said.format("http://other:5000")


CONNECTIONS = """\
connections:
  warehouse:
    {provider: environment, key: SHOP_WAREHOUSE, variables: DB_PASSWORD, teams: [models]}
  production:
    {provider: environment, key: SHOP_PRODUCTION, variables: DB_PASSWORD, environments: [prod]}
  mlflow_prod:
    provider: environment
    key: SHOP_MLFLOW
    variables: MLFLOW_TRACKING_TOKEN
    hosts: [mlflow.example.com]
resources:
  database: {connections: [warehouse, production]}
"""
#: What is said of the connection of another team.
OTHERS = (
    "the connection 'warehouse' is for the team models, and {} is of the team everyone. Allowed: "
    "production. For an exception ask #ml-platform (dagbook-platform.yaml:12)"
)
#: What is said of a connection in another deployment.
ELSEWHERE = (
    "the connection 'production' is for the environment prod, and this one is {}. For an exception "
    "ask #ml-platform (dagbook-platform.yaml:14)"
)


def test_a_connection_of_another_team_is_refused(
    site: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_WAREHOUSE", "not-for-everyone")
    site.platform(PLATFORM + CONNECTIONS)
    file = site.component(
        "a",
        "notebook: a.ipynb\nowners: [team:models]\ntags: {team: models}\n"
        "resources: {database: warehouse}",
    )
    monkeypatch.setenv("DAGBOOK_ENVIRONMENT", "prod")
    said = OTHERS.format("a.ipynb")
    assert reasons(site) == {"a": f"resources.database: {said}"}
    (finding,) = validate_paths([file]).findings
    assert (finding.line, finding.key, finding.text) == (6, "resources.database", said)
    # Loaded while it was for everybody.
    site.platform(PLATFORM + CONNECTIONS.replace(", teams: [models]", ""))
    loaded = site.load()
    site.platform(PLATFORM + CONNECTIONS)
    assert refused(site.run("a", defs=loaded), site.root) == said


def test_a_connection_revoked_after_loading_refuses_the_next_start(
    site: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_WAREHOUSE", "for-the-models")
    site.platform(PLATFORM + CONNECTIONS)
    site.notebook("models/m.ipynb", [MARK])
    site.component("m", "notebook: models/m.ipynb\nresources: {database: warehouse}")
    loaded = site.load()
    assert reasons(site) == {}
    revoked = "teams: [models], revoked: found in a notebook"
    site.platform(PLATFORM + CONNECTIONS.replace("teams: [models]", revoked))
    assert refused(site.run("m", defs=loaded), site.root) == (
        "the connection 'warehouse' is revoked: found in a notebook. For an exception ask "
        "#ml-platform (dagbook-platform.yaml:12)"
    )
    with ledger_of_instance(site.instance).read() as connection:
        assert connection is not None
        (entry,) = [e for e in read_entries(connection, about="warehouse") if e.kind == "refused"]
    assert entry.detail["rules"] == ["connections.warehouse.revoked"]


def test_the_environment_comes_from_the_deployment_alone(
    site: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_PRODUCTION", "for-production")
    site.platform(PLATFORM + CONNECTIONS)
    site.component(
        "a",
        "notebook: a.ipynb\ntags: {environment: prod, DAGBOOK_ENVIRONMENT: prod}\n"
        "resources: {database: production}",
    )
    # Nobody says which deployment this is: the launch does.
    assert reasons(site) == {}
    tags = {"environment": "prod", "dagbook/environment": "prod", "DAGBOOK_ENVIRONMENT": "prod"}
    assert refused(site.run("a", tags=tags), site.root) == ELSEWHERE.format("dev")
    monkeypatch.setenv("DAGBOOK_ENVIRONMENT", "staging")
    assert reasons(site) == {"a": f"resources.database: {ELSEWHERE.format('staging')}"}


def test_connections_in_the_ops_config_or_tags_are_none(site: Workbench) -> None:
    site.platform(PLATFORM + CONNECTIONS)
    site.notebook("a.ipynb", ["import os\nassert 'DB_PASSWORD' not in os.environ"])
    site.component("a", "notebook: a.ipynb")
    with pytest.raises(dg.DagsterInvalidConfigError) as failed:
        launch(site, {"resources": {"database": "warehouse"}})
    assert 'Received unexpected config entry "resources"' in str(failed.value)
    tags = {"dagbook/resources": "warehouse", "dagbook/connections": "warehouse"}
    assert site.run("a", tags=tags).success
    with ledger_of_instance(site.instance).read() as connection:
        assert connection is not None
        assert list(read_entries(connection, about="warehouse"))[1:] == []


def test_a_credential_in_the_yaml_is_refused_and_not_shown(site: Workbench) -> None:
    site.platform(PLATFORM + CONNECTIONS + "  bucket: {values: [company-*]}\n")
    password = "hunter2" * 2
    site.component("a", f"notebook: a.ipynb\nresources: {{database: 'pg://me:{password}@db/x'}}")
    token = "ghp_" + "Ab1" * 12
    site.component("b", f"notebook: a.ipynb\nresources: {{bucket: {token}}}")
    found = reasons(site)
    assert sorted(found) == ["a", "b"]
    for key, reason in zip(("database", "bucket"), found.values(), strict=True):
        assert reason.startswith(
            f"resources.{key}: what stands under `{key}` looks like a credential: name a "
            "connection there"
        )
    findings = validate_paths([site.root]).findings
    assert not any(s in f"{found}{findings}" for s in (password, token))


def test_a_login_goes_to_no_server_that_it_is_not_bound_to(
    site: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_MLFLOW", "a-login-to-mlflow")
    tracking = 'tracking: {tracking_uri: "https://mlflow.example.com", connection: mlflow_prod}\n'
    site.platform(PLATFORM + CONNECTIONS + tracking)
    servers = (
        "https://mlflow.example.com@mine.example.org",
        "https://mlflow.example.com.mine.example.org",
        "http://mine.example.org",
    )
    for name, server in zip("abc", servers, strict=True):
        site.component(name, f"notebook: a.ipynb\nexperiment: {{tracking_uri: '{server}'}}")
    said = (
        "the connection 'mlflow_prod' is bound to other hosts than that of {}. Allowed: "
        "mlflow.example.com. For an exception ask #ml-platform (dagbook-platform.yaml:19)"
    )
    assert reasons(site) == {
        name: f"experiment.tracking_uri: {said.format(server)}"
        for name, server in zip("abc", servers, strict=True)
    }
    # Nor where the environment of the launch names the server.
    site.platform(PLATFORM + CONNECTIONS + "tracking: {connection: mlflow_prod}\n")
    site.component("d", "notebook: a.ipynb")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mine.example.org")
    assert refused(site.run("d"), site.root) == said.format("http://mine.example.org")


def test_another_kernel_is_refused(
    site: Workbench, bash_kernel: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.platform(PLATFORM + "  kernels: [python3]\n")
    site.notebook("b.ipynb", ["touch ran"])
    site.component("a", "notebook: b.ipynb\nkernel: bash")
    site.component("b", "notebook: b.ipynb")
    said = (
        "the kernel 'bash' is not allowed. Allowed: python3. For an exception ask #ml-platform "
        "(dagbook-platform.yaml:10)"
    )
    # Names of kernels are the same in any case, wherever it is asked.
    named = site.component("named", "notebook: a.ipynb\nkernel: Python3")
    assert validate_paths([named]).findings == []
    assert reasons(site) == {"a": f"kernel: {said}"}
    loaded = site.load()
    site.notebook("b.ipynb", ["touch ran"], kernel="bash")
    assert refused(site.run("b", defs=loaded), site.root) == said


# Those who launch


def test_what_was_refused_when_it_was_loaded_cannot_be_launched(site: Workbench) -> None:
    site.component("a", "notebook: a.ipynb\ncompute_size: huge")
    with pytest.raises(dg.DagsterInvalidDefinitionError) as failed:
        site.run("a")
    assert "must be a subset of existing executable asset keys" in str(failed.value)
    assert not list(site.root.rglob("ran"))


def launch(site: Workbench, config: dict[str, Any]) -> Any:
    job = site.load().resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        instance=site.instance,
        asset_selection=[dg.AssetKey("a")],
        run_config={"ops": {"a": {"config": config}}},
        raise_on_error=False,
    )


def test_a_size_in_the_ops_config_is_refused(site: Workbench) -> None:
    site.component("a", "notebook: a.ipynb")
    with pytest.raises(dg.DagsterInvalidConfigError) as failed:
        launch(site, {"compute_size": "huge"})
    assert 'Received unexpected config entry "compute_size"' in str(failed.value)
    ran = site.run("a", config={"compute_size": "huge"})
    assert "has no parameters cell, so `compute_size` cannot be set" in refused(ran, site.root)


def test_tags_change_nothing(site: Workbench) -> None:
    site.component("a", "notebook: a.ipynb")
    tags = {
        "dagbook/compute_size": "huge",
        "dagbook/size": "huge",
        "dagbook/team": "models",
        "dagster/max_runtime": "999999",
        "dagster/concurrency_key": "models",
    }
    ran = site.run("a", tags=tags)
    assert ran.success
    assert ran.metadata["size"] == TINY


def test_retries_by_a_tag_are_judged(site: Workbench) -> None:
    site.component("a", "notebook: a.ipynb\nretries: 1")
    assert refused(site.run("a", tags={"dagster/max_retries": "50"}), site.root) == (
        "50 retries are too many. Allowed: at most 2. For an exception ask #ml-platform "
        "(dagbook-platform.yaml:9)"
    )
    # What Dagster reads as a number is one.
    said = "50 retries are too many"
    assert said in refused(site.run("a", tags={"dagster/max_retries": " +5_0"}), site.root)
    assert site.run("a", tags={"dagster/max_retries": "2"}).success


LAUNCH = """mutation ($params: ExecutionParams!) {
  launchPipelineExecution(executionParams: $params) { __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } } } }"""


def test_a_launch_over_graphql_is_judged(
    site: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.component("a", "notebook: a.ipynb\ncompute_size: huge")
    # Later the size is the models' alone.
    site.platform(PLATFORM.replace("[models]", "[models, everyone]"))
    home = tmp_path / "site"
    home.mkdir()
    (home / "dagster.yaml").write_text(
        "run_coordinator:\n  module: dagster.core.run_coordinator\n"
        "  class: DefaultRunCoordinator\ntelemetry: {enabled: false}\n"
    )
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "dagster_webserver", "-m", "dagbook.location"]
    log = (tmp_path / "webserver.log").open("w")
    server = subprocess.Popen(
        [*command, "-h", "127.0.0.1", "-p", str(port)],
        cwd=site.root, stdout=log, stderr=log, start_new_session=True,
    )  # fmt: skip

    def ask(query: str, **variables: Any) -> Any:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/graphql", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.load(reply)["data"]

    def launched(config: dict[str, Any], **tags: str) -> Any:
        params = {
            "selector": {
                "repositoryName": "__repository__",
                "repositoryLocationName": "dagbook.location",
                "pipelineName": "__ASSET_JOB",
                "assetSelection": [{"path": ["a"]}],
            },
            "runConfigData": {
                "execution": {"config": {"in_process": {}}},
                "ops": {"a": {"config": config}},
            },
            "executionMetadata": {"tags": [{"key": k, "value": v} for k, v in tags.items()]},
        }
        return ask(LAUNCH, params=params)["launchPipelineExecution"]

    try:
        _wait(lambda: ask("{ version }"))
        answer = launched({"compute_size": "huge"})
        assert answer["__typename"] == "RunConfigValidationInvalid", answer
        assert 'unexpected config entry "compute_size"' in answer["errors"][0]["message"]

        tags = {"dagbook/compute_size": "huge", "dagster/max_retries": "9"}
        answer = launched({"parameters": {}}, **tags)
        assert answer["__typename"] == "LaunchRunSuccess", answer
        run_id = answer["run"]["runId"]
        with dg.DagsterInstance.from_config(str(home)) as instance:
            _wait(lambda: instance.get_run_by_id(run_id).is_finished)  # type: ignore[union-attr]
            assert refusal(instance, run_id).startswith("9 retries are too many.")

            # Its own process loads the project anew, and would find the asset set aside.
            site.platform(PLATFORM)
            answer = launched({"parameters": {}})
            assert answer["__typename"] == "LaunchRunSuccess", answer
            run_id = answer["run"]["runId"]
            _wait(lambda: instance.get_run_by_id(run_id).is_finished)  # type: ignore[union-attr]
            assert refusal(instance, run_id) == HUGE.format("a.ipynb")
            with ledger_of_instance(instance).read() as connection:
                entries = [e for e in read_entries(connection) if e.run == run_id]
            assert [entry.kind for entry in entries] == ["refused"]
        assert not list(site.root.rglob("ran"))
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(60)
        log.close()


def refusal(instance: dg.DagsterInstance, run_id: str) -> str:
    """Why a run on Dagster was refused."""
    entries = instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    (event,) = [entry.dagster_event for entry in entries]
    assert event is not None
    data: Any = event.event_specific_data
    assert data.user_failure_data.metadata["status"].value == "refused"
    return str(data.user_failure_data.description)


def _wait(found: Any, seconds: float = 200.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if found():
                return
        except OSError:
            pass
        time.sleep(0.5)
    raise AssertionError("it never came")


def test_each_run_of_a_backfill_is_judged(site: Workbench) -> None:
    site.notebook("models/m.ipynb", [MARK])
    site.component(
        "m",
        "notebook: models/m.ipynb\ncompute_size: huge\n"
        "partitions: {type: static, values: [DE, FR]}",
    )
    loaded = site.load()
    site.platform(PLATFORM.replace("models/**", "modelling/**"))
    for partition in ("DE", "FR"):
        tags = {"dagster/backfill": "b1", "dagster/parent_run_id": "0"}
        ran = site.run("m", defs=loaded, partition=partition, tags=tags)
        assert refused(ran, site.root) == HUGE.format("models/m.ipynb")


def test_an_untried_notebook_is_not_launched_by_its_schedule(site: Workbench) -> None:
    site.platform(PLATFORM + "  require_trial: true\n")
    site.component("a", "notebook: a.ipynb\nschedule: '@daily'")
    for tag in ("dagster/schedule_name", "dagster/sensor_name", "dagster/auto_materialize"):
        assert refused(site.run("a", tags={tag: "x"}), site.root).startswith(
            "a.ipynb has not yet run well as it is now"
        )
    assert site.run("a").success


# Those at a shell


def test_environment_variables_change_nothing(
    site: Workbench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    site.component("a", "notebook: a.ipynb")
    loaded = site.load()
    other = tmp_path / "dagbook-platform.yaml"
    other.write_text(PLATFORM.replace(", teams: [models]", ""))
    for name, value in {
        "DAGBOOK_COMPUTE_SIZE": "huge",
        "DAGBOOK_SIZE": "huge",
        "DAGBOOK_TEAM": "models",
        "DAGBOOK_PLATFORM": str(other),
        "DAGBOOK_PLATFORM_FILE": str(other),
        "DAGBOOK_PROJECT": str(tmp_path),
        "DAGBOOK_ENVIRONMENT": "production",
    }.items():
        monkeypatch.setenv(name, value)
    assert site.run("a", defs=loaded).metadata["size"] == TINY


def test_another_dagster_home_leads_to_no_other_ledger(
    site: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(site.root)
    monkeypatch.delenv(HOME_VARIABLE, raising=False)
    own = site.project.state_folder / HOME_NAME
    own.mkdir(parents=True)
    (own / READY_FILE_NAME).touch()
    other = tmp_path / "other"
    other.mkdir()
    for home in (None, other):
        if home is not None:
            monkeypatch.setenv(HOME_VARIABLE, str(home))
        assert main(["run", "a.ipynb"]) == 0
    with ledger_of_home(own).read() as connection:
        assert connection is not None
        kinds = [entry.kind for entry in read_entries(connection)]
    assert kinds == ["platform changed", "launched", "ended", "launched", "ended"]
    assert list(other.iterdir()) == []


def test_without_control_groups_the_limits_stay(
    site: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGBOOK_WITHOUT", "cgroups,namespaces")
    site.platform("compute_sizes:\n  tiny: {cpus: 1, memory: 300 MiB, max_run_time: 5 min}\n")
    site.notebook(
        "a.ipynb",
        ["import time\nheld = [bytearray(20_000_000) for _ in range(30)]\ntime.sleep(60)"],
    )
    site.component("a", "notebook: a.ipynb")
    ran = site.run("a")
    assert ran.metadata["status"] == "killed"
    assert ran.metadata["reason"].startswith("exceeded 300 MiB of size tiny")


def test_dagbook_run_is_bound(
    site: Workbench,
    bash_kernel: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    site.platform(PLATFORM + "  kernels: [python3]\n")
    monkeypatch.chdir(site.root)
    assert main(["run", "a.ipynb", "--size", "huge"]) == 2
    assert capsys.readouterr().err == f"dagbook: {HUGE.format('a.ipynb')}\n"
    assert main(["run", "a.ipynb", "--kernel", "bash"]) == 2
    assert "the kernel 'bash' is not allowed" in capsys.readouterr().err
    assert main(["run", "a.ipynb", "--size", "small"]) == 2
    assert "compute size 'small' does not exist" in capsys.readouterr().err
    # One that names no kernel gets that of its language.
    document = json.loads((site.root / "a.ipynb").read_text())
    document["metadata"] = {"language_info": {"name": "bash"}}
    (site.root / "nameless.ipynb").write_text(json.dumps(document))
    assert main(["run", "nameless.ipynb"]) == 2
    assert "the kernel 'bash' is not allowed" in capsys.readouterr().err
    assert not list(site.root.rglob("ran"))

    assert main(["run", "a.ipynb", "--timeout", "999999", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["size"] == "tiny"
    plan = make_plan(site.root / "a.ipynb", timeout=999999)
    assert plan.run_seconds == 600.0


def test_run_notebook_is_bound(site: Workbench) -> None:
    site.platform(PLATFORM + "output_limits: {per_cell: 20 KB, per_notebook: 100 KB}\n")
    notebook = site.root / "a.ipynb"
    large = Size("tiny", cpus=64, memory_bytes=2**40, max_runtime_seconds=1e6, gpus=8)
    with pytest.raises(DagbookError) as given:
        run_notebook(notebook, size=large)
    assert str(given.value) == (
        "size 'tiny' was given more (CPUs, memory, max_runtime, GPUs) than the platform file "
        f"gives it: {TINY}. Name a size instead of making one"
    )
    with pytest.raises(DagbookError) as unknown:
        run_notebook(notebook, size=Size("mine", 64, 2**40, 1e6))
    assert str(unknown.value).startswith("compute size 'mine' does not exist")
    with pytest.raises(DagbookError) as patient:
        run_notebook(notebook, size=Size("tiny", 1, 2**30, 600.0, grace_seconds=1e6))
    assert "was given more (grace_seconds)" in str(patient.value)
    assert not list(site.root.rglob("ran"))

    for size in (None, "tiny"):
        plan = make_plan(notebook, size=size, output_limits=OutputLimits(10**12, 10**12))
        assert plan.size is not None and plan.size.label == TINY
        assert plan.output_limits == OutputLimits(20_000, 100_000)
    smaller = Size("tiny", 1, 2**29, 60.0)
    assert make_plan(notebook, size=smaller).size == smaller
    # What is no number is not less.
    with pytest.raises(DagbookError) as endless:
        make_plan(notebook, size=Size("tiny", 1, 2**29, math.nan))
    assert "was given more (max_runtime)" in str(endless.value)
    assert make_plan(notebook, output_limits=OutputLimits(math.nan, 10)).output_limits == (  # type: ignore[arg-type]
        OutputLimits(20_000, 10)
    )
    # Nor does a budget of one's own take the place of that per run.
    priced = PLATFORM.replace("default: true", "price_per_hour: 3600, default: true")
    site.platform(f"{priced}budgets: {{per_run: {{stop_at: 5}}}}\n")
    for seconds in (1e6, math.nan):
        assert make_plan(notebook, budget=RunBudget(seconds, "mine")).run_seconds == 5.0
    assert make_plan(notebook, budget=RunBudget(2.0, "mine")).run_seconds == 2.0


def test_neither_a_link_nor_another_root_leads_out_of_the_project(
    site: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = site.root / "a.ipynb"
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "link.ipynb").symlink_to(notebook)
    monkeypatch.chdir(outside)
    for path, root in ((notebook, outside), (Path("link.ipynb"), None), (notebook, None)):
        with pytest.raises(DagbookError) as refusal:
            make_plan(path, size="huge", project_root=root)
        assert str(refusal.value) == HUGE.format("a.ipynb")
    # Into it: what only a link in the project leads to is held to the project's rules.
    shutil.copy(notebook, outside / "copy.ipynb")
    (site.root / "into.ipynb").symlink_to(outside / "copy.ipynb")
    with pytest.raises(DagbookError) as refusal:
        make_plan(site.root / "into.ipynb", size="huge")
    assert str(refusal.value) == HUGE.format("into.ipynb")
    # A project made inside of it is still inside.
    site.notebook("inner/b.ipynb", ["1"])
    config = 'directory_type = "project"\n[project]\nroot_module = "inner_shop"\n'
    (site.root / "inner" / "dg.toml").write_text(config)
    with pytest.raises(DagbookError) as refusal:
        make_plan(site.root / "inner" / "b.ipynb", size="huge")
    assert str(refusal.value) == HUGE.format("inner/b.ipynb")
    inner = require_project(site.root / "inner")
    file = inner.defs_folder / "b" / "defs.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("type: dagbook.NotebookRunnerComponent\nattributes:\n  notebook: b.ipynb\n")
    said = (
        f"the project {inner.root} lies in {site.root}, whose platform file would not hold for it: "
        "give it a platform file of its own, or move it out"
    )
    (spec,) = load_project(inner).resolve_all_asset_specs()
    assert spec.metadata["reason"].value == said
    assert [finding.text for finding in validate_paths([file]).findings] == [said]
    shutil.copy(site.root / "dagbook-platform.yaml", inner.root)
    (spec,) = load_project(inner).resolve_all_asset_specs()
    assert spec.metadata["size"] == TINY
    # A copy elsewhere is nobody's here.
    plan = make_plan(outside / "copy.ipynb", size="large")
    assert plan.size is not None and plan.size.name == "large"


def test_papermill_with_our_engine_is_bound(
    site: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(site.root)
    notebook = parse_notebook(json.loads((site.root / "a.ipynb").read_text()))
    # As the engine asks: without a size nothing would be limited.
    plan = make_plan(notebook, size=None)
    assert plan.size is not None and plan.size.label == TINY
    with pytest.raises(DagbookError) as refusal:
        make_plan(notebook, size="huge")
    assert str(refusal.value) == HUGE.format("notebook")


def test_dagbook_schedule_writes_nothing_that_is_forbidden(
    site: Workbench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(site.root)
    assert main(["schedule", "a.ipynb", "daily 06:00", "--size", "huge"]) == 2
    assert capsys.readouterr().err == (
        f"dagbook: nothing was written. compute_size: {HUGE.format('a.ipynb')}\n"
    )
    assert not list(site.project.defs_folder.rglob("defs.yaml"))
    assert main(["schedule", "a.ipynb", "daily 06:00", "--size", "tiny", "--dry-run"]) == 0
