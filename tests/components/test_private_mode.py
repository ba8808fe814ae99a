"""What a run leaves is its user's alone, unless its folder is shared on purpose."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from dagbook.atomic_write import write_atomically
from dagbook.private_mode import make_private_folder


@pytest.fixture(autouse=True)
def generous_umask() -> Iterator[None]:
    before = os.umask(0o002)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_new_folders_and_files_are_closed_to_others(tmp_path):
    write_atomically(tmp_path / "runs" / "a" / "x.ipynb", "{}", private=True)
    assert mode(tmp_path / "runs") == mode(tmp_path / "runs" / "a") == 0o700
    assert mode(tmp_path / "runs" / "a" / "x.ipynb") == 0o600


def test_other_files_follow_the_umask(tmp_path):
    write_atomically(tmp_path / "defs" / "defs.yaml", "type: x")
    assert (mode(tmp_path / "defs"), mode(tmp_path / "defs" / "defs.yaml")) == (0o775, 0o664)


def test_what_is_there_keeps_its_mode(tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs").chmod(0o755)
    (tmp_path / "runs" / "x.ipynb").touch()
    (tmp_path / "runs" / "x.ipynb").chmod(0o644)
    make_private_folder(tmp_path / "runs")
    for name in ("x.ipynb", "y.ipynb"):
        write_atomically(tmp_path / "runs" / name, "{}", private=True)
    assert mode(tmp_path / "runs") == 0o755
    assert mode(tmp_path / "runs" / "x.ipynb") == 0o644
    assert mode(tmp_path / "runs" / "y.ipynb") == 0o600


def test_a_groups_folder_stays_the_groups(tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs").chmod(0o2770)
    write_atomically(tmp_path / "runs" / "a" / "b" / "x.ipynb", "{}", private=True)
    assert mode(tmp_path / "runs" / "a") == mode(tmp_path / "runs" / "a" / "b") == 0o2770
    assert mode(tmp_path / "runs" / "a" / "b" / "x.ipynb") == 0o660
    os.umask(0o027)
    write_atomically(tmp_path / "runs" / "c" / "y.ipynb", "{}", private=True)
    assert (mode(tmp_path / "runs" / "c"), mode(tmp_path / "runs" / "c" / "y.ipynb")) == (
        0o2750,
        0o640,
    )


def access_list(*entries: tuple[int, int, int]) -> bytes:
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def test_a_folder_with_a_default_access_list_follows_it(tmp_path):
    (tmp_path / "runs").mkdir()
    owner, user, group, most, others, nobody = 1, 2, 4, 16, 32, 0xFFFFFFFF
    wanted = access_list(
        (owner, 7, nobody), (user, 6, 65534), (group, 5, nobody), (most, 7, nobody),
        (others, 0, nobody),
    )  # fmt: skip
    try:
        os.setxattr(tmp_path / "runs", "system.posix_acl_default", wanted)
    except OSError as error:
        pytest.skip(f"no access lists here ({error.strerror})")
    write_atomically(tmp_path / "runs" / "x.ipynb", "{}", private=True)
    assert os.getxattr(tmp_path / "runs" / "x.ipynb", "system.posix_acl_access") == access_list(
        (owner, 6, nobody), (user, 6, 65534), (group, 5, nobody), (most, 6, nobody),
        (others, 0, nobody),
    )  # fmt: skip


def test_a_file_in_the_way_is_told(tmp_path):
    (tmp_path / "runs").touch()
    with pytest.raises(FileExistsError):
        make_private_folder(tmp_path / "runs")
    with pytest.raises(NotADirectoryError):
        make_private_folder(tmp_path / "runs" / "a")


def test_a_new_file_is_its_users_alone_and_is_not_written_over(tmp_path: Path) -> None:
    from dagbook.private_mode import write_private

    tmp_path.chmod(0o700)
    write_private(tmp_path / "told.json", b"{}")

    assert stat.S_IMODE((tmp_path / "told.json").stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        write_private(tmp_path / "told.json", b"[]")
