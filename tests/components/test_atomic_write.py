"""A file is replaced whole, or it is as it was."""

from __future__ import annotations

import pytest

from dagbook.atomic_write import TEMPORARY_PATTERN, write_atomically


def test_what_cannot_be_written_to_its_end_leaves_the_old_text_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old", "utf-8")

    def pieces():
        yield b"new"
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, pieces())
    assert path.read_text("utf-8") == "old"
    assert [*tmp_path.iterdir()] == [path]


def test_the_error_told_is_the_first_one(tmp_path):
    folder = tmp_path / "f"
    folder.mkdir()

    def pieces():
        yield b"new"
        [temporary] = folder.glob(TEMPORARY_PATTERN)
        temporary.unlink()
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_atomically(folder / "a.txt", pieces())


def test_a_link_keeps_pointing_and_the_mode_stays(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old", "utf-8")
    target.chmod(0o640)
    link.symlink_to(target)
    write_atomically(link, "new")
    assert link.is_symlink()
    assert target.read_text("utf-8") == "new"
    assert target.stat().st_mode & 0o777 == 0o640
