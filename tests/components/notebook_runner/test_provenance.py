"""What a run's page on Dagster says of where its result comes from."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import nbformat
import pytest

from dagbook.notebook_runner.trigger import said_trigger

if TYPE_CHECKING:
    from conftest import Workbench


def test_a_run_tells_its_interpreter_packages_and_commit(bench: Workbench) -> None:
    bench.notebook("n.ipynb", ["import helper"])
    (bench.root / "helper.py").write_text("")
    yaml = bench.component("n", "notebook: n.ipynb")
    git = ["git", "-c", "user.name=n", "-c", "user.email=e@example.com"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *words], cwd=bench.root, check=True)
    commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=bench.root, text=True)
    (bench.root / "helper.py").write_text("x = 1\n")

    ran = bench.run("n", tags={"dagster/schedule_name": "nightly", "user": "ann"})

    metadata = ran.metadata
    assert metadata["interpreter"] == f"python {sys.version.split()[0]} {sys.executable}"
    assert metadata["commit"] == commit.strip()
    assert metadata["not_as_committed"] == ["helper.py"]
    stored = nbformat.read(metadata["executed_notebook"], as_version=4).metadata.dagbook.provenance
    count, word, digest = metadata["packages"].replace(",", "").split()
    assert (int(count), word) == (len(stored.packages), "sha256")
    assert stored.packages_hash.startswith(digest)
    assert stored.code_version == metadata["code_version"]
    assert [(f.role, f.path) for f in stored.files] == [
        ("notebook", "n.ipynb"),
        ("component", yaml.relative_to(bench.root).as_posix()),
        ("module", "helper.py"),
    ]
    identity = stored.identity
    assert identity.run_id == ran.result.run_id
    assert identity.asset == "n"
    assert identity.trigger == "schedule nightly"
    assert identity.launched_by == "ann"


def test_a_failed_partition_tells_what_is_different_from_another_that_went_well(
    bench: Workbench,
) -> None:
    cells = [("day = ''", ["parameters"]), "assert day < '2026-01-02', day"]
    bench.notebook("n.ipynb", cells)
    bench.component(
        "n",
        """
        notebook: n.ipynb
        partitions: {type: daily, start_date: 2026-01-01}
        parameters: {day: "{{ partition_key }}"}
        """,
    )
    good = bench.run("n", partition="2026-01-01")
    ran = bench.run("n", partition="2026-01-02")

    assert not ran.success
    assert ran.metadata["last_good_run"] == good.metadata["executed_notebook"]
    assert ran.metadata["different_from_last_good"] == [
        'parameter day: "2026-01-01" → "2026-01-02"'
    ]


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({}, "by hand"),
        ({"dagster/schedule_name": "s"}, "schedule s"),
        ({"dagster/sensor_name": "s"}, "sensor s"),
        ({"dagster/backfill": "b"}, "backfill b"),
        ({"dagster/from_automation_condition": "true"}, "automation condition"),
        (
            {"dagster/parent_run_id": "p", "dagster/schedule_name": "s"},
            "started again from run p",
        ),
        (
            {"dagster/retry_number": "1", "dagster/parent_run_id": "p"},
            "automatic retry of run p",
        ),
    ],
)
def test_what_started_a_run_is_read_off_its_tags(tags: dict[str, str], words: str) -> None:
    assert said_trigger(tags) == words
