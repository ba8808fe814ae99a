"""An ipykernel is asked to drop no output, in words it still understands."""

from __future__ import annotations

import time

from tests.components.execution.conftest import code_cells, text_of

from dagbook.execution import MetricsReported, RunStatus, messages, run_notebook
from dagbook.execution.collector import OutputCollector


def test_the_kernel_keeps_what_its_reader_has_not_taken_yet(make_notebook):
    """It fails when ipykernel names its threads and sockets otherwise."""
    result = run_notebook(
        make_notebook(
            "import zmq\n"
            "get_ipython().kernel.iopub_thread.socket.getsockopt(zmq.SNDHWM), get_ipython().kernel.iopub_thread.socket.getsockopt(zmq.TYPE) in (zmq.PUB, zmq.XPUB)"
        )
    )
    [cell] = code_cells(result.executed_notebook)
    assert text_of(cell.outputs) == "(0, True)"
    # Being asked has left no trace.
    assert cell.execution_count == 1


def test_no_line_is_lost_while_a_listener_takes_its_time(make_notebook):
    def listen(event):
        if isinstance(event, MetricsReported):
            time.sleep(2)

    result = run_notebook(
        make_notebook(
            "import dagbook\ndagbook.log_metric('a', 1)\n"
            "for i in range(12_000):\n    print(i, flush=True)"
        ),
        on_event=listen,
    )
    assert result.status is RunStatus.SUCCEEDED, result.reason
    shown = code_cells(result.executed_notebook)[0].outputs[0].text
    assert shown == "".join(f"{number}\n" for number in range(12_000))


def slow_reader(monkeypatch):
    """Read less quickly than a kernel writes, as on a busy machine."""
    take = OutputCollector.take

    def slowly(self, position, message):
        time.sleep(0.001)
        take(self, position, message)

    monkeypatch.setattr(OutputCollector, "take", slowly)


def test_what_is_still_to_be_read_when_a_cell_ends_is_read(make_notebook, monkeypatch):
    slow_reader(monkeypatch)
    monkeypatch.setattr(messages, "UNDROPPED_SECONDS", 1.5)
    result = run_notebook(
        make_notebook("for i in range(4000):\n    print(i, flush=True)", "print('after')")
    )
    cells = code_cells(result.executed_notebook)
    assert text_of(cells[0].outputs) == "".join(f"{number}\n" for number in range(4000))
    assert text_of(cells[1].outputs) == "after\n"


def test_what_is_still_to_be_read_of_a_kernel_that_died_is_read(make_notebook, monkeypatch):
    slow_reader(monkeypatch)
    result = run_notebook(
        make_notebook(
            "import os, time\nfor i in range(800):\n    print(i, flush=True)\n"
            "time.sleep(0.2)\nos._exit(1)"
        )
    )
    assert result.status is RunStatus.KILLED
    shown = text_of(code_cells(result.executed_notebook)[0].outputs)
    assert shown == "".join(f"{number}\n" for number in range(800))
