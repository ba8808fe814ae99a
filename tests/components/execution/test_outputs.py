"""What is kept of a cell's output: all of a little, both ends of a lot."""

from __future__ import annotations

import json
import random

import pytest
from tests.components.execution.conftest import code_cells, text_of

from dagbook.execution import OutputLimits, RunStatus, run_notebook
from dagbook.execution.outputs import MOST_OUTPUTS, CellOutputs
from dagbook.execution.overwritten_text import collapse_overwritten


def display(text: str) -> dict:
    return {"output_type": "display_data", "data": {"text/plain": text}, "metadata": {}}


def test_consecutive_pieces_of_one_stream_are_one_output():
    outputs = CellOutputs(1000)
    for piece in ("a\n", "b\n"):
        outputs.add_stream("stdout", piece)
    outputs.add_stream("stderr", "c\n")
    outputs.add_stream("stdout", "d\n")
    assert [(o["name"], o["text"]) for o in outputs.finished()] == [
        ("stdout", "a\nb\n"),
        ("stderr", "c\n"),
        ("stdout", "d\n"),
    ]


def test_below_the_cap_nothing_is_lost_whatever_the_order():
    chance = random.Random(7)
    for _ in range(200):
        outputs, written = CellOutputs(1000), ""
        while len(written) < 900:
            piece = "x" * chance.randrange(1, 60) + "\n"
            name = chance.choice(["stdout", "stderr"])
            outputs.add_stream(name, piece)
            written += piece
        kept = "".join(o["text"] for o in outputs.finished())
        if len(written) <= 1000:
            assert kept == written
            assert outputs.left_out_bytes == 0


def test_over_the_cap_head_and_tail_stay_and_the_rest_is_counted():
    outputs = CellOutputs(1000)
    for number in range(1000):
        outputs.add_stream("stdout", f"line {number:04d}\n")
    finished = outputs.finished()
    text = "".join(o["text"] for o in finished)
    assert text.startswith("line 0000\n")
    assert text.endswith("line 0999\n")
    assert outputs.left_out_bytes == 9000
    assert "[dagbook left out 9,000 bytes here: a cell keeps 1,000 bytes of output]" in text


def test_one_output_over_the_cap_is_named_and_left_out():
    outputs = CellOutputs(1000)
    outputs.add(display("x" * 5000))
    assert outputs.finished()[0]["data"]["text/plain"] == (
        "[dagbook left out an output of 5,000 bytes (text/plain): "
        "a cell keeps 1,000 bytes of output]"
    )


@pytest.mark.parametrize("before", ["", "a line first\n"])
def test_one_output_up_to_the_cap_is_kept(before):
    outputs = CellOutputs(1000)
    outputs.add_stream("stdout", before)
    outputs.add(display("x" * 980))
    assert display("x" * 980) in outputs.finished()
    assert outputs.left_out_bytes == 0
    outputs.add_stream("stdout", "y" * 500)
    assert outputs.finished()[-1]["text"].endswith("y")


def test_an_error_is_kept_however_full_the_cell_is():
    outputs = CellOutputs(1000)
    outputs.add_stream("stdout", "x" * 5000)
    error = {"output_type": "error", "ename": "E", "evalue": "why", "traceback": ["t"]}
    outputs.add(error)
    outputs.add_stream("stdout", "y" * 5000)
    assert error in outputs.finished()


def test_a_huge_error_message_keeps_both_ends():
    outputs = CellOutputs(40_000)
    outputs.add(
        {"output_type": "error", "ename": "E", "evalue": "a" * 90_000 + "z", "traceback": ["t"]}
    )
    evalue = outputs.finished()[0]["evalue"]
    assert len(evalue) < 30_000
    assert evalue.startswith("a")
    assert evalue.endswith("z")


def test_clearing_waits_for_the_next_output_when_asked_to():
    outputs = CellOutputs(1000)
    outputs.add(display("first"))
    outputs.clear(wait=True)
    assert outputs.finished() == [display("first")]
    outputs.add(display("second"))
    assert outputs.finished() == [display("second")]
    outputs.clear(wait=False)
    assert outputs.finished() == []


def test_an_updated_display_changes_where_it_stands():
    outputs = CellOutputs(1000)
    outputs.add(display("0 %"), display_id="bar")
    outputs.add(display("else"))
    outputs.update_display("bar", display("100 %"))
    assert outputs.finished() == [display("100 %"), display("else")]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("10%\r20%\r100%\n", "100%\n"),
        ("windows\r\nline\r\n", "windows\nline\n"),
        ("ab\x08c", "ac"),
        ("kept\nold\rnew", "kept\nnew"),
        ("bar 5/5\r", "bar 5/5\r"),
        ("1\r2\r\r3\r\n", "3\n"),
        ("abc\x08\x08\x08\x08d", "d"),
        ("kept\n\x08\x08", "kept\n"),
    ],
)
def test_a_progress_bar_keeps_what_a_terminal_would_show(text, shown):
    assert collapse_overwritten(text) == shown


def test_a_megabyte_without_the_end_of_a_line_is_looked_over_once():
    assert collapse_overwritten("a\r" + "x" * 1_000_000) == "x" * 1_000_000
    assert collapse_overwritten("x" * 500_000 + "\x08" * 400_000) == "x" * 100_000


def test_a_cell_keeps_only_so_many_outputs_however_little_is_in_each():
    outputs = CellOutputs(1_000_000)
    for number in range(30_000):
        outputs.add(display(str(number)), display_id=f"d{number}")
        outputs.add_stream(("stdout", "stderr")[number % 2], "x")
    finished = outputs.finished()
    assert len(finished) <= MOST_OUTPUTS + 1
    assert finished[0] == display("0")
    assert finished[-2:-1] == [display("29999")]
    # What is forgotten is forgotten altogether.
    assert sum(outputs.shows(f"d{number}") for number in range(30_000)) <= MOST_OUTPUTS


def test_after_a_shown_error_output_is_capped_as_before_it():
    outputs = CellOutputs(1000)
    outputs.add_stream("stdout", "x" * 5000)
    errors = [
        {"output_type": "error", "ename": "E", "evalue": str(n), "traceback": ["t" * 90]}
        for n in range(100)
    ]
    for error in errors:
        outputs.add(error)
        outputs.add_stream("stdout", "y" * 5000)
    assert errors[-1] in outputs.finished()
    assert outputs.size < 3000


def test_what_comes_after_a_large_error_is_kept_too():
    outputs = CellOutputs(100_000)
    outputs.add_stream("stdout", "x" * 100_000)
    outputs.add({"output_type": "error", "ename": "E", "evalue": "", "traceback": ["t" * 200_000]})
    outputs.add_stream("stdout", "y" * 500_000)
    outputs.add_stream("stdout", "the last words")
    finished = outputs.finished()
    assert finished[-1]["text"].endswith("yyythe last words")
    assert len(finished[-1]["text"]) >= 100_000 // 8
    assert [o for o in finished if o["output_type"] == "error"]
    assert outputs.size < 160_000


def test_updates_of_a_display_keep_within_the_cap():
    outputs = CellOutputs(1000)
    for number in range(5):
        outputs.add(display("small"), display_id=f"d{number}")
    for number in range(5):
        outputs.update_display(f"d{number}", display(str(number) * 900))
    assert outputs.size < 2500
    assert any("dagbook left out" in o["data"]["text/plain"] for o in outputs.finished())


def test_what_a_large_message_lacks_is_counted_where_it_is_missing():
    outputs = CellOutputs(1000)
    outputs.add_stream("stdout", "a" * 1000 + "z" * 1000, left_out=198_000)
    [shown] = [o["text"] for o in outputs.finished() if o["name"] == "stderr"]
    assert "left out 199,000 bytes" in shown
    outputs = CellOutputs(1000)
    outputs.add(display("a" * 100), left_out=5000)
    assert "left out an output of 5,100 bytes" in outputs.finished()[0]["data"]["text/plain"]


def test_outputs_put_back_from_a_snapshot_are_still_updated():
    outputs = CellOutputs(1000)
    outputs.add(display("0 %"), display_id="bar")
    shown = outputs.finished()
    copy = CellOutputs(1000)
    copy.replace(shown, outputs.display_ids(shown))
    copy.update_display("bar", display("100 %"))
    assert copy.finished() == [display("100 %")]


def test_a_cell_that_prints_a_lot_keeps_a_little_and_the_run_goes_on(make_notebook):
    result = run_notebook(
        make_notebook(
            "for i in range(40):\n    print(f'{i:02d}' + 'x' * 1_000_000)", "print('after')"
        )
    )
    assert result.status is RunStatus.SUCCEEDED, result.reason
    assert result.executed_notebook.stat().st_size < 1_100_000
    cells = code_cells(result.executed_notebook)
    assert text_of(cells[0].outputs).startswith("00xxx")
    assert text_of(cells[0].outputs).endswith("xxx\n")
    assert "[dagbook left out 39,00" in text_of(cells[0].outputs)
    assert text_of(cells[1].outputs) == "after\n"


def test_the_notebook_as_a_whole_has_a_cap(make_notebook):
    result = run_notebook(
        make_notebook(*["print('x' * 60_000)"] * 5),
        output_limits=OutputLimits(per_cell=100_000, per_notebook=150_000),
    )
    sizes = [len(text_of(c.outputs)) for c in code_cells(result.executed_notebook)]
    assert sizes[:2] == [60_001, 60_001]
    assert sizes[4] < 20_000
    assert result.executed_notebook.stat().st_size < 220_000


def test_displays_are_updated_across_cells_and_animations_leave_one_picture(make_notebook):
    result = run_notebook(
        make_notebook(
            "from IPython.display import display, clear_output\nh = display('before', display_id='d')",
            "for i in range(2000):\n    h.update(f'step {i}')",
            "for i in range(500):\n    clear_output(wait=True)\n    display(i)",
        )
    )
    cells = code_cells(result.executed_notebook)
    assert text_of(cells[0].outputs) == "'step 1999'"
    assert cells[1].outputs == []
    assert text_of(cells[2].outputs) == "499"


def test_half_a_surrogate_pair_and_nan_do_not_spoil_the_notebook(make_notebook):
    result = run_notebook(
        make_notebook(
            "display({'application/json': {'x': float('nan')}, 'text/plain': 'n'}, raw=True)",
            "raise ValueError('\\ud83d half')",
        )
    )
    assert result.status is RunStatus.FAILED
    stored = result.executed_notebook.read_text("utf-8")
    json.loads(stored, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    # The kernel cannot send such a message as an output; its reply says what went wrong.
    error = code_cells(result.executed_notebook)[1].outputs[0]
    assert (error.output_type, error.ename) == ("error", "UnicodeEncodeError")
