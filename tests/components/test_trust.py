"""Whose code may run: what a user said yes to, kept where only they write."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path

import pytest

from dagbook.errors import DagbookError
from dagbook.project import create_project
from dagbook.trust import (
    TRUST_VARIABLE,
    distrust_project,
    is_trusted,
    trust_project,
    trusted_projects,
)


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(TRUST_VARIABLE)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "dagbook" / "trusted.json"


@pytest.fixture
def cloned(tmp_path: Path) -> Path:
    root = tmp_path / "cloned"
    (root / "cloned" / "defs").mkdir(parents=True)
    (root / "dg.toml").write_text('directory_type = "project"\n[project]\nroot_module = "cloned"\n')
    return root


def test_a_project_that_was_made_here_is_trusted(tmp_path: Path) -> None:
    assert is_trusted(create_project(tmp_path / "made").root)


def test_a_project_that_was_there_is_not_trusted_by_completing_it(cloned: Path) -> None:
    create_project(cloned)
    assert not is_trusted(cloned)


def test_trust_is_given_and_taken_back(cloned: Path) -> None:
    assert not is_trusted(cloned)
    trust_project(cloned)
    assert is_trusted(cloned)
    assert [project.root for project in trusted_projects()] == [cloned]
    assert distrust_project(cloned)
    assert not distrust_project(cloned)
    assert not is_trusted(cloned)


def test_a_link_to_a_trusted_project_is_trusted(cloned: Path, tmp_path: Path) -> None:
    trust_project(cloned)
    (tmp_path / "link").symlink_to(cloned)
    assert is_trusted(tmp_path / "link")


def test_another_folder_in_its_place_is_not_trusted(cloned: Path, tmp_path: Path) -> None:
    trust_project(cloned)
    shutil.copytree(cloned, tmp_path / "second")
    # Kept beside, so that its number is not given to the other.
    cloned.rename(tmp_path / "first")
    (tmp_path / "second").rename(cloned)
    assert not is_trusted(cloned)


def test_only_its_user_reads_and_writes_what_is_trusted(cloned: Path, config: Path) -> None:
    trust_project(cloned)
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert stat.S_IMODE(config.parent.stat().st_mode) == 0o700
    trust_project(cloned)
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert json.loads(config.read_text())["schema"] == "dagbook.trusted/1"


def test_a_file_that_others_can_write_is_not_believed(cloned: Path, config: Path) -> None:
    trust_project(cloned)
    config.chmod(0o666)
    with pytest.raises(DagbookError) as raised:
        is_trusted(cloned)
    assert str(raised.value) == (
        f"{config} can be written by others: `chmod 600 {config}`, then try again"
    )


def test_a_file_that_is_not_ours_is_said(cloned: Path, config: Path) -> None:
    config.parent.mkdir(parents=True)
    config.write_text("[]")
    config.chmod(0o600)
    with pytest.raises(DagbookError) as raised:
        is_trusted(cloned)
    assert str(raised.value) == (
        f"{config} is not what dagbook wrote: remove it, and trust your projects again"
    )


@pytest.mark.needs("other-uid")
def test_what_another_user_wrote_is_not_believed(cloned: Path, config: Path) -> None:
    trust_project(cloned)
    os.chown(config, 12345, 12345)
    with pytest.raises(DagbookError, match="can be written by others"):
        is_trusted(cloned)


@pytest.mark.needs("other-uid")
def test_a_project_is_made_where_trust_cannot_be_written_down(tmp_path: Path, config: Path) -> None:
    config.parent.mkdir(parents=True)
    work = tmp_path / "work"
    work.mkdir()
    os.chown(work, 65534, 65534)
    for folder in (config.parent, *config.parent.parents):
        if folder.stat().st_uid == 0 and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    create_project(tmp_path / "warm")  # everything it needs is imported
    shutil.rmtree(config.parent)
    config.parent.mkdir(mode=0o755)
    os.seteuid(65534)
    try:
        root = create_project(work / "project").root
        assert not is_trusted(root)
        with pytest.raises(DagbookError) as raised:
            trust_project(root)
    finally:
        os.seteuid(0)
    assert str(raised.value) == f"cannot write {config}: Permission denied"


@pytest.mark.parametrize("named", ["1", "{root}", "/nowhere:{root}"])
def test_the_environment_of_a_build_machine_trusts(
    cloned: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    monkeypatch.setenv(TRUST_VARIABLE, named.format(root=cloned))
    assert is_trusted(cloned)


def test_the_environment_trusts_no_other(cloned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TRUST_VARIABLE, f"{cloned}/cloned:0:")
    assert not is_trusted(cloned)


def test_projects_that_are_gone_are_forgotten(cloned: Path, tmp_path: Path) -> None:
    trust_project(cloned)
    shutil.rmtree(cloned)
    other = create_project(tmp_path / "other").root
    assert [project.root for project in trusted_projects()] == [other]
