"""Measurements a notebook reports: nothing swallows them, nothing slows the notebook down."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest
from nbclient import NotebookClient

import dagbook
from dagbook import report
from dagbook.errors import DagbookError
from dagbook.report import MOST_READ, RUN_FOLDER_VARIABLE, MetricReport, read_reports


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(RUN_FOLDER_VARIABLE, raising=False)
    monkeypatch.setattr(report, "_has_warned", False)
    monkeypatch.setattr(report, "_line_is_torn", False)
    report._recorded.clear()


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file the runner reads, in a run."""
    monkeypatch.setenv(RUN_FOLDER_VARIABLE, str(tmp_path))
    return tmp_path / "reports.jsonl"


def read_all(path: Path) -> list[MetricReport]:
    found: list[MetricReport] = []
    offset = 0
    while True:
        more, end = read_reports(path, offset)
        found += more
        if end == offset:
            return found
        offset = end


def values(path: Path) -> dict[str, float]:
    return {name: value for name, value, _, _ in read_all(path)}


# What is accepted


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (0.1, 0.1),
        (3, 3.0),
        (-(10**30), -1e30),
        (float("inf"), math.inf),
        (float("-inf"), -math.inf),
        (1e-300, 1e-300),
        (0.1 + 0.2, 0.30000000000000004),
        (np.float64(0.25), 0.25),
        (np.float32(0.25), 0.25),
        (np.float16(0.25), 0.25),
        (np.int64(7), 7.0),
        (np.uint8(7), 7.0),
        (np.array(0.5), 0.5),
        (np.array(2), 2.0),
        (pd.Series([1, 2, 3]).mean(), 2.0),
        (Decimal("0.1"), 0.1),
        (Fraction(1, 4), 0.25),
    ],
    ids=lambda value: f"{type(value).__name__}-{value}",
)
def test_every_kind_of_number_is_kept(reports: Path, value: Any, kept: float) -> None:
    dagbook.log_metric("loss", value)
    dagbook.log_metrics({"same": value})
    assert values(reports) == {"loss": kept, "same": kept}


def test_nan_is_kept(reports: Path) -> None:
    dagbook.log_metric("loss", math.nan)
    dagbook.log_metric("loss", np.float32("nan"))
    assert [math.isnan(point.value) for point in read_all(reports)] == [True, True]


def test_a_tensor_of_a_graph_is_detached_first(reports: Path) -> None:
    class Tensor:
        ndim = 0
        dtype = "torch.float32"

        def detach(self) -> float:
            return 0.75

        def __float__(self) -> float:
            raise AssertionError("it warns when it is part of a graph")

    dagbook.log_metric("loss", Tensor())
    assert values(reports) == {"loss": 0.75}


def test_steps_and_times_are_kept(reports: Path) -> None:
    dagbook.log_metric("loss", 0.5, step=3)
    dagbook.log_metric("loss", 0.4, step=np.int64(4))
    dagbook.log_metric("loss", 0.3, step=5.0)  # type: ignore[arg-type]
    dagbook.log_metric("loss", 0.2)
    dagbook.log_metrics({"loss": 0.1, "accuracy": 0.9}, step=-1)
    points = read_all(reports)
    assert [point.step for point in points] == [3, 4, 5, None, -1, -1]
    times = [point.timestamp for point in points]
    assert times == sorted(times)
    assert times[-1] == pytest.approx(reports.stat().st_mtime, abs=60)


def test_a_line_is_what_the_runner_was_promised(reports: Path) -> None:
    dagbook.log_metric("loss", 0.1, step=3)
    dagbook.log_metric("loss", math.nan)
    first, second = map(json.loads, reports.read_text().splitlines())
    assert first == {"m": "loss", "v": "0.1", "s": 3, "t": first["t"]}
    assert second == {"m": "loss", "v": "nan", "s": None, "t": second["t"]}


def test_only_the_owner_can_read_the_file(reports: Path) -> None:
    dagbook.log_metric("loss", 0.1)
    assert reports.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "name", ["val/loss", "précision", "損失", 'a "quoted" name', "a b", "x" * 250, np.str_("loss")]
)
def test_any_printable_name_is_kept(reports: Path, name: str) -> None:
    dagbook.log_metric(name, 1.0)
    assert values(reports) == {name: 1.0}


# What is refused, in one line

NO_NUMBER = "must be a number (int, float, a numpy number, an array without dimensions), not"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (True, f"{NO_NUMBER} bool: report int(…) of it"),
        (np.bool_(True), f"{NO_NUMBER} numpy.bool: report int(…) of it"),
        (np.array(False), f"{NO_NUMBER} numpy.ndarray: report int(…) of it"),
        ("0.9", f"{NO_NUMBER} str"),
        (np.str_("0.9"), f"{NO_NUMBER} numpy.str_"),
        (b"1", f"{NO_NUMBER} bytes"),
        (None, f"{NO_NUMBER} None"),
        ([0.1], f"{NO_NUMBER} list"),
        (1j, f"{NO_NUMBER} complex"),
        (np.complex64(1), f"{NO_NUMBER} numpy.complex64"),
        (np.timedelta64(1, "s"), f"{NO_NUMBER} numpy.timedelta64"),
        (pd.Timestamp("2026-01-01"), f"{NO_NUMBER} pandas.Timestamp"),
        (pd.NA, f"{NO_NUMBER} pandas.NAType"),
        (
            np.zeros((2, 3)),
            "must be one number, not numpy.ndarray of shape 2×3: report its mean, "
            "or each value with its step",
        ),
        (
            pd.Series([1.0]),
            "must be one number, not pandas.Series of shape 1: report its mean, "
            "or each value with its step",
        ),
        (10**400, "is too large for a float: int"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.filterwarnings("error")
def test_what_is_no_number_is_refused(reports: Path, value: Any, reason: str) -> None:
    for log in (
        lambda: dagbook.log_metric("loss", value),
        lambda: dagbook.log_metrics({"loss": value}),
    ):
        with pytest.raises(DagbookError) as raised:
            log()
        assert str(raised.value) == f"metric `loss` {reason}"
    assert not reports.exists()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "must not be empty"),
        ("  ", "must not be empty"),
        (3, "must be text, not int"),
        (["loss"], "must be text, not list"),
        ("a\nb", r"must be printable text, not 'a\nb'"),
        ("a\ud800", r"must be printable text, not 'a\ud800'"),
        ("x" * 251, f"has at most 250 characters, `{'x' * 40}…` has 251"),
    ],
    ids=["empty", "blank", "int", "list", "newline", "surrogate", "long"],
)
def test_a_name_that_cannot_be_used_is_refused(reports: Path, name: Any, reason: str) -> None:
    with pytest.raises(DagbookError) as raised:
        dagbook.log_metric(name, 1.0)
    assert str(raised.value) == f"the name of a metric {reason}"
    assert not reports.exists()


@pytest.mark.parametrize(
    ("step", "shown"),
    [(True, "True"), (1.5, "1.5"), ("3", "str"), (2**63, str(2**63)), (math.nan, "nan")],
    ids=["bool", "fraction", "text", "too-large", "nan"],
)
def test_a_step_that_is_no_whole_number_is_refused(reports: Path, step: Any, shown: str) -> None:
    with pytest.raises(DagbookError) as raised:
        dagbook.log_metric("loss", 1.0, step=step)
    assert str(raised.value) == (
        f"the step of metric `loss` must be a whole number of 64 bits, not {shown}"
    )
    with pytest.raises(DagbookError) as raised:
        dagbook.log_metrics({"loss": 1.0}, step=step)
    assert str(raised.value) == f"the step must be a whole number of 64 bits, not {shown}"
    assert not reports.exists()


def test_several_are_reported_all_or_none(reports: Path) -> None:
    with pytest.raises(DagbookError):
        dagbook.log_metrics({"loss": 0.1, "accuracy": "high"})
    dagbook.log_metrics({})
    assert not reports.exists()


def test_log_metrics_takes_a_mapping_only(reports: Path) -> None:
    with pytest.raises(DagbookError) as raised:
        dagbook.log_metrics([("loss", 0.1)])  # type: ignore[arg-type]
    assert str(raised.value) == "log_metrics takes a dict of names and values, not list"


# Outside a run


def test_outside_a_run_reports_are_kept_in_memory_and_nothing_is_printed(
    capfd: pytest.CaptureFixture[str],
) -> None:
    dagbook.log_metric("loss", 0.1, step=3)
    dagbook.log_metrics({"accuracy": 1})
    assert [(p.name, p.value, p.step) for p in report.recorded()] == [
        ("loss", 0.1, 3),
        ("accuracy", 1.0, None),
    ]
    assert capfd.readouterr() == ("", "")


def test_outside_a_run_memory_does_not_grow_without_end() -> None:
    for step in range(report.MOST_RECORDED + 10):
        dagbook.log_metric("loss", 0.1, step)
    kept = report.recorded()
    assert len(kept) == report.MOST_RECORDED
    assert kept[-1].step == report.MOST_RECORDED + 9


def test_a_process_that_changes_runs_reports_to_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(RUN_FOLDER_VARIABLE, str(tmp_path / name))
        dagbook.log_metric(name, 1.0)
    assert values(tmp_path / "first" / "reports.jsonl") == {"first": 1.0}
    assert values(tmp_path / "second" / "reports.jsonl") == {"second": 1.0}


# Disks that fail


def test_a_folder_that_is_gone_warns_once_and_never_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(RUN_FOLDER_VARIABLE, str(tmp_path / "gone"))
    for step in range(3):
        dagbook.log_metric("loss", 0.1, step)
    assert capfd.readouterr().err == (
        "dagbook: measurements of this run cannot be stored (No such file or directory); "
        "the notebook goes on without them\n"
    )


def test_a_closed_stderr_does_not_turn_a_failing_disk_into_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(RUN_FOLDER_VARIABLE, str(tmp_path / "gone"))
    closed = (tmp_path / "stderr").open("w")
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    dagbook.log_metric("loss", 0.1)
    monkeypatch.setattr(report, "_has_warned", False)
    monkeypatch.setattr(sys, "stderr", None)
    dagbook.log_metric("loss", 0.1)


def test_a_line_torn_by_a_full_disk_costs_no_other_line(reports: Path) -> None:
    # A limit on the file's size cuts a write in the middle, as a full disk does.
    code = (
        "import dagbook, resource, signal\n"
        "dagbook.log_metric('before', 1)\n"
        "size = __import__('os').path.getsize(__import__('sys').argv[1])\n"
        "old = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, old[1]))\n"
        "dagbook.log_metric('torn', 2)\n"
        "dagbook.log_metric('lost', 3)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, old)\n"
        "dagbook.log_metric('after', 4)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(reports)], capture_output=True, text=True, check=True
    )
    assert values(reports) == {"before": 1.0, "after": 4.0}
    assert done.stderr == (
        "dagbook: measurements of this run cannot be stored (the disk is full); "
        "the notebook goes on without them\n"
    )


# Threads, processes, and what a notebook does to its own output


def test_reports_of_many_threads_do_not_mix(reports: Path) -> None:
    def work(number: int) -> None:
        for step in range(500):
            dagbook.log_metric(f"loss/{number}", step / 7, step)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    points = read_all(reports)
    assert len(points) == len(reports.read_text().splitlines()) == 8 * 500
    for number in range(8):
        steps = [point.step for point in points if point.name == f"loss/{number}"]
        assert steps == list(range(500))


def test_a_forked_child_that_closes_every_descriptor_still_reports(reports: Path) -> None:
    dagbook.log_metric("parent", 1.0)
    child = os.fork()
    if child == 0:
        try:
            os.closerange(3, 256)
            other = os.open(reports.parent / "other", os.O_RDWR | os.O_CREAT)
            dagbook.log_metric("child", 2.0)
            os._exit(os.fstat(other).st_size)
        finally:
            os._exit(99)
    assert os.waitpid(child, 0)[1] == 0
    assert values(reports) == {"parent": 1.0, "child": 2.0}


CELLS: dict[str, str] = {
    "plain": "import dagbook\ndagbook.log_metric('a', 1.5, step=2)",
    "capture": "%%capture\nimport dagbook\nprint('hidden')\ndagbook.log_metric('a', 1.5, step=2)",
    "clear_output": (
        "import dagbook\nfrom IPython.display import clear_output\nprint('early')\n"
        "dagbook.log_metric('a', 1.5, step=2)\nclear_output()"
    ),
    "redirected": (
        "import contextlib, dagbook, io\nwith contextlib.redirect_stdout(io.StringIO()):\n"
        "    dagbook.log_metric('a', 1.5, step=2)"
    ),
    "thread": (
        "import dagbook, threading\n"
        "t = threading.Thread(target=dagbook.log_metric, args=('a', 1.5, 2))\nt.start(); t.join()"
    ),
    "thread pool": (
        "import dagbook\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(2) as pool:\n"
        "    pool.submit(dagbook.log_metric, 'a', 1.5, 2).result()"
    ),
    "fork": (
        "import dagbook, multiprocessing\n"
        "p = multiprocessing.get_context('fork').Process("
        "target=dagbook.log_metric, args=('a', 1.5, 2))\np.start(); p.join()"
    ),
    "spawn": (
        "import dagbook, multiprocessing\n"
        "p = multiprocessing.get_context('spawn').Process("
        "target=dagbook.log_metric, args=('a', 1.5, 2))\np.start(); p.join()"
    ),
    "forkserver": (
        "import dagbook, multiprocessing\n"
        "p = multiprocessing.get_context('forkserver').Process("
        "target=dagbook.log_metric, args=('a', 1.5, 2))\np.start(); p.join()"
    ),
    "subprocess": (
        "import subprocess, sys\n_ = subprocess.run([sys.executable, '-c', "
        "\"import dagbook; dagbook.log_metric('a', 1.5, step=2)\"], check=True)"
    ),
    "async": (
        "import asyncio, dagbook\nasync def work():\n    dagbook.log_metric('a', 1.5, step=2)\n"
        "await work()"
    ),
}


@pytest.mark.parametrize("source", CELLS.values(), ids=CELLS.keys())
def test_a_report_from_a_notebook_arrives(reports: Path, source: str) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    NotebookClient(notebook, kernel_name="python3").execute()
    assert [(p.name, p.value, p.step) for p in read_all(reports)] == [("a", 1.5, 2)]
    assert notebook.cells[0].outputs == []


def test_a_hundred_thousand_reports_leave_the_notebook_as_it_is(
    reports: Path, tmp_path: Path
) -> None:
    source = (
        "import dagbook\nfor step in range(100_000):\n    dagbook.log_metric('loss', step, step)"
    )
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source)],
        metadata={"kernelspec": {"name": "python3", "display_name": "", "language": "python"}},
    )
    path = tmp_path / "loop.ipynb"
    nbformat.write(notebook, path)
    # Here, because papermill loads every registered engine as soon as it is imported.
    import papermill

    done = papermill.execute_notebook(path, None, progress_bar=False)
    assert done.cells[0].outputs == []
    points = read_all(reports)
    assert [point.step for point in points] == list(range(100_000))
    assert [point.value for point in points] == list(map(float, range(100_000)))


def test_a_refused_value_in_a_notebook_is_one_line(reports: Path) -> None:
    source = "import dagbook\ndagbook.log_metric('accuracy', '0.9')"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    NotebookClient(notebook, kernel_name="python3", allow_errors=True).execute()
    (error,) = notebook.cells[0].outputs
    assert error["traceback"] == [f"DagbookError: metric `accuracy` {NO_NUMBER} str"]


# Reading while the notebook writes


def test_a_line_still_being_written_is_left_for_the_next_call(reports: Path) -> None:
    assert read_reports(reports) == ([], 0)
    dagbook.log_metric("first", 1.0)
    whole = reports.read_bytes()
    dagbook.log_metric("second", 2.0)
    everything = reports.read_bytes()
    reports.write_bytes(everything[:-10])
    points, offset = read_reports(reports)
    assert ([p.name for p in points], offset) == (["first"], len(whole))
    assert read_reports(reports, offset) == ([], offset)
    reports.write_bytes(everything)
    points, offset = read_reports(reports, offset)
    assert ([p.name for p in points], offset) == (["second"], len(everything))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"nonsense \xff",
        b"[]",
        b"null",
        b'"m"',
        b"{}",
        b'{"m": "", "v": "1", "s": null, "t": 1}',
        b'{"m": "x", "v": 1, "s": null, "t": 1}',
        b'{"m": "x", "v": "one", "s": null, "t": 1}',
        b'{"m": "x", "v": "1", "s": true, "t": 1}',
        b'{"m": "x", "v": "1", "s": 1.5, "t": 1}',
        b'{"m": "x", "v": "1", "s": null, "t": "now"}',
        b'{"m": "x", "v": "1", "s": null, "t": Infinity}',
        b"[" * 100_000,
    ],
    ids=lambda line: line[:40].decode("ascii", "replace"),
)
def test_a_line_that_is_no_report_is_skipped(reports: Path, line: bytes) -> None:
    dagbook.log_metric("before", 1.0)
    with reports.open("ab") as file:
        file.write(line + b"\n")
    dagbook.log_metric("after", 2.0)
    assert values(reports) == {"before": 1.0, "after": 2.0}


def test_a_line_without_end_does_not_stop_the_others(reports: Path) -> None:
    with reports.open("wb") as file:
        file.write(b"x" * (2 * MOST_READ + 5) + b"\n")
    dagbook.log_metric("after", 2.0)
    assert values(reports) == {"after": 2.0}


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_link(path: Path) -> None:
    target = path.with_name("elsewhere")
    target.write_text('{"m": "x", "v": "1", "s": null, "t": 1}\n')
    path.symlink_to(target)


@pytest.mark.parametrize("make", [make_fifo, make_link, Path.mkdir])
def test_what_is_no_plain_file_is_not_read(reports: Path, make: Callable[[Path], None]) -> None:
    make(reports)
    assert read_reports(reports) == ([], 0)
