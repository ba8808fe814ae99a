"""What a run that did not succeed says at its top: what happened, and what is different now."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import nbformat
import pytest

from dagbook.execution import RunStatus, run_notebook
from dagbook.execution.last_good import Comparison, compare_with_last_good
from dagbook.execution.provenance import Provenance
from dagbook.execution.result import CellResult, CellStatus, ExecutionResult, Resources
from dagbook.execution.stored_notebook import banner
from dagbook.policy import find_size

NOON = 1_767_268_800.0  # 2026-01-01 12:00 UTC


def banner_of(path: Path) -> str:
    cells = nbformat.read(path, as_version=4).cells
    return next(c.source for c in cells if c.id == "dagbook-banner")


def account(**more) -> dict:
    """What a stored notebook says of its own run, as far as it is compared."""
    return {
        "status": "succeeded",
        "notebook": "/p/n.ipynb",
        "started_at": NOON,
        "parameters": {},
        "size": "small",
        "provenance": Provenance(cells=[[1, "a", "x = 1"]]).to_json(),
        **more,
    }


def store(path: Path, told: dict, **layout) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"cells": [], "metadata": {"dagbook": told}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(document, **{"indent": 1, **layout}))
    return path


def failed(**more) -> ExecutionResult:
    provenance = Provenance(**{"cells": [[1, "a", "x = 1"]], **more.pop("provenance", {})})
    return ExecutionResult(
        RunStatus.FAILED,
        notebook=Path("/p/n.ipynb"),
        **{"size": "small", "provenance": provenance, **more},
    )


def differences(before: dict, after: ExecutionResult, folder: Path) -> list[str]:
    store(folder / "20260101T120000Z-succeeded.ipynb", before)
    compared = compare_with_last_good(after, output=None, folder=folder)
    assert compared is not None
    return compared.differences


def test_a_failed_run_is_compared_with_the_last_good_one(make_notebook, tmp_path):
    parameters = ("days = 1", "parameters")
    (tmp_path / "helper.py").write_text("x = 1\n")
    run_notebook(make_notebook(parameters, "0", "old = 1", "import helper"), {"days": 3})
    good = run_notebook(make_notebook(parameters, "1", "old = 1", "import helper"), {"days": 3})
    (tmp_path / "helper.py").write_text("x = 2\n")
    run_notebook(make_notebook(parameters, "1 / 0"), {"days": 4})

    result = run_notebook(
        make_notebook(parameters, "new = 1", "1", "import helper", "1 / 0"), {"days": 5}
    )

    last = result.last_good_run
    assert last.notebook == good.executed_notebook
    assert last.differences == [
        "parameter days: 3 → 5",
        "cell 2 is new: new = 1",
        "cell 3 of then is gone: old = 1",
        "cell 5 is new: 1 / 0",
        "file helper.py changed",
    ]
    text = banner_of(result.executed_notebook)
    assert (
        f"**Different from the last good run**, [{last.moment}]({good.executed_notebook.name})"
        in text
    )
    assert "\n- cell 2 is new: new = 1\n" in text


def test_a_run_that_differs_in_nothing_known_says_so(make_notebook):
    path = make_notebook("import os\nassert not os.path.exists('full')")
    good = run_notebook(path)
    path.with_name("full").touch()
    result = run_notebook(path)
    assert result.last_good_run.differences == []
    assert (
        "Nothing known is different from the last good run, "
        f"[{result.last_good_run.moment}]({good.executed_notebook.name})."
    ) in banner_of(result.executed_notebook)


def test_with_a_named_output_it_is_what_stood_there_before(make_notebook, tmp_path):
    output = tmp_path / "out.ipynb"
    run_notebook(make_notebook("1"), output=output)
    result = run_notebook(make_notebook("1 / 0"), output=output)
    assert result.last_good_run.differences == ["cell 1 changed: 1 / 0"]
    # No link to a file that this one has replaced.
    assert f"last good run**, {result.last_good_run.moment}:" in banner_of(output)
    again = run_notebook(make_notebook("1 / 0"), output=output)
    assert again.last_good_run is None
    assert "last good run" not in banner_of(output)


def test_a_partition_is_compared_with_the_newest_good_run_of_any(make_notebook, tmp_path):
    runs = tmp_path / "runs" / "asset"
    path = make_notebook("import os\nassert not os.path.exists('full')")
    run_notebook(path, output_folder=runs / "2026-01-01", good_runs=runs)
    time.sleep(1.1)  # the names of runs hold seconds
    good = run_notebook(path, output_folder=runs / "2026 01-02", good_runs=runs)
    path.with_name("full").touch()
    result = run_notebook(path, output_folder=runs / "2026-01-03", good_runs=runs)
    assert result.last_good_run.notebook == good.executed_notebook
    link = f"(../2026%2001-02/{good.executed_notebook.name})"
    assert link in banner_of(result.executed_notebook)


def test_every_kind_of_difference_is_told(tmp_path):
    before = account(
        parameters={"gone": 1, "same": [1], "text": "a"},
        size="medium",
        provenance=Provenance(
            dagbook="0.0.9",
            interpreter={"language": "python", "version": "3.11.7", "path": "/a", "kernel": "k"},
            packages={"gone": "1", "same": "1", "up": "1"},
            files=[
                {"role": "notebook", "path": "n.ipynb", "sha256": "1"},
                {"role": "component", "path": "defs.yaml", "sha256": "1"},
                {"role": "module", "path": "gone.py", "sha256": "1"},
            ],
            cells=[[1, "a", "x = 1"], [2, "b", ""], [4, "c", "z = 1"]],
            git={"commit": "1" * 40, "differing": []},
        ).to_json(),
    )
    after = failed(
        parameters={"new": None, "same": [1], "text": "b" * 100},
        provenance={
            "dagbook": "0.1.0",
            "interpreter": {
                "language": "python", "version": "3.12.1", "path": "/b", "kernel": "l",
            },
            "packages": {"new": "2", "same": "1", "up": "2"},
            "files": [
                {"role": "notebook", "path": "n.ipynb", "sha256": "2"},
                {"role": "component", "path": "defs.yaml", "sha256": "2"},
                {"role": "module", "path": "new.py", "sha256": "1"},
            ],
            "cells": [[1, "a", "x = 1"], [3, "d", "y = 2"], [5, "c", "z = 1"], [6, "e", ""]],
            "git": {"commit": "2" * 40, "differing": ["n.ipynb"]},
        },
    )  # fmt: skip
    assert differences(before, after, tmp_path) == [
        "parameter new: the notebook's own → null",
        'parameter text: "a" → "' + "b" * 58 + "…",
        "parameter gone: 1 → the notebook's own",
        "cell 3 changed: y = 2",
        "cell 6 is new",
        "file defs.yaml changed",
        "file gone.py is no longer used",
        "file new.py is new",
        "package gone: 1 → gone",
        "package new: new, 2",
        "package up: 1 → 2",
        "kernel: k → l",
        "python: 3.11.7 → 3.12.1",
        "interpreter: /a → /b",
        "dagbook: 0.0.9 → 0.1.0",
        "commit: 111111111111 → 222222222222 with changes",
        "size: medium → small",
    ]


def test_a_long_list_is_cut_and_counted(tmp_path):
    before = account(provenance=Provenance(packages={}).to_json())
    after = failed(provenance={"packages": {f"p{n:02}": "1" for n in range(30)}})
    told = differences(before, after, tmp_path)
    assert len(told) == 11
    assert told[-1] == "… and 20 more packages"


def test_thousands_of_cells_are_not_told_apart(tmp_path):
    before = account(provenance=Provenance(cells=[[n, f"a{n}", ""] for n in range(4000)]).to_json())
    after = failed(provenance={"cells": [[n, f"b{n}", ""] for n in range(4000)]})
    assert differences(before, after, tmp_path) == ["the notebook's cells changed"]


BROKEN = {
    "empty": b"",
    "binary": b"\x00\xff" * 5_000,
    "torn": b'{"metadata": {\n  "dagbook": {"status": "succ',
    "no account": b'{"cells": [], "metadata": {}}',
    "a list": b'{\n  "dagbook": [1]}',
    "deep": b'\n  "dagbook": {"status": ' + b"[" * 100_000,
    "half": b'\n  "dagbook": {"status": "succeeded", "notebook": "/p/n.ipynb"}',
    "odd": b'\n  "dagbook": ' + json.dumps(account(parameters=[1], provenance=[2])).encode(),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_and_foreign_files_are_passed_over(name, tmp_path):
    store(tmp_path / "20260101T000000Z-succeeded.ipynb", account(size="large"))
    broken = tmp_path / "20260102T000000Z-succeeded.ipynb"
    broken.write_bytes(BROKEN[name])
    compared = compare_with_last_good(failed(), output=None, folder=tmp_path)
    assert compared.notebook.name == "20260101T000000Z-succeeded.ipynb"


def test_what_is_no_file_and_runs_of_other_notebooks_are_passed_over(tmp_path):
    os.mkfifo(tmp_path / "20260104T000000Z-succeeded.ipynb")
    (tmp_path / "20260103T000000Z-succeeded.ipynb").mkdir()
    there = tmp_path / "elsewhere" / "n.ipynb"
    there.parent.mkdir()
    there.touch()
    store(tmp_path / "20260102T000000Z-succeeded.ipynb", account(notebook=str(there)))
    moved = store(tmp_path / "20260101T000000Z-succeeded.ipynb", account(notebook="/q/n.ipynb"))
    compared = compare_with_last_good(failed(), output=None, folder=tmp_path)
    assert compared.notebook == moved


def test_a_large_notebook_is_read_from_its_end_only(tmp_path):
    path = store(tmp_path / "20260101T000000Z-succeeded.ipynb", account(size="large"))
    told = path.read_bytes()
    with path.open("wb") as file:
        # Sparse, and no JSON at all: whoever read it from its beginning would fail.
        file.seek(10 * 1024**3)
        file.write(told)
    compared = compare_with_last_good(failed(), output=None, folder=tmp_path)
    assert compared.differences == ["size: large → small"]


def test_an_executed_notebook_saved_again_by_jupyter_is_still_read(make_notebook):
    path = make_notebook("import os\nassert not os.path.exists('full')")
    good = run_notebook(path).executed_notebook
    nbformat.write(nbformat.read(good, as_version=4), good)
    path.with_name("full").touch()
    assert run_notebook(path).last_good_run.differences == []


def test_of_runs_in_one_second_the_last_counts(tmp_path):
    for number in (".2", ".10", "", ".9"):
        store(tmp_path / f"20260101T000000Z{number}-succeeded.ipynb", account())
    compared = compare_with_last_good(failed(), output=None, folder=tmp_path)
    assert compared.notebook.name == "20260101T000000Z.10-succeeded.ipynb"


def test_without_a_good_run_nothing_is_compared(make_notebook, tmp_path):
    result = run_notebook(make_notebook("1 / 0"))
    assert result.last_good_run is None
    assert result.to_json()["last_good_run"] is None
    assert compare_with_last_good(failed(), output=None, folder=tmp_path / "none") is None


def test_nothing_of_the_notebook_shapes_the_banner():
    result = failed(
        reason="ValueError: <img src=x> **bold** [a](b)",
        executed_notebook=Path("/r/a.ipynb"),
        last_good_run=Comparison(
            Path("/r/b.ipynb"), NOON, ["cell 1 changed: <script>alert(1)</script> `x` [a](b)"]
        ),
    )
    text = banner(result, find_size("small"))
    assert "ValueError: &lt;img src=x&gt; \\*\\*bold\\*\\* \\[a\\]\\(b\\)" in text
    assert (
        "- cell 1 changed: &lt;script&gt;alert\\(1\\)&lt;/script&gt; \\`x\\` \\[a\\]\\(b\\)" in text
    )


def test_the_banner_tells_figures_and_what_did_not_run():
    result = failed(
        reason="why",
        duration_seconds=75.5,
        cells=[CellResult(0, "a", None, CellStatus.NOT_RUN)],
        resources=Resources(peak_memory_bytes=2**32, limit_bytes=2**32),
    )
    assert banner(result, find_size("small")).split("\n\n") == [
        "### ✕ Failed",
        "why",
        "ran 75.5 s · peak memory 4 GiB · size small (2 CPU, 4 GiB, 1 h)",
        "1 cell below did not run.",
    ]
