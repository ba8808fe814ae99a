"""Notices that code of components changed, and nothing else."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dagbook.bridge.code_watch import CodeWatch
from dagbook.project import Project


@pytest.fixture
def watch(
    project: Project, tmp_path: Path, install: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> CodeWatch:
    install("acme", inner="x = 1\n")
    (project.defs_folder / "kinds.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site-packages"))
    return CodeWatch(project.root)


def old(path: Path) -> None:
    """Have a file look as if it had been written long ago."""
    os.utime(path, (1_000_000_000, 1_000_000_000))


def test_nothing_has_changed_when_nothing_has(watch: CodeWatch, project: Project) -> None:
    seen = watch.look()
    assert not watch.has_changed(seen)
    (project.root / "churn.ipynb").write_text("{}")
    folder = project.defs_folder / "churn"
    folder.mkdir()
    (folder / "defs.yaml").write_text("type: dagbook.NotebookRunnerComponent\n")
    (project.root / "runs" / "churn").mkdir(parents=True)
    assert not watch.has_changed(seen)


@pytest.mark.parametrize(
    "change",
    [
        lambda p, t: (t / "site-packages/acme/inner.py").write_text("x = 2  # longer\n"),
        lambda p, t: (t / "site-packages/acme/new.py").touch(),
        lambda p, t: (t / "site-packages/acme/inner.py").unlink(),
        lambda p, t: (t / "site-packages/acme/dagbook-platform.yaml").write_text("contact: a\n"),
        lambda p, t: (t / "site-packages/other-2.0.dist-info").mkdir(),
        lambda p, t: (t / "site-packages/editable.pth").write_text("/src\n"),
        lambda p, t: (p.defs_folder / "kinds.py").write_text("x = 2\n"),
        lambda p, t: (p.defs_folder / "deep").mkdir() or (p.defs_folder / "deep/a.py").touch(),
        lambda p, t: (p.root / "shared.py").write_text("x = 1\n"),
        lambda p, t: p.config_file.write_text(p.config_file.read_text() + "# more\n"),
    ],
    ids=[
        "edited", "added", "removed", "data", "installed", "editable", "project", "deep", "root",
        "settings",
    ],
)  # fmt: skip
def test_a_change_is_seen(
    watch: CodeWatch,
    project: Project,
    tmp_path: Path,
    change: Callable[[Project, Path], object],
) -> None:
    seen = watch.look()
    time.sleep(0.02)
    change(project, tmp_path)
    assert watch.has_changed(seen)
    assert not watch.has_changed(watch.look())


def test_a_change_that_leaves_size_and_time_is_seen(watch: CodeWatch, project: Project) -> None:
    path = project.defs_folder / "kinds.py"
    path.write_text("x = 1\n")
    seen = watch.look()  # a moment after the change, when the clock may not have moved on
    before = seen.files[str(path)]
    path.write_text("x = 2\n")
    # As on a file system whose clock stands still meanwhile.
    seen.files[str(path)] = dict(watch.look().files)[str(path)]
    assert before[2:] == seen.files[str(path)][2:]
    assert watch.has_changed(seen)


def test_a_file_of_the_project_that_was_imported_is_watched(
    watch: CodeWatch, project: Project
) -> None:
    path = project.root / "lib" / "prices.py"
    path.parent.mkdir()
    path.write_text("x = 1\n")
    seen = watch.look()
    watch.imported.add(str(path))
    assert not watch.has_changed(seen)
    path.write_text("x = 2  # more\n")
    assert watch.has_changed(seen)


def test_nothing_is_imported_to_find_out(watch: CodeWatch) -> None:
    watch.look()
    assert "acme" not in sys.modules
