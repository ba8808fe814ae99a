"""A run on Dagster is given what it is entitled to, just before its kernel starts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dagbook.ledger.audit import Entry, read_entries
from dagbook.ledger.instance_database import ledger_of_instance

if TYPE_CHECKING:
    from conftest import Workbench

SECRET = "hunter2-and-more"
PLATFORM = """
connections:
  analytics_prod:
    provider: file
    key: {secret}
    variables: DB_PASSWORD
    files: {{DB_PASSWORD_FILE: {{name: password}}}}
    values: {{DB_HOST: db.example.com}}
  from_a_program:
    provider: process
    key: {program}
    variables: {{TOKEN: Token}}
resources:
  database: {{connections: [analytics_prod]}}
  program: {{connections: [from_a_program]}}
  bucket: {{values: [company-*]}}
"""
LOOK = """
import json, os
from pathlib import Path
seen = {n: os.environ.get(n) for n in ("DB_PASSWORD", "DB_HOST", "BUCKET", "OF_THE_STEP", "TOKEN")}
seen["file"] = Path(os.environ.get("DB_PASSWORD_FILE", "/dev/null")).read_text()
_ = Path("told.json").write_text(json.dumps(seen))
print("the password is", os.environ.get("DB_PASSWORD"))
"""


@pytest.fixture
def governed(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> Workbench:
    outside = bench.root.parent / "secrets"
    outside.mkdir(mode=0o700)
    (outside / "password").write_text(SECRET)
    (outside / "password").chmod(0o600)
    # Fails as long as there is no file `up` beside it.
    program = outside / "program"
    program.write_text(
        f"#!/bin/sh\necho try >> {outside}/tries\ntest -e {outside}/up || exit 1\n"
        'echo \'{"Version": 1, "Token": "token-of-the-program"}\'\n'
    )
    program.chmod(0o700)
    bench.platform(PLATFORM.format(secret=outside / "password", program=program))
    bench.notebook("look.ipynb", [LOOK])
    monkeypatch.setenv("OF_THE_STEP", "the deployment's own")
    return bench


def told(bench: Workbench) -> dict[str, str | None]:
    return json.loads((bench.root / "told.json").read_text("utf-8"))


def tries(bench: Workbench) -> int:
    return len((bench.root.parent / "secrets" / "tries").read_text("utf-8").split())


def test_the_kernel_has_them_and_nothing_that_is_stored_shows_one(governed: Workbench) -> None:
    governed.component(
        "look", "notebook: look.ipynb\nresources: {database: analytics_prod, bucket: company-ml}"
    )
    ran = governed.run("look")
    assert ran.success
    assert told(governed) == {
        "DB_PASSWORD": SECRET, "DB_HOST": "db.example.com", "BUCKET": "company-ml",
        "OF_THE_STEP": None, "TOKEN": None, "file": SECRET,
    }  # fmt: skip
    stored = Path(ran.metadata["executed_notebook"]).read_text("utf-8")
    assert "the password is" in stored
    assert SECRET not in stored
    assert SECRET not in "\n".join(governed.logs(ran))


def test_without_resources_nothing_is_fetched_or_imported(governed: Workbench) -> None:
    governed.component("look", "notebook: look.ipynb")
    assert governed.run("look").success
    assert set(told(governed).values()) == {None, ""}


def test_a_provider_that_is_down_is_asked_again_as_the_yaml_allows(governed: Workbench) -> None:
    governed.component(
        "look",
        "notebook: look.ipynb\nresources: {program: from_a_program}\n"
        "retries: {max: 2, delay_seconds: 0.1}",
    )
    ran = governed.run("look")
    assert not ran.success
    said = (
        "connection `from_a_program`: the program program failed with status 1: run it as the "
        "deployment's user to see why"
    )
    assert (ran.failure.description, ran.metadata["status"]) == (said, "refused")
    assert (ran.attempts, tries(governed)) == (3, 3)
    assert governed.logs(ran) == [f"Trying again: {said}"] * 2
    assert not (governed.root / "told.json").exists()
    assert not list(governed.root.glob("runs/look/*"))


def test_one_that_comes_back_meanwhile_is_enough(governed: Workbench) -> None:
    program = governed.root.parent / "secrets" / "program"
    program.write_text(program.read_text().replace("exit 1", "{ touch ${0%/*}/up; exit 1; }"))
    governed.component(
        "look",
        "notebook: look.ipynb\nresources: {program: from_a_program}\n"
        "retries: {max: 1, delay_seconds: 0.1}",
    )
    ran = governed.run("look")
    assert ran.success
    assert (ran.attempts, tries(governed)) == (2, 2)
    assert told(governed)["TOKEN"] == "token-of-the-program"


def test_without_retries_a_provider_that_is_down_ends_the_run(governed: Workbench) -> None:
    governed.component("look", "notebook: look.ipynb\nresources: {program: from_a_program}")
    ran = governed.run("look")
    assert not ran.success
    assert (ran.attempts, tries(governed)) == (1, 1)


def test_what_no_other_try_mends_is_not_tried_again(governed: Workbench) -> None:
    (governed.root.parent / "secrets" / "password").unlink()
    governed.component(
        "look",
        "notebook: look.ipynb\nresources: {database: analytics_prod}\n"
        "retries: {max: 2, on: [error]}",
    )
    ran = governed.run("look")
    assert not ran.success
    assert ran.attempts == 1
    assert ran.failure.description.startswith("connection `analytics_prod`: ")
    assert "\n" not in ran.failure.description


def entries(bench: Workbench) -> list[Entry]:
    with ledger_of_instance(bench.instance).read() as connection:
        assert connection is not None
        return list(read_entries(connection))


def test_what_came_to_nothing_is_in_the_account_as_refused(governed: Workbench) -> None:
    governed.component("look", "notebook: look.ipynb\nresources: {program: from_a_program}")
    governed.run("look")
    assert [e.kind for e in entries(governed)] == ["platform changed", "refused"]


def test_the_account_names_connections_and_no_value(governed: Workbench) -> None:
    governed.component("look", "notebook: look.ipynb\nresources: {database: analytics_prod}")
    assert governed.run("look").success
    told = [json.dumps(e.to_json()) for e in entries(governed)]
    assert [e.kind for e in entries(governed)] == ["platform changed", "launched", "ended"]
    assert "analytics_prod" in told[1]
    assert SECRET not in "".join(told)


def test_the_kernels_process_is_as_the_platform_says(governed: Workbench) -> None:
    file = governed.root / "dagbook-platform.yaml"
    file.write_text(file.read_text() + "kernel_process: {own_home: true}\n")
    governed.notebook(
        "home.ipynb", ["from pathlib import Path\nPath('home').write_text(str(Path.home()))"]
    )
    governed.component("home", "notebook: home.ipynb")
    ran = governed.run("home")
    assert ran.success
    home = Path((governed.root / "home").read_text("utf-8"))
    assert home != Path.home()
    assert not home.exists()
