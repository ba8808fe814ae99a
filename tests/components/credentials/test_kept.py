"""What a researcher keeps for their own runs: theirs alone, and used from nowhere unsafe."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from dagbook.credentials.kept import forget, keep, kept, kept_values
from dagbook.errors import DagbookError

SECRET = "hunter2-Zq9"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "churn").mkdir()
    return tmp_path / "churn"


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "dagbook" / "credentials"


def refusal(root: Path) -> str:
    """What reading and keeping say alike, without any value."""
    with pytest.raises(DagbookError) as refused:
        kept_values(root)
    with pytest.raises(DagbookError) as again:
        keep(root, "db", {"DB_PASSWORD": SECRET})
    assert str(refused.value) == str(again.value)
    assert SECRET not in str(refused.value)
    return str(refused.value)


def test_what_is_kept_is_found_again_by_project_and_connection(root: Path, tmp_path: Path) -> None:
    assert kept(root) == {}
    keep(root, "db", {"DB_PASSWORD": SECRET})
    keep(root, "db", {"DB_USER": "anna"}, public=["DB_USER"])
    keep(root, "lake", {"AWS_SECRET_ACCESS_KEY": SECRET})
    assert kept(root) == {"db": ("DB_PASSWORD", "DB_USER"), "lake": ("AWS_SECRET_ACCESS_KEY",)}
    assert kept_values(root)["db"] == {"DB_PASSWORD": SECRET, "DB_USER": "anna"}
    # Another project of the same name is another project.
    other = tmp_path / "other" / "churn"
    other.mkdir(parents=True)
    assert kept(other) == {}
    link = tmp_path / "link"
    link.symlink_to(root)
    assert kept(link) == kept(root)


def test_its_owner_alone_can_read_it_whatever_the_umask(root: Path, config: Path) -> None:
    before = os.umask(0)
    try:
        path = keep(root, "db", {"DB_PASSWORD": SECRET})
    finally:
        os.umask(before)
    assert path.parent == config
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(config.stat().st_mode) == 0o700
    assert stat.S_IMODE(config.parent.stat().st_mode) == 0o700
    assert [file.name for file in config.iterdir()] == [path.name]


def test_nothing_of_it_lies_in_the_project(root: Path) -> None:
    keep(root, "db", {"DB_PASSWORD": SECRET})
    assert list(root.rglob("*")) == []


def test_a_folder_in_the_project_is_not_used(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(root / "config"))
    assert refusal(root) == (
        f"{root}/config/dagbook/credentials lies in the project {root}, where others would get it: "
        "set XDG_CONFIG_HOME to a folder outside of it"
    )
    assert list(root.rglob("*")) == []


def test_without_xdg_it_lies_in_the_home(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in ("", "relative/path"):
        monkeypatch.setenv("XDG_CONFIG_HOME", value)
        monkeypatch.setenv("HOME", str(tmp_path / f"home{len(value)}"))
        path = keep(root, "db", {"DB_PASSWORD": SECRET})
        assert path.parent == tmp_path / f"home{len(value)}" / ".config/dagbook/credentials"


def test_it_can_be_forgotten(root: Path, config: Path) -> None:
    assert forget(root, "db") is False
    keep(root, "db", {"DB_PASSWORD": SECRET, "DB_TOKEN": SECRET})
    keep(root, "lake", {"LAKE_KEY": SECRET})
    assert forget(root, "db", "DB_TOKEN") is True
    assert forget(root, "db", "DB_TOKEN") is False
    assert kept(root) == {"db": ("DB_PASSWORD",), "lake": ("LAKE_KEY",)}
    assert forget(root, "db") is True
    assert forget(root, "lake") is True
    assert kept(root) == {}
    assert list(config.iterdir()) == []


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({}, "there is no value to keep"),
        (
            {"DB_PASSWORD": "abc12"},
            "the value of `DB_PASSWORD` is shorter than 6 characters, which cannot be masked: take "
            "a longer one",
        ),
        (
            {"DB_PASSWORD": "abc  \n"},
            "the value of `DB_PASSWORD` is shorter than 6 characters, which cannot be masked: take "
            "a longer one",
        ),
        ({"DB_PASSWORD": ""}, "the value of `DB_PASSWORD` is empty: give one, or forget it"),
        (
            {"DB_PASSWORD": "abc\0defgh"},
            "the value of `DB_PASSWORD` is no text, and cannot be kept",
        ),
        ({"A-B": SECRET}, "'A-B' cannot be the name of a variable"),
        ({"PATH": SECRET}, "`PATH` is set by the run itself: take another name"),
        ({"LD_PRELOAD": SECRET}, "`LD_PRELOAD` is set by the run itself: take another name"),
    ],
    ids=["none", "short", "blanks", "empty", "zero", "name", "PATH", "LD_PRELOAD"],
)
def test_what_cannot_be_kept_is_refused_and_nothing_written(
    root: Path, config: Path, values: dict[str, str], text: str
) -> None:
    with pytest.raises(DagbookError) as refused:
        keep(root, "db", values)
    assert str(refused.value) == f"connection `db`: {text}"
    assert not config.exists()


def test_a_file_that_others_can_read_is_not_used(root: Path) -> None:
    path = keep(root, "db", {"DB_PASSWORD": SECRET})
    for mode in (0o640, 0o604, 0o620, 0o601):
        path.chmod(mode)
        assert refusal(root) == (
            f"{path} is open to others (mode 0{mode:o}), and is not used: `chmod 600` it, and "
            "change what is in it if somebody may have read it"
        )
    path.chmod(0o600)
    assert kept(root)


def test_a_folder_that_others_can_look_into_is_not_used(root: Path, config: Path) -> None:
    keep(root, "db", {"DB_PASSWORD": SECRET})
    config.chmod(0o750)
    assert refusal(root).startswith(f"{config} is open to others (mode 0750), and is not used: ")
    config.chmod(0o700)
    config.parent.chmod(0o777)
    assert refusal(root).startswith(f"{config.parent} is open to others (mode 0777), and is not")
    config.parent.chmod(0o755)  # other things of dagbook may lie there for all to see
    assert kept(root)


def test_a_link_is_not_used(root: Path, config: Path, tmp_path: Path) -> None:
    path = keep(root, "db", {"DB_PASSWORD": SECRET})
    path.rename(tmp_path / "elsewhere.json")
    path.symlink_to(tmp_path / "elsewhere.json")
    assert refusal(root) == f"{path} is a link, and is not used: remove it"
    path.unlink()
    config.rename(tmp_path / "folder")
    config.symlink_to(tmp_path / "folder")
    assert refusal(root) == f"{config} is a link or no folder, and is not used: remove it"


def test_what_is_no_file_is_not_used_and_not_waited_for(root: Path) -> None:
    path = keep(root, "db", {"DB_PASSWORD": SECRET})
    path.unlink()
    os.mkfifo(path, 0o600)
    assert refusal(root) == f"{path} is not a file: remove it, and keep it again"
    path.unlink()
    path.mkdir(mode=0o700)
    assert refusal(root) == f"{path} is not a file: remove it, and keep it again"


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"connections": {"db": {"A": 1}}}', "hunter2", '{"a":' * 5000]
)
def test_what_dagbook_did_not_write_is_not_used(root: Path, content: str) -> None:
    path = keep(root, "db", {"DB_PASSWORD": SECRET})
    path.write_text(content)
    assert refusal(root) == f"{path} was not written by dagbook: remove it, and keep it again"


def test_another_projects_file_is_not_used(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    theirs = keep(other, "db", {"DB_PASSWORD": SECRET})
    path = keep(root, "db", {"DB_PASSWORD": "mine-1234"})
    theirs.rename(path)
    assert refusal(root) == f"{path} was not written by dagbook: remove it, and keep it again"


def test_many_who_keep_at_once_lose_nothing(root: Path, config: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from dagbook.credentials.kept import keep\n"
        "for n in range(10): keep(Path(sys.argv[1]), f'c{sys.argv[2]}', {f'V{n}': 'hunter2-Zq9'})"
    )
    runs = [
        subprocess.Popen([sys.executable, "-c", code, str(root), str(number)])
        for number in range(4)
    ]
    assert [run.wait() for run in runs] == [0] * 4
    assert {name: len(names) for name, names in kept(root).items()} == {
        f"c{n}": 10 for n in range(4)
    }
    assert len(list(config.iterdir())) == 1


def test_what_a_killed_writer_left_is_removed(root: Path, config: Path) -> None:
    path = keep(root, "db", {"DB_PASSWORD": SECRET})
    left = path.with_name(f".{path.name}.0123456789abcdef")
    left.write_text(SECRET)
    keep(root, "db", {"DB_TOKEN": SECRET})
    assert list(config.iterdir()) == [path]


def test_a_full_disk_leaves_what_was_there(
    root: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(root, "db", {"DB_PASSWORD": SECRET})

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dagbook.credentials.kept.os.fsync", full)
    with pytest.raises(DagbookError) as refused:
        keep(root, "db", {"DB_PASSWORD": "another-1234"})
    assert str(refused.value).endswith(".json cannot be used: No space left on device")
    monkeypatch.undo()
    os.environ["XDG_CONFIG_HOME"] = str(config.parents[1])
    assert kept_values(root) == {"db": {"DB_PASSWORD": SECRET}}
    assert len(list(config.iterdir())) == 1


@pytest.mark.needs("other-uid")
def test_another_user_can_neither_read_it_nor_have_theirs_used(
    root: Path, config: Path, tmp_path: Path
) -> None:
    path = keep(root, "db", {"DB_PASSWORD": SECRET})
    for parent in path.parents:
        if parent.stat().st_uid == 0 and parent not in (Path("/"), config, config.parent):
            parent.chmod(parent.stat().st_mode | 0o055)
    config.parent.chmod(0o755)
    os.seteuid(65534)
    try:
        with pytest.raises(PermissionError):
            path.read_bytes()
        with pytest.raises(DagbookError) as refused:
            kept_values(root)
    finally:
        os.seteuid(0)
    assert str(refused.value) == (
        f"{config.parent} belongs to another user, and is not used: remove it"
    )
    os.chown(path, 65534, 65534)
    assert refusal(root) == f"{path} belongs to another user, and is not used: remove it"


def test_what_is_written_says_which_project_it_is_for(root: Path) -> None:
    path = keep(root, "db", {"DB_PASSWORD": SECRET})
    assert json.loads(path.read_text()) == {
        "project": str(root),
        "connections": {"db": {"DB_PASSWORD": SECRET}},
    }
    assert path.name.startswith("churn-")
