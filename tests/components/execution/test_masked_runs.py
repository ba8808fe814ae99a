"""A run's credentials are masked in whatever the runner stores, also where a run is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

from dagbook.credentials.delivery import Delivery, Secret, SecretFile
from dagbook.execution import ExecutionResult, OutputLimits, run_notebook
from dagbook.execution.journal import Journal
from dagbook.execution.recovery import recover_runs
from dagbook.masking import Masker

if TYPE_CHECKING:
    from conftest import MakeNotebook

PASSWORD = 'wJalrXUt&FEMI/K7"MDENG'
LABEL = "***db.password***"
GIVEN = Delivery(
    environment={"DB_PASSWORD": PASSWORD, "DB_URL": f"postgres://u:{PASSWORD}@db"},
    secrets=(Secret(PASSWORD, "db.password"),),
)
READ = "import os, sys, time; password = os.environ['DB_PASSWORD']\n"


@pytest.fixture
def run(make_notebook: MakeNotebook, tmp_path: Path) -> Any:
    def run(*cells: str, **options: Any) -> ExecutionResult:
        options.setdefault("credentials", GIVEN)
        path = make_notebook(*cells)
        return run_notebook(path, output_folder=tmp_path / "runs", **options)

    return run


def outputs(result: ExecutionResult) -> list[list[dict[str, Any]]]:
    """Of each code cell, what it shows."""
    assert result.executed_notebook is not None
    notebook = nbformat.read(result.executed_notebook, as_version=4)
    nbformat.validate(notebook)
    return [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]


def stored(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "notebook.ipynb":
            yield path.name, path.read_bytes()


def test_what_two_cells_print_of_one_value_is_masked_in_the_first(run: Any) -> None:
    result = run(
        READ + "print('a', password[:9], end='')", "print(password[9:], 'b')", "print('c')"
    )

    assert [[o["text"] for o in cell] for cell in outputs(result)] == [
        [f"a {LABEL}"],
        [" b\n"],
        ["c\n"],
    ]


def test_other_output_of_a_cell_keeps_its_order(run: Any) -> None:
    result = run(
        "from IPython.display import display\n"
        "for text in ('we', 'end', 'in'):\n    print(text, 'w')\n    display(text)"
    )

    shown = [o.get("text") or o["data"]["text/plain"] for o in outputs(result)[0]]
    assert shown == ["we w\n", "'we'", "end w\n", "'end'", "in w\n", "'in'"]


def test_a_value_split_between_two_streams_pieces_is_masked_in_each(run: Any) -> None:
    result = run(
        READ + "for at in range(0, len(password), 4):\n"
        "    for stream in (sys.stdout, sys.stderr):\n"
        "        stream.write(password[at:at+4]); stream.flush(); time.sleep(0.05)\n"
        "print(); print(file=sys.stderr)"
    )

    text = {"stdout": "", "stderr": ""}
    for output in outputs(result)[0]:
        text[output["name"]] += output["text"]
    assert text == {"stdout": f"{LABEL}\n", "stderr": f"{LABEL}\n"}


def test_what_is_held_back_comes_out_at_the_end(run: Any) -> None:
    result = run("print('wJalrX', end='')", "1")

    assert outputs(result)[0][0]["text"] == "wJalrX"


def test_a_value_at_the_edge_of_what_is_kept_leaves_no_part(run: Any, tmp_path: Path) -> None:
    # The cap goes through one value or the other, wherever it is.
    result = run(
        READ + "print(''.join(f'{n:05} {password} ' for n in range(3000)))",
        output_limits=OutputLimits(per_cell=20_000),
    )

    text = "".join(o["text"] for o in outputs(result)[0])
    assert "left out" in text
    assert LABEL in text
    for at in range(len(PASSWORD) - 4):
        assert PASSWORD[at : at + 5] not in text


def test_a_value_in_a_text_too_large_to_be_read_leaves_no_part(run: Any) -> None:
    result = run(
        READ + "sys.stdout.write((password + '-') * 400_000); sys.stdout.flush()",
        output_limits=OutputLimits(per_cell=100_000),
    )

    text = "".join(o["text"] for o in outputs(result)[0])
    assert "left out" in text
    for at in range(len(PASSWORD) - 4):
        assert PASSWORD[at : at + 5] not in text


def test_a_value_in_a_cell_s_own_text_is_masked_and_said(run: Any, tmp_path: Path) -> None:
    result = run("1", f"# the password is {PASSWORD}\nassert False")

    assert result.notes == [
        "cell 2: the value of a credential stands in its text, and is masked in what is stored; "
        "have the cell read it from its environment variable"
    ]
    assert f"# the password is {LABEL}" in result.executed_notebook.read_text()
    assert all(PASSWORD[:9].encode() not in data for _, data in stored(tmp_path))


def test_a_parameter_reaches_the_cell_and_is_masked_where_it_is_told(
    run: Any, make_notebook: MakeNotebook, tmp_path: Path
) -> None:
    path = make_notebook(
        ("token = ''", "parameters"),
        READ + "import dagbook; print(token == password, dagbook.context.parameters)",
    )
    result = run_notebook(
        path, {"token": PASSWORD}, output_folder=tmp_path / "runs", credentials=GIVEN
    )

    assert result.parameters == {"token": LABEL}
    assert f"True {{'token': '{LABEL}'}}" in outputs(result)[-1][0]["text"]
    assert all(b"wJalrXUt" not in data for _, data in stored(tmp_path))


def test_metrics_are_named_without_it_and_none_is_the_value_itself(run: Any) -> None:
    digits = Delivery(environment={"PIN": "12345678"}, secrets=(Secret("12345678", "card.pin"),))

    result = run(
        "import dagbook, os\n"
        "dagbook.log_metric('of ' + os.environ['PIN'], 1)\n"
        "dagbook.log_metric('pin', int(os.environ['PIN']))",
        credentials=digits,
    )

    assert [(point.name, point.value) for point in result.metrics] == [("of card.pin", 1.0)]


def test_an_exception_of_a_listener_is_masked(run: Any) -> None:
    def listen(event: object) -> None:
        raise ValueError(f"cannot send {PASSWORD}")

    with pytest.raises(ValueError, match="cannot send") as raised:
        run("1", on_event=listen)

    assert str(raised.value) == f"cannot send {LABEL}"


def test_without_credentials_nothing_is_masked_and_no_message_is_looked_at(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dagbook.execution import masked_messages

    def fail(*_: Any) -> None:
        raise AssertionError("a run without credentials pays for masking")

    monkeypatch.setattr(masked_messages.MaskedMessages, "__init__", fail)
    result = run(f"print({PASSWORD!r})", credentials=None, masker=Masker())

    assert outputs(result)[0][0]["text"] == f"{PASSWORD}\n"


RUNNER = """
import sys
from dagbook.credentials.delivery import Delivery, Secret
from dagbook.execution import run_notebook

path, folder, password = sys.argv[1], sys.argv[2], sys.stdin.read()
given = Delivery(environment={"DB_PASSWORD": password}, secrets=(Secret(password, "db.password"),))
run_notebook(path, output_folder=folder, credentials=given)
"""


def test_a_runner_that_is_killed_leaves_nothing_unmasked(
    make_notebook: MakeNotebook, tmp_path: Path
) -> None:
    path = make_notebook(
        READ + f"# {PASSWORD}\nprint('first', password)",
        READ + "import dagbook, pathlib\n"
        "dagbook.log_metric('known', 1)\n"
        "time.sleep(1)\n"
        "dagbook.log_metric('of ' + password, 1)\n"
        "dagbook.log_metric('of ' + password[::-1], 1)\n"
        "dagbook.log_metric('known', 2)\n"
        "for n in range(20000): print('second', password, n)\n"
        "sys.stdout.write('cut ' + password[:12]); sys.stdout.flush()\n"
        "time.sleep(1.5); pathlib.Path('now').touch(); time.sleep(60)",
    )
    runner = subprocess.Popen(
        [sys.executable, "-c", RUNNER, str(path), str(tmp_path / "runs")], stdin=subprocess.PIPE
    )
    assert runner.stdin is not None
    runner.stdin.write(PASSWORD.encode())
    runner.stdin.close()
    until = time.monotonic() + 60
    while not (tmp_path / "now").exists() and time.monotonic() < until:
        time.sleep(0.05)
    os.kill(runner.pid, signal.SIGKILL)
    runner.wait()

    masker = Masker(GIVEN.secrets)
    left = dict(stored(tmp_path))
    assert {"journal.jsonl", "reports.jsonl"} <= left.keys()
    assert [name for name, data in left.items() if masker.holds_data(data)] == []
    assert b"wJalrXUt" not in b"".join(left.values())
    (recovered,) = recover_runs(tmp_path / "runs")
    text = recovered.read_text()
    assert not masker.holds(text)
    assert text.count(LABEL) > 1000
    told = json.loads(text)["metadata"]["dagbook"]
    assert told["metrics"].keys() <= {"known", "of db.password", f"of {PASSWORD[::-1]}"}


def test_what_a_kernel_is_told_of_its_values_is_not_the_values(run: Any) -> None:
    given = Delivery(
        environment=GIVEN.environment,
        files=(SecretFile("KEY_FILE", "key.txt", b"\xc3\xa9 key: abcdefghijk"),),
        secrets=(*GIVEN.secrets, Secret("abcdefghijk", "db.key")),
    )

    result = run(
        "import dagbook, os, pathlib\n"
        "from dagbook.masking.in_kernel import masker_of\n"
        "text = pathlib.Path(os.environ['KEY_FILE']).read_text() + os.environ['DB_URL']\n"
        "print(os.environ['DAGBOOK_MASKED'])\n"
        "print(masker_of().text(text).replace('*', '_'))",
        credentials=given,
    )

    assert outputs(result)[0][0]["text"] == (
        '[["DB_PASSWORD",false,0,22,"db.password"],["DB_URL",false,13,22,"db.password"],'
        '["KEY_FILE",true,7,11,"db.key"]]\n'
        "é key: ___db.key___postgres://u:___db.password___@db\n"
    )


def test_a_report_nobody_has_masked_is_not_taken_over_from_a_run_that_vanished(
    tmp_path: Path,
) -> None:
    journal = Journal(tmp_path / ".20260102T030405Z.running")
    document = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}
    journal.event("start", 1.0, "20260102T030405Z{state}", "small", None)
    journal.event("masked")
    journal.event("document", document, {}, [])
    journal.event("metrics", [["loss", "0.5", None, 2.0]])
    journal.flush()
    reports = [("loss", 0.25, 3.0), ("new", 1.0, 4.0)]
    (journal.folder / "reports.jsonl").write_text(
        "".join(json.dumps({"m": m, "v": repr(v), "s": None, "t": t}) + "\n" for m, v, t in reports)
    )
    journal.release()

    (recovered,) = recover_runs(tmp_path)

    told = json.loads(recovered.read_text())["metadata"]["dagbook"]
    assert told["metrics"] == {"loss": "0.25"}
    assert told["notes"] == [
        "1 of the last measurements left out: a run with credentials vanished before "
        "their names were looked through"
    ]
