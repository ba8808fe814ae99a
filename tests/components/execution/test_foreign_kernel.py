"""A kernel that papermill starts is ended in time, with everything it started."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import papermill
import psutil
import pytest

from dagbook.execution import RunStatus
from dagbook.execution.foreign_kernel import MARK, ForeignKernelWatch
from dagbook.execution.papermill_errors import interruption_in, verdict_of
from dagbook.policy import Size

SIZE = Size("tiny", cpus=2, memory_bytes=300 * 1024**2, max_runtime_seconds=60, grace_seconds=2)

CHILD = "import subprocess; subprocess.Popen(['sleep', '300'], start_new_session=True)"
STUBBORN = "import time\nwhile True:\n    try: time.sleep(1)\n    except KeyboardInterrupt: pass"


def watch_of(seconds: float) -> ForeignKernelWatch:
    return ForeignKernelWatch(SIZE, seconds, "the limit of this run", {"GIVEN": "yes"})


def run(path: Path, seconds: float = 60.0) -> tuple[ForeignKernelWatch, BaseException | None]:
    watch = watch_of(seconds)
    try:
        with watch:
            papermill.execute_notebook(path, path.with_name("out.ipynb"), progress_bar=False)
    except BaseException as error:
        return watch, error
    return watch, None


def left_over(watch: ForeignKernelWatch) -> list[int]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == watch._mark:
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def test_a_run_within_its_limits_is_measured_and_leaves_nothing_behind(make_notebook):
    path = make_notebook(
        CHILD, "import os, time\nassert os.environ['GIVEN'] == 'yes'\ntime.sleep(1)"
    )

    watch, error = run(path)

    assert error is None
    assert watch.status is None
    assert watch.measured().peak_memory_bytes > 10 * 1024**2
    assert watch.measured().cpu_seconds > 0
    assert watch.measured().enforced_by == "sampling"
    assert left_over(watch) == []
    assert MARK not in os.environ
    assert "GIVEN" not in os.environ


def test_a_cell_that_swallows_the_interrupt_is_killed_with_its_children(make_notebook):
    watch, error = run(make_notebook(CHILD, STUBBORN), seconds=3)

    assert watch.status is RunStatus.TIMED_OUT
    assert watch.reason == "ended after 3 s, the limit of this run"
    assert verdict_of(error) == (RunStatus.KILLED, "kernel killed")
    assert left_over(watch) == []


def test_more_memory_than_the_size_has_ends_the_kernel(make_notebook):
    code = "import time\nheld = []\nwhile True:\n    held.append(b'x' * 2**24); time.sleep(.02)"

    watch, error = run(make_notebook(code))

    assert error is not None
    assert watch.status is RunStatus.KILLED
    assert watch.reason.startswith("exceeded 300 MiB of size tiny, peak ")
    assert left_over(watch) == []


def test_a_signal_ends_the_kernel_and_a_second_one_interrupts(make_notebook):
    class Cancelled(BaseException):
        pass

    def cancel(*_: object) -> None:
        raise Cancelled

    before = signal.signal(signal.SIGTERM, cancel)
    try:
        threading.Timer(3, os.kill, (os.getpid(), signal.SIGTERM)).start()
        watch, error = run(make_notebook(STUBBORN))
        assert signal.getsignal(signal.SIGTERM) is cancel
        assert watch.cancelled
        assert watch.status is None
        assert verdict_of(error) == (RunStatus.KILLED, "kernel killed")
        assert interruption_in(error) is None
        with watch_of(60) as again, pytest.raises(Cancelled):
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)
        assert again.cancelled
    finally:
        signal.signal(signal.SIGTERM, before)
    assert left_over(watch) == []


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("1 / 0", (RunStatus.FAILED, "ZeroDivisionError: division by zero in cell 2")),
        ("import os\nos._exit(3)", (RunStatus.KILLED, "kernel killed")),
    ],
    ids=["error", "exit"],
)
def test_the_reason_is_taken_from_papermills_error(make_notebook, code, verdict):
    _, error = run(make_notebook("1", code))

    assert error is not None
    assert verdict_of(error) == verdict
    assert interruption_in(error) is None
