"""How runs end that do not succeed: each truthfully, with what they had, leaving nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import nbformat
import psutil
import pytest
from tests.components.execution.conftest import code_cells, text_of

from dagbook.errors import DagbookError
from dagbook.execution import (
    Cause,
    CellStarted,
    CellStatus,
    ExecutionResult,
    Resources,
    RunStatus,
    run_notebook,
)
from dagbook.execution.clock import RunBudget
from dagbook.execution.recovery import recover_runs
from dagbook.execution.stored_notebook import banner
from dagbook.policy import Size

SMALL_MEMORY = Size("tiny", cpus=2, memory_bytes=300 * 1024**2, max_runtime_seconds=60)
SHORT = Size("short", cpus=2, memory_bytes=4 * 1024**3, max_runtime_seconds=8, grace_seconds=2)


def statuses(result) -> list[str]:
    return [str(cell.status) for cell in result.cells]


def banner_of(path: Path) -> tuple[int, str]:
    """Position and text of the banner at the cell the run ended in."""
    cells = nbformat.read(path, as_version=4).cells
    return next((i, c.source) for i, c in enumerate(cells) if c.id == "dagbook-banner")


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def variable_of(process: psutil.Process, name: str) -> str | None:
    try:
        return process.environ().get(name)
    except psutil.Error:
        return None


def wait_for(condition, seconds: float = 15.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError("it did not come about in time")


def test_a_failed_cell_leaves_a_banner_above_it_and_later_cells_not_run(make_notebook):
    result = run_notebook(make_notebook("print('kept')", "{}['tenure']", "print('never')"))
    assert result.status is RunStatus.FAILED
    assert result.reason == "KeyError: 'tenure' in cell 2"
    assert result.failed_cell.error.name == "KeyError"
    assert statuses(result) == ["completed", "failed", "not_run"]
    assert result.executed_notebook.name.endswith("-failed.ipynb")
    position, banner = banner_of(result.executed_notebook)
    cells = nbformat.read(result.executed_notebook, as_version=4).cells
    assert cells[position + 1].source == "{}['tenure']"
    assert "KeyError: 'tenure' in cell 2" in banner
    assert "1 cell below did not run." in banner
    assert cells[0].source.startswith("**✕ Failed:** KeyError")
    code = code_cells(result.executed_notebook)
    assert text_of(code[0].outputs) == "kept\n"
    assert code[2].metadata.dagbook.status == "not_run"
    assert code[2].metadata.papermill.status == "not_run"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "kernel killed (signal 9)"),
        ("import ctypes\nctypes.string_at(0)", "kernel killed (signal 11)"),
        ("import os\nos._exit(7)", "kernel ended by itself (exit code 7)"),
    ],
    ids=["sigkill", "segfault", "os._exit"],
)
def test_a_dead_kernel_is_told_with_its_cell_and_output_is_kept(make_notebook, code, reason):
    result = run_notebook(
        make_notebook(
            "print('before')",
            f"print('last', flush=True)\nimport time\ntime.sleep(0.3)\n{code}",
            "1",
        )
    )
    assert result.status is RunStatus.KILLED
    assert result.reason == f"{reason} in cell 2"
    assert statuses(result) == ["completed", "killed", "not_run"]
    cells = code_cells(result.executed_notebook)
    assert text_of(cells[0].outputs) == "before\n"
    assert text_of(cells[1].outputs) == "last\n"


@pytest.mark.parametrize(
    "code",
    [
        "hoard = [bytearray(20_000_000) for _ in range(100) if not __import__('time').sleep(0.02)]",
        "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'import time\\n"
        "hoard = [bytearray(20_000_000) for _ in range(100) if not time.sleep(0.02)]'])",
    ],
    ids=["kernel", "child"],
)
def test_more_memory_than_the_size_ends_the_run_and_says_so(make_notebook, code):
    result = run_notebook(make_notebook(code, "1"), size=SMALL_MEMORY)
    assert result.status is RunStatus.KILLED
    assert result.reason.startswith("exceeded 300 MiB of size tiny, peak ")
    assert statuses(result) == ["killed", "not_run"]
    assert result.resources.limit_bytes == 300 * 1024**2
    assert result.cause is Cause.MEMORY
    _, banner = banner_of(result.executed_notebook)
    assert "Next size up: small" in banner


@pytest.mark.parametrize(
    ("cause", "seconds", "advice"),
    [
        pytest.param(Cause.MEMORY, 5, True, id="memory"),
        pytest.param(Cause.TIME, 60.2, True, id="the size's time"),
        pytest.param(Cause.TIME, 5, False, id="a time of its own"),
        pytest.param(Cause.KERNEL, 5, False, id="killed by another"),
    ],
)
def test_a_larger_size_is_named_where_it_would_help_and_nowhere_else(cause, seconds, advice):
    used = Resources(peak_memory_bytes=400 * 1024**2, limit_bytes=300 * 1024**2)
    result = ExecutionResult(
        RunStatus.KILLED, "it ended", resources=used, cause=cause, duration_seconds=seconds
    )
    assert ("Next size up: small" in banner(result, SMALL_MEMORY)) == advice


@pytest.mark.parametrize(
    "code",
    [
        "import time\ntime.sleep(60)",
        "import time\nwhile True:\n    try:\n        time.sleep(60)\n    except KeyboardInterrupt:\n        pass",
        "import signal, time\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])\ntime.sleep(60)",
    ],
    ids=["sleeping", "swallowing-interrupts", "blocking-sigint"],
)
def test_a_cell_over_its_time_is_ended_whatever_it_does_with_the_interrupt(make_notebook, code):
    result = run_notebook(
        make_notebook(f"print('on', flush=True)\n{code}", "1"),
        size=replace(SHORT, max_runtime_seconds=600),
        cell_timeout=1,
    )
    assert result.status is RunStatus.TIMED_OUT
    assert result.reason == "cell 1 ended after 1 s, the limit per cell"
    assert statuses(result) == ["timed_out", "not_run"]
    assert text_of(code_cells(result.executed_notebook)[0].outputs).startswith("on\n")


def test_a_run_over_its_time_is_ended_and_told(make_notebook):
    result = run_notebook(make_notebook("import time\ntime.sleep(60)", "1"), size=SHORT)
    assert result.status is RunStatus.TIMED_OUT
    assert result.cause is Cause.TIME
    assert result.reason == "ended after 8 s, the limit of size short"
    assert statuses(result)[1:] == ["not_run"]


def test_a_run_at_its_budget_ends_like_one_that_is_out_of_time(make_notebook):
    budget = RunBudget(4.0, "budget of 5.00 USD per run reached")
    result = run_notebook(make_notebook("import time\ntime.sleep(60)", "1"), budget=budget)
    assert result.status is RunStatus.TIMED_OUT
    assert result.cause is Cause.BUDGET
    assert result.reason == "ended after 4 s, budget of 5.00 USD per run reached"
    assert statuses(result)[1:] == ["not_run"]
    assert "budget of 5.00 USD per run reached" in banner_of(result.executed_notebook)[1]


def test_a_budget_that_buys_more_than_the_run_has_ends_nothing(make_notebook):
    budget = RunBudget(600.0, "budget of 5.00 USD per run reached")
    result = run_notebook(make_notebook("import time\ntime.sleep(60)"), timeout=4, budget=budget)
    assert result.cause is Cause.TIME
    assert result.reason == "ended after 4 s, the limit of this run"


def test_a_kernel_that_does_not_answer_has_no_more_time_than_the_run(make_notebook, install_kernel):
    install_kernel("mute", "import time\ntime.sleep(300)")
    result = run_notebook(make_notebook("1"), kernel="mute", timeout=2)
    assert result.status is RunStatus.TIMED_OUT
    assert result.cause is Cause.TIME
    assert result.reason == "ended after 2 s, the limit of this run"
    assert statuses(result) == ["not_run"]
    assert "Timed out" in banner_of(result.executed_notebook)[1]


def test_a_timeout_below_the_sizes_is_the_runs_own(make_notebook):
    result = run_notebook(make_notebook("import time\ntime.sleep(60)"), timeout=1.5)
    assert result.reason == "ended after 1.5 s, the limit of this run"


def test_a_cell_over_its_time_shows_where_it_was(make_notebook):
    result = run_notebook(
        make_notebook("1", "import time\ndef slow():\n    time.sleep(60)\nslow()"), cell_timeout=1
    )
    assert result.status is RunStatus.TIMED_OUT
    assert result.reason == "cell 2 ended after 1 s, the limit per cell"
    error = code_cells(result.executed_notebook)[1].outputs[0]
    assert error.ename == "KeyboardInterrupt"
    assert "slow" in "".join(error.traceback)


def test_a_termination_stores_the_notebook_as_cancelled(make_notebook):
    path = make_notebook(
        "print('kept')", "import time\nprint('began', flush=True)\ntime.sleep(60)", "1"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "dagbook", "run", str(path), "--json"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    running = wait_for(lambda: [*path.parent.glob("runs/notebook/.*.running/journal.jsonl")])[0]
    wait_for(lambda: '"stdout","began' in running.read_text("utf-8"))
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=20)
    told = json.loads(out)
    assert process.returncode == 130
    assert told["status"] == "cancelled"
    assert told["reason"] == "cancelled in cell 2"
    assert [cell["status"] for cell in told["cells"]] == ["completed", "cancelled", "not_run"]
    cells = code_cells(Path(told["executed_notebook"]))
    assert text_of(cells[1].outputs) == "began\n"
    assert not running.parent.exists()


def test_what_the_author_registered_for_the_kernels_exit_is_carried_out(make_notebook, tmp_path):
    mark = tmp_path / "mark"
    result = run_notebook(
        make_notebook(
            "import atexit, pathlib, time\n"
            f"atexit.register(lambda: (time.sleep(0.5), pathlib.Path({str(mark)!r}).touch()))"
        )
    )
    assert result.status is RunStatus.SUCCEEDED
    assert mark.exists()


def test_a_kernel_that_hangs_after_it_has_closed_does_not_hold_the_run(
    make_notebook, install_kernel, monkeypatch
):
    monkeypatch.setattr("dagbook.execution.run.EXIT_SECONDS", 3600.0)
    install_kernel(
        "hanging",
        "import time, ipykernel.kernelapp as app\n"
        "close = app.IPKernelApp.close\n"
        "app.IPKernelApp.close = lambda self: (close(self), time.sleep(3600))\n"
        "app.launch_new_instance()",
    )
    result = run_notebook(make_notebook("print(1)"), kernel="hanging")
    assert result.status is RunStatus.SUCCEEDED
    assert [str(cell.status) for cell in result.cells] == ["completed"]


def test_a_kernel_that_still_works_after_it_has_closed_may_finish(
    make_notebook, install_kernel, tmp_path
):
    mark = tmp_path / "mark"
    install_kernel(
        "busy",
        "import pathlib, time, ipykernel.kernelapp as app\n"
        "def work():\n"
        "    end = time.monotonic() + 1\n"
        "    while time.monotonic() < end: pass\n"
        f"    pathlib.Path({str(mark)!r}).touch()\n"
        "close = app.IPKernelApp.close\n"
        "app.IPKernelApp.close = lambda self: (close(self), work())\n"
        "app.launch_new_instance()",
    )
    assert run_notebook(make_notebook("print(1)"), kernel="busy").status is RunStatus.SUCCEEDED
    assert mark.exists()


def test_no_process_outlives_a_run_however_it_hid(make_notebook, tmp_path):
    pids = tmp_path / "pids"
    code = (
        "import os, sys, time\n"
        "for hide in (False, True):\n"
        "    if os.fork() == 0:\n"
        "        if hide:\n"
        "            os.setsid()\n"
        "            if os.fork(): os._exit(0)\n"
        # Not its number, which may be one of a namespace.
        f"        open({str(pids)!r}, 'a').write('started\\n')\n"
        "        time.sleep(300)\n"
        "        os._exit(0)\n"
        "time.sleep(0.5)"
    )
    result = run_notebook(make_notebook(code), environment={"TRIAL": str(tmp_path)})
    assert result.status is RunStatus.SUCCEEDED, result.reason
    assert pids.read_text("utf-8") == "started\nstarted\n"
    assert [p for p in psutil.process_iter() if variable_of(p, "TRIAL") == str(tmp_path)] == []


def test_a_killed_runner_leaves_no_process_and_its_outputs_are_recovered(make_notebook, tmp_path):
    path = make_notebook(
        "print('finished')",
        "import os, time, subprocess\n"
        "subprocess.Popen(['sleep', '300'], start_new_session=True)\n"
        "print('kernel', os.getpid(), flush=True)\ntime.sleep(300)",
        "1",
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "dagbook", "run", str(path)], stdout=subprocess.DEVNULL
    )
    running = wait_for(lambda: [*path.parent.glob("runs/notebook/.*.running/journal.jsonl")])[0]
    wait_for(lambda: '"stdout","kernel' in running.read_text("utf-8"))
    tree = psutil.Process(process.pid).children(recursive=True)
    assert len(tree) >= 3  # guardian, kernel, sleep
    process.kill()
    process.wait()
    wait_for(lambda: not [p for p in tree if alive(p.pid)], 10)

    again = run_notebook(make_notebook("2", name="notebook.ipynb"))
    assert again.status is RunStatus.SUCCEEDED
    recovered = next((path.parent / "runs" / "notebook").glob("*-killed.ipynb"))
    cells = code_cells(recovered)
    assert text_of(cells[0].outputs) == "finished\n"
    assert text_of(cells[1].outputs).startswith("kernel ")
    assert [c.metadata.dagbook.status for c in cells] == ["completed", "killed", "not_run"]
    told = nbformat.read(recovered, as_version=4).metadata.dagbook
    assert told.reason == "the runner vanished in cell 2: killed, or its machine stopped"
    assert not running.parent.exists()


def test_what_cells_had_put_out_survives_an_error_of_the_caller(make_notebook):
    path = make_notebook("print('kept')", "print('second')")

    def fails_at_the_second_cell(event):
        if isinstance(event, CellStarted) and event.number == 2:
            raise RuntimeError("the log is full")

    with pytest.raises(RuntimeError, match="the log is full"):
        run_notebook(path, on_event=fails_at_the_second_cell)
    run_notebook(path)
    recovered = next((path.parent / "runs" / "notebook").glob("*-killed.ipynb"))
    assert text_of(code_cells(recovered)[0].outputs) == "kept\n"
    told = nbformat.read(recovered, as_version=4).metadata.dagbook
    assert told.reason == "the runner failed: RuntimeError: the log is full"


def test_two_runs_never_write_one_file(make_notebook, tmp_path):
    output = tmp_path / "out.ipynb"
    refused = []

    def second(event):
        if isinstance(event, CellStarted):
            with pytest.raises(DagbookError) as error:
                run_notebook(make_notebook("1", name="other.ipynb"), output=output)
            refused.append(str(error.value))

    result = run_notebook(make_notebook("print('first')"), output=output, on_event=second)
    assert result.executed_notebook == output
    assert refused == [
        f"{output}: another run is writing it now. Wait for it, or choose another name."
    ]
    assert text_of(code_cells(output)[0].outputs) == "first\n"


def test_runs_of_one_second_get_names_of_their_own(make_notebook, tmp_path):
    path = make_notebook("1")
    places = {run_notebook(path, output_folder=tmp_path / "r").executed_notebook for _ in range(3)}
    assert len(places) == 3


def test_an_output_is_replaced_only_when_the_new_one_is_whole(make_notebook, tmp_path):
    output = tmp_path / "out.ipynb"
    run_notebook(make_notebook("print('old')"), output=output)
    seen = []
    run_notebook(
        make_notebook("print('new')"),
        output=output,
        on_event=lambda _: seen.append(text_of(code_cells(output)[0].outputs)),
    )
    assert set(seen) == {"old\n"}
    assert text_of(code_cells(output)[0].outputs) == "new\n"


def test_a_notebook_that_cannot_be_stored_fails_the_run_and_is_made_at_the_next_look(
    make_notebook, tmp_path
):
    folder, aside = tmp_path / "out", tmp_path / "aside"
    block = (
        f"import os\nos.rename({str(folder)!r}, {str(aside)!r})\nopen({str(folder)!r}, 'w').close()"
    )
    result = run_notebook(
        make_notebook("print('before')", block, "print('after')"), output=folder / "out.ipynb"
    )
    assert result.status is RunStatus.FAILED
    assert result.executed_notebook is None
    assert statuses(result) == ["completed"] * 3
    assert result.reason == (
        f"{folder / 'out.ipynb'}: the executed notebook cannot be written (File exists). What "
        f"happened is kept in {folder / '.out.running'}; the next run there makes a notebook of it."
    )
    assert recover_runs(aside) == [aside / "out.ipynb"]
    cells = code_cells(aside / "out.ipynb")
    assert [text_of(cell.outputs) for cell in cells] == ["before\n", "", "after\n"]
    told = nbformat.read(aside / "out.ipynb", as_version=4).metadata.dagbook
    assert (told.status, told.reason) == ("failed", result.reason)


def test_a_folder_removed_while_a_run_writes_there_costs_it_nothing(make_notebook, tmp_path):
    folder = tmp_path / "out"
    remove = f"import shutil\nshutil.rmtree({str(folder)!r})\nprint('removed')"
    result = run_notebook(make_notebook(remove, "print('after')"), output=folder / "out.ipynb")
    assert result.status is RunStatus.SUCCEEDED, result.reason
    shown = [text_of(cell.outputs) for cell in code_cells(folder / "out.ipynb")]
    assert shown == ["removed\n", "after\n"]
    assert [path.name for path in folder.iterdir()] == ["out.ipynb"]


def test_an_unwritable_place_is_told_before_the_kernel_starts(make_notebook, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("", "utf-8")
    with pytest.raises(DagbookError) as refused:
        run_notebook(make_notebook("1"), output_folder=blocked / "runs")
    assert str(refused.value) == (
        f"{blocked / 'runs'}: executed notebooks cannot be written there (Not a directory). "
        "Mend that, or choose another place."
    )


def test_a_kernel_that_cannot_start_is_one_clear_line(make_notebook, tmp_path, monkeypatch):
    folder = tmp_path / "jupyter" / "kernels" / "broken"
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(
        json.dumps({"argv": ["no-such-program", "{connection_file}"], "language": "python"}),
        "utf-8",
    )
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    with pytest.raises(DagbookError) as refused:
        run_notebook(make_notebook("1"), kernel="broken")
    assert str(refused.value) == (
        "kernel 'broken' ended while starting (exit code 127): "
        "cannot start no-such-program: No such file or directory"
    )
    assert [*(tmp_path / "runs" / "notebook").iterdir()] == []


def test_nothing_is_left_in_the_temporary_folder(make_notebook, tmp_path_factory, monkeypatch):
    import tempfile

    scratch = tmp_path_factory.mktemp("tmp")  # its name is short enough for a socket
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    where = "from ipykernel import get_connection_file\nprint(get_connection_file())"
    result = run_notebook(make_notebook(where))
    assert str(scratch) in text_of(code_cells(result.executed_notebook)[0].outputs)
    run_notebook(make_notebook("import os\nos._exit(1)"))
    assert [*scratch.iterdir()] == []


def test_the_runner_is_not_held_up_by_a_pipe_a_grandchild_keeps_open(make_notebook):
    # A child that inherited the kernel's standard output must not keep us waiting for its end.
    result = run_notebook(
        make_notebook("import subprocess\n_ = subprocess.Popen(['sleep', '300'])")
    )
    assert result.status is RunStatus.SUCCEEDED
    assert result.cells[0].status is CellStatus.COMPLETED


def test_a_kernel_is_not_our_child_and_is_reaped(make_notebook):
    before = set(psutil.Process(os.getpid()).children(recursive=True))
    run_notebook(make_notebook("1"))
    assert set(psutil.Process(os.getpid()).children(recursive=True)) <= before
