"""What a researcher has themselves is theirs: a run on Dagster never uses it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dagbook.credentials.kept import keep

if TYPE_CHECKING:
    from conftest import Workbench

OWN, SECRET = "hunter2-my-own", "hunter2-of-the-platform"
PLATFORM = """
connections:
  analytics:
    provider: environment
    key: DEPLOYED
    variables: {DB_PASSWORD: password}
resources:
  database: {connections: [analytics]}
"""
LOOK = """
import hashlib, os
with open("seen", "w") as file:
    file.write(hashlib.sha256(os.environ["DB_PASSWORD"].encode()).hexdigest())
"""


@pytest.fixture
def governed(bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workbench:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("DB_PASSWORD", OWN)
    bench.platform(PLATFORM)
    bench.notebook("look.ipynb", [LOOK])
    bench.component("look", "notebook: look.ipynb\nresources: {database: analytics}")
    keep(bench.root, "analytics", {"DB_PASSWORD": OWN})
    return bench


def test_a_run_on_dagster_asks_the_platform_alone(
    governed: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEPLOYED", json.dumps({"password": SECRET}))
    assert governed.run("look").success
    assert (governed.root / "seen").read_text() == hashlib.sha256(SECRET.encode()).hexdigest()


def test_where_the_platform_has_none_the_own_does_not_step_in(governed: Workbench) -> None:
    assert not governed.run("look").success
    assert not (governed.root / "seen").exists()
