"""What was acknowledged is on disk, and comes back as it was."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from dagbook.recorder.calls import CALLS_FILE, CallLog, Ids, read_calls


def test_calls_come_back_in_order_from_any_place(tmp_path: Path) -> None:
    log = CallLog(tmp_path)
    for number in range(5):
        log.append({"call": "log", "number": number, "text": "ü\n" * number})

    everything = list(read_calls(tmp_path))

    assert [call["number"] for call, _ in everything] == [0, 1, 2, 3, 4]
    assert everything[-1][1] == log.length == (tmp_path / CALLS_FILE).stat().st_size
    assert [call["number"] for call, _ in read_calls(tmp_path, everything[2][1])] == [3, 4]


def test_nobody_else_may_read_them(tmp_path: Path) -> None:
    CallLog(tmp_path).append({"call": "log"})
    Ids(tmp_path).add({"ours": "theirs"})

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}

    assert modes == {"calls.jsonl": 0o600, "ids.jsonl": 0o600}


def test_half_a_line_of_a_process_that_was_killed_is_dropped(tmp_path: Path) -> None:
    log = CallLog(tmp_path)
    log.append({"call": "log", "number": 1})
    log.close()
    with (tmp_path / CALLS_FILE).open("ab") as file:
        file.write(b'{"call": "lo' + b"x" * 3_000_000)

    assert [call["number"] for call, _ in read_calls(tmp_path)] == [1]
    again = CallLog(tmp_path)
    again.append({"call": "log", "number": 2})
    assert [call["number"] for call, _ in read_calls(tmp_path)] == [1, 2]


@pytest.mark.needs("mount")
def test_a_full_disk_leaves_no_half_call(tmp_path: Path) -> None:
    import subprocess

    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], check=True)
    try:
        log = CallLog(small)
        log.append({"call": "log", "number": 1})
        with pytest.raises(OSError):
            log.append({"call": "log", "text": "x" * 200_000})
        log.append({"call": "log", "number": 2})
        assert [call["number"] for call, _ in read_calls(small)] == [1, 2]
        log.close()
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_names_of_ours_are_found_wherever_they_stand(tmp_path: Path) -> None:
    run, server_run = "a" * 32, "b" * 32
    writer, reader = Ids(tmp_path), Ids(tmp_path)
    writer.add({run: server_run, f"mlflow-artifacts:/dagbook/run/{run}/artifacts": "s3://x/y"})
    writer.add({"123456789012345678": "7"})

    reader.refresh()

    assert reader.of(run) == server_run
    assert reader.of("unknown") == "unknown"
    text = f"run {run} at mlflow-artifacts:/dagbook/run/{run}/artifacts/a in 123456789012345678"
    assert reader.translate(text) == f"run {server_run} at s3://x/y/a in 7"
    # An experiment that is "7" stands for itself.
    assert reader.translate_back(f"{server_run} 7 77") == f"{run} 7 77"
