"""An ipykernel is asked to drop no output, in words it still understands."""

from __future__ import annotations

import time

from tests.components.execution.conftest import code_cells, text_of

from dagbook.execution import MetricsReported, RunStatus, run_notebook


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
