"""A run with a home of its own finds no credentials of anybody's by accident."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tests.components.execution.conftest import ruled

from dagbook.errors import DagbookError
from dagbook.execution import run_notebook
from dagbook.execution.own_home import make_home

LOOK = """
import json, os, stat
from pathlib import Path
home = Path.home()
(home / "left").write_text("something")
(home / ".cache" / "models" / "new").write_text("kept")
import IPython.paths, jupyter_core.paths
Path("told.json").write_text(json.dumps({
    "home": str(home), "mode": oct(stat.S_IMODE(home.stat().st_mode)),
    "there": sorted(p.name for p in home.iterdir()),
    "aws": (home / ".aws").exists(), "model": (home / ".cache/models/big").read_text(),
    "other": (home / ".cache/other").is_dir(),
    "xdg": sorted(n for n in os.environ if n.startswith("XDG_")),
    "ipython": IPython.paths.get_ipython_dir(), "jupyter": jupyter_core.paths.jupyter_config_dir(),
    "expanded": os.path.expanduser("~/x"),
}))
"""


@pytest.fixture
def real_home(tmp_path_factory, monkeypatch) -> Path:
    home = tmp_path_factory.mktemp("home")
    (home / ".aws").mkdir()
    (home / ".aws" / "credentials").write_text("[default]\naws_secret_access_key = mine\n")
    (home / ".cache" / "models").mkdir(parents=True)
    (home / ".cache" / "models" / "big").write_text("weights")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/0")
    monkeypatch.setenv("XDG_DATA_DIRS", "/usr/share")
    monkeypatch.setenv("IPYTHONDIR", str(home / ".ipython"))
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(home / ".jupyter"))
    return home


def test_the_home_is_the_runs_own_and_gone_after_it(make_notebook, real_home):
    notebook = make_notebook(LOOK)
    allowance = ruled(own_home=True, shared_caches=(".cache/models", ".cache/other"))
    result = run_notebook(notebook, allowance=allowance)
    assert (result.succeeded, result.reason) == (True, "")
    told = json.loads((notebook.parent / "told.json").read_text("utf-8"))
    home = told["home"]
    assert home != str(real_home)
    assert told["mode"] == "0o700"
    assert not told["aws"]
    assert (told["model"], told["other"]) == ("weights", True)
    assert told["xdg"] == ["XDG_DATA_DIRS"]
    for path in (told["ipython"], told["jupyter"], told["expanded"]):
        assert path.startswith(f"{home}/")
    assert not Path(home).exists()
    # What was put into a shared cache is there for the next run.
    assert (real_home / ".cache" / "models" / "new").read_text() == "kept"
    assert sorted(p.name for p in real_home.iterdir()) == [".aws", ".cache"]


def test_without_the_rule_the_home_is_the_users(make_notebook, real_home):
    notebook = make_notebook("from pathlib import Path\nPath('told').write_text(str(Path.home()))")
    assert run_notebook(notebook, allowance=ruled()).succeeded
    assert (notebook.parent / "told").read_text("utf-8") == str(real_home)


def test_a_folder_in_it_that_nobody_may_write_is_removed_too(make_notebook, real_home):
    """As programs leave them that cache what must not change."""
    notebook = make_notebook(
        "import os\nfrom pathlib import Path\nfolder = Path.home() / 'a/b'\n"
        "folder.mkdir(parents=True)\n(folder / 'c').touch()\nfolder.chmod(0o500)\n"
        "folder.parent.chmod(0o500)\nPath('told').write_text(str(Path.home()))"
    )
    assert run_notebook(notebook, allowance=ruled(own_home=True)).succeeded
    assert not Path((notebook.parent / "told").read_text("utf-8")).exists()


@pytest.mark.parametrize("shared", ["/etc", "../other", "a/../../b", ""])
def test_only_what_lies_below_the_home_can_be_shared(tmp_path, shared):
    with pytest.raises(DagbookError) as refused:
        make_home(tmp_path / "home", {"HOME": str(tmp_path)}, (shared,))
    assert str(refused.value) == (
        f"kernel_process.shared_caches: {shared!r} is no path below the home folder. Write it as in "
        ".cache/huggingface."
    )


def test_a_shared_folder_in_a_shared_folder_is_there_once(tmp_path):
    (tmp_path / "real" / ".cache" / "hub").mkdir(parents=True)
    environment = {"HOME": str(tmp_path / "real"), "LANG": "C"}
    changed = make_home(tmp_path / "home", environment, (".cache/hub", ".cache"))
    assert changed == {"HOME": str(tmp_path / "home"), "LANG": "C"}
    assert (tmp_path / "home" / ".cache").readlink() == tmp_path / "real" / ".cache"
    assert (tmp_path / "home" / ".cache" / "hub").is_dir()


def test_packages_installed_for_the_user_alone_can_be_imported(tmp_path):
    (tmp_path / "real" / ".local" / "lib").mkdir(parents=True)
    changed = make_home(tmp_path / "home", {"HOME": str(tmp_path / "real")}, ())
    assert changed["PYTHONUSERBASE"] == os.fspath(tmp_path / "real" / ".local")
