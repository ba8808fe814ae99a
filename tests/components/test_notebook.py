"""The notebook as dagbook sees it: sound documents, roles, versions, and what is mended."""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from dagbook.errors import DagbookError
from dagbook.notebook import (
    Cell,
    Notebook,
    RoleKind,
    code_version,
    local_modules,
    parse_notebook,
    resolve_parameters,
)

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def cell(source: Any, *tags: str, kind: str = "code", **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"cell_type": kind, "source": source, "metadata": {}}
    if tags:
        made["metadata"]["tags"] = list(tags)
    if kind == "code":
        made |= {"outputs": [], "execution_count": None}
    return made | more


def document(*cells: Any, **more: Any) -> dict[str, Any]:
    with_ids = [
        {"id": f"c{number}", **each} if isinstance(each, dict) else each
        for number, each in enumerate(cells, 1)
    ]
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": KERNEL},
        "cells": with_ids,
        **more,
    }


def parse(*cells: Any, **more: Any) -> Notebook:
    notebook = parse_notebook(document(*cells, **more), Path("churn.ipynb"))
    nbformat.validate(nbformat.from_dict(notebook.document))
    return notebook


def injected(notebook: Notebook, **values: Any) -> list[str]:
    """The sources of the code cells as papermill would run them."""
    node = nbformat.from_dict(notebook.document)
    prepared = papermill.execute_notebook(node, None, parameters=values, prepare_only=True)
    return [cell.source for cell in prepared.cells if cell.cell_type == "code"]


def refusal(*cells: Any, **more: Any) -> str:
    with pytest.raises(DagbookError) as caught:
        parse_notebook(document(*cells, **more), Path("churn.ipynb"))
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith("churn.ipynb")
    return text.removeprefix("churn.ipynb")


def test_a_sound_notebook_is_read_without_a_note() -> None:
    notebook = parse(cell("# Churn", kind="markdown"), cell("x = 1"), cell("raw", kind="raw"))
    assert notebook.notes == ()
    assert notebook.cells == (
        Cell(0, "c1", "markdown", "# Churn"),
        Cell(1, "c2", "code", "x = 1"),
        Cell(2, "c3", "raw", "raw"),
    )
    assert (notebook.language, notebook.kernel_name) == ("python", "python3")
    assert not notebook.has_roles
    assert notebook.parameters_cell is None
    assert notebook.parameters == ()
    assert notebook.checks == ()


def test_roles_are_found_by_cell() -> None:
    notebook = parse(
        cell("alpha = 1", "parameters"),
        cell("print(alpha)", "skip", "my-tag"),
        cell("%%dagster check rows-ok --warn\nassert alpha"),
        cell("# dagster: metrics, result model\nauc = 1"),
        cell("x", "skip-execution"),
    )
    assert [str(c.role) for c in notebook.cells] == [
        "parameters",
        "skip",
        "check-warn:rows-ok",
        "metrics",
        "skip",
    ]
    assert notebook.cells[1].tags == ("skip", "my-tag")
    assert [c.is_skipped for c in notebook.cells] == [False, True, False, False, True]
    assert notebook.cells[3].results == ("model",)
    assert notebook.checks == (notebook.cells[2],)
    assert notebook.parameters_cell is notebook.cells[0]
    assert [p.name for p in notebook.parameters] == ["alpha"]
    assert notebook.metric_names(notebook.cells[3]) == ("auc",)
    assert notebook.has_roles


def test_papermill_finds_a_parameters_cell_that_was_marked_in_text() -> None:
    notebook = parse(cell("# dagster: parameters\nx = 1", "mine"), cell("x", "skip"))
    assert notebook.document["cells"][0]["metadata"]["tags"] == ["mine", "parameters"]
    assert notebook.cells[0].tags == ("mine",)
    assert injected(notebook, x=3)[:2] == ["# dagster: parameters\nx = 1", "# Parameters\nx = 3\n"]
    marked = parse(cell("x = 1", "parameters"))
    assert marked.document["cells"][0]["metadata"]["tags"] == ["parameters"]


def test_papermill_does_not_inject_at_a_text_cell_with_a_stray_tag() -> None:
    notebook = parse(
        cell("# Parameters", "parameters", "mine", kind="markdown"),
        cell("x = 1", "parameters"),
        cell("x = 2", "injected-parameters", kind="raw"),
    )
    tags = [each["metadata"]["tags"] for each in notebook.document["cells"]]
    assert tags == [["mine"], ["parameters"], []]
    assert notebook.notes == (
        "cell 1: holds text, so its tag `parameters` is left out",
        "cell 3: holds text, so its tag `injected-parameters` is left out",
    )
    assert injected(notebook, x=3) == ["x = 1", "# Parameters\nx = 3\n"]


def test_an_earlier_runs_cell_is_replaced_where_that_is_safe() -> None:
    below = parse(cell("x = 1", "parameters"), cell("x = 2", "injected-parameters"))
    assert resolve_parameters(below, {"x": 3}) == {"x": 3}
    assert injected(below, x=3) == ["x = 1", "# Parameters\nx = 3\n"]


def test_an_earlier_runs_cell_that_would_undo_the_values_is_refused() -> None:
    above = parse(cell("x = 2", "injected-parameters"), cell("x = 1", "parameters"))
    assert resolve_parameters(above, {}) == {}
    with pytest.raises(DagbookError) as caught:
        resolve_parameters(above, {"x": 3})
    assert str(caught.value) == (
        "churn.ipynb, cell 1: holds parameters injected by an earlier run, above the parameters "
        "cell 2, whose defaults would come after the new ones. Delete it."
    )
    twice = parse(
        cell("x = 1", "parameters"),
        cell("x = 2", "injected-parameters"),
        cell("x = 3", "injected-parameters"),
    )
    with pytest.raises(DagbookError) as caught:
        resolve_parameters(twice, {"x": 3})
    assert str(caught.value) == (
        "churn.ipynb: cells 2 and 3 both hold parameters injected by earlier runs, which would "
        "come after the new ones. Delete both."
    )


def test_a_settings_cell_keeps_its_yaml_and_sends_the_kernel_nothing() -> None:
    notebook = parse(cell("%%dagster\nretries: 2\n"), cell("x = 1"))
    settings = notebook.cells[0]
    assert (settings.settings, settings.kernel_source, settings.is_skipped) == (
        "retries: 2\n",
        "",
        True,
    )
    assert notebook.cells[1].settings is None


def test_roles_on_text_cells_say_nothing() -> None:
    notebook = parse(
        cell("text", "skip", "check:", kind="markdown"),
        cell("# dagster: check", kind="markdown"),
        cell("x", "metrics", kind="raw"),
    )
    assert not notebook.has_roles
    assert notebook.notes == ()


@pytest.mark.parametrize(
    ("sources", "answer"),
    [
        (
            [("x = 1", "parameters"), ("y",), ("# dagster: parameters\nz = 1",)],
            ": cells 1 and 3 both have the role `parameters`. Keep it on one of them.",
        ),
        (
            [("x", "check:rows-ok"), ("# dagster: check rows.ok --warn",)],
            ": the checks of cells 1 and 2 are both called `rows_ok` on Dagster. "
            "Rename one of them.",
        ),
        (
            [("x", "result:model"), ("x", "metrics", "result:model")],
            ": cells 1 and 2 both name the result `model`. Keep it on the one that computes it "
            "last.",
        ),
        ([("x",), ("x", "check:")], ", cell 2: `check:` needs"),
        (
            [("x = 1\n%%dagster skip",)],
            ", cell 1: `%%dagster` must be the first line of its cell.",
        ),
        (
            [("%%time\n%%dagster skip\nx",)],
            ", cell 1: `%%dagster` must be the first line of its cell.",
        ),
        (
            [("# dagster: skip\n%%dagster skip\nx",)],
            ", cell 1: `%%dagster` must be the first line of its cell.",
        ),
        (
            [("%%bash\nx=1", "metrics")],
            ", cell 1: `%%bash` leaves no variables behind, so the role `metrics` finds nothing; "
            "assign them in another cell.",
        ),
    ],
)
def test_contradictions_between_cells_are_refused(
    sources: list[tuple[str, ...]], answer: str
) -> None:
    if answer.endswith("needs"):
        answer = ", cell 2: `check` needs a name: write `check:NAME`."
    assert refusal(*(cell(*source) for source in sources)) == answer


def test_a_late_magic_in_a_string_is_no_magic() -> None:
    assert not parse(cell('text = """\n%%dagster skip\n"""')).has_roles


def test_the_metrics_role_is_refused_where_it_cannot_be_read() -> None:
    bash = {"kernelspec": {"name": "bash", "display_name": "Bash", "language": "bash"}}
    assert refusal(cell("# dagster: metrics\nx=1"), metadata=bash) == (
        ", cell 1: the role `metrics` is understood in Python and R only, not in bash; "
        "take the role away."
    )
    r = {"kernelspec": {"name": "ir", "display_name": "R", "language": "R"}}
    notebook = parse(cell("# dagster: metrics\nauc <- 1"), metadata=r)
    assert notebook.metric_names(notebook.cells[0]) == ("auc",)


def test_odd_but_harmless_cells_are_noted() -> None:
    notebook = parse(
        cell("x = 1", "metric"),
        cell("x = 2", "injected-parameters"),
        cell("print(x)", "metrics"),
    )
    assert notebook.notes == (
        "cell 1: the tag `metric` is no role and is left alone; if it is meant as one, "
        "write `metrics`",
        "cell 3: has the role `metrics` but assigns no variable",
        "cell 2: holds parameters injected by an earlier run; a run with parameters replaces it, "
        "one without runs it as it is",
    )
    assert notebook.cells[1].role is None


@pytest.mark.parametrize(
    ("broken", "answer"),
    [
        ("text", ", cell 2: is no cell, which is a JSON object."),
        (None, ", cell 2: is no cell, which is a JSON object."),
        ({}, ", cell 2: its type must be code, markdown or raw."),
        (cell("x", kind="heading"), ", cell 2: its type must be code, markdown or raw."),
        ({"cell_type": ["code"]}, ", cell 2: its type must be code, markdown or raw."),
        ({"cell_type": "code"}, ", cell 2: its source must be text."),
        (cell(None), ", cell 2: its source must be text."),
        (cell(1), ", cell 2: its source must be text."),
        (cell(["x", 1]), ", cell 2: its source must be text."),
        (cell("x", metadata=[]), ", cell 2: its metadata must be a JSON object."),
        (cell("x", metadata={"tags": "skip"}), ", cell 2: its `tags` must be a list of words."),
        (cell("x", metadata={"tags": [1]}), ", cell 2: its `tags` must be a list of words."),
        (cell("x", metadata={"tags": None}), ", cell 2: its `tags` must be a list of words."),
    ],
)
def test_a_cell_of_the_wrong_shape_is_refused_by_its_number(broken: Any, answer: str) -> None:
    assert refusal(cell("x = 1"), broken) == answer


@pytest.mark.parametrize(
    ("more", "answer"),
    [
        ({"cells": {}}, ": is JSON but no notebook: it has no list of `cells`."),
        ({"cells": None}, ": is JSON but no notebook: it has no list of `cells`."),
        ({"metadata": []}, ": its metadata must be a JSON object."),
        ({"metadata": {"kernelspec": "python3"}}, ": its `kernelspec` must be a JSON object."),
        ({"metadata": {"kernelspec": None}}, ": its `kernelspec` must be a JSON object."),
        ({"metadata": {"language_info": 1}}, ": its `language_info` must be a JSON object."),
        ({"metadata": {"kernelspec": {"name": 3}}}, ": its kernel's name must be text."),
        (
            {"nbformat": True},
            ": is JSON but no notebook: `nbformat` is missing or no version number.",
        ),
        ({"nbformat": 0}, ": is JSON but no notebook: `nbformat` is missing or no version number."),
    ],
)
def test_a_document_of_the_wrong_shape_is_refused(more: dict[str, Any], answer: str) -> None:
    assert refusal(cell("x"), **more) == answer


def test_small_faults_are_mended_and_noted() -> None:
    notebook = parse(
        {"cell_type": "code", "source": ["x = 1\n", "y = 2"], "id": "a"},
        cell("x", id="a"),
        cell("x", id="not an id"),
        cell("x", id=7, metadata=None, outputs="none"),
        cell("x", id=None),
        {"cell_type": "markdown", "source": "x", "id": "cell-3", "outputs": []},
        cell("x", outputs=[{"no": "type"}]),
        metadata=None,
    )
    assert notebook.cells[0].source == "x = 1\ny = 2"
    assert [c.id for c in notebook.cells] == [
        "a",
        "cell-2",
        "cell-3x",
        "cell-4",
        "cell-5",
        "cell-3",
        "c7",
    ]
    assert notebook.notes == (
        "cell 1: had no metadata",
        "cell 1: had no list of outputs",
        "cell 4: had no metadata",
        "cell 4: had malformed outputs, which are left out",
        "cell 6: had no metadata",
        "cell 7: had malformed outputs, which are left out",
        "cell 2: had the id of an earlier cell; it is called cell-2 here",
        "cell 3: had an id that is none; it is called cell-3x here",
        "cell 4: had an id that is none; it is called cell-4 here",
        "cell 5: had no id; it is called cell-5 here",
        "the notebook had no metadata",
        "the notebook did not say its language; it is taken as python",
    )


def test_a_notebook_from_before_cell_ids_is_no_fault() -> None:
    notebook = parse(cell("x", id=None), cell("y", id=None), nbformat_minor=2)
    assert [c.id for c in notebook.cells] == ["cell-1", "cell-2"]
    assert notebook.notes == ()
    assert notebook.document["nbformat_minor"] == 5


def test_a_newer_minor_format_is_kept() -> None:
    document_ = parse_notebook(document(cell("x"), nbformat_minor=6)).document
    assert document_["nbformat_minor"] == 6


@pytest.mark.parametrize(
    ("metadata", "language", "kernel", "noted"),
    [
        ({"kernelspec": {"name": "python3"}}, "python", "python3", True),
        ({"kernelspec": {"name": "ir"}}, "R", "ir", True),
        ({"kernelspec": {"name": "julia-1.10"}}, "julia", "julia-1.10", True),
        ({"kernelspec": {"name": "my-env"}}, "python", "my-env", True),
        ({"kernelspec": {"name": "x", "language": "r"}}, "R", "x", False),
        ({"kernelspec": {"name": "x", "language": None}}, "python", "x", True),
        ({"kernelspec": {"name": "x"}, "language_info": {"name": "scala"}}, "scala", "x", False),
        ({"language_info": {"name": "python"}}, "python", None, False),
        ({"language_info": {}}, "python", None, True),
        ({"kernelspec": {}}, "python", None, True),
        ({}, "python", None, True),
    ],
)
def test_the_language_is_always_stated(
    metadata: dict[str, Any], language: str, kernel: str | None, noted: bool
) -> None:
    notebook = parse(cell("x"), metadata=metadata)
    assert (notebook.language, notebook.kernel_name) == (language, kernel)
    assert bool(notebook.notes) == noted
    stated = notebook.document["metadata"]
    said = stated["kernelspec"]["language"] if kernel else stated["language_info"]["name"]
    assert said.lower() == language.lower()


def test_outputs_are_joined_as_nbformat_joins_them() -> None:
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": ["a\n", "b"]},
        {
            "output_type": "display_data",
            "metadata": {},
            "data": {"text/plain": ["a\n", "b"], "application/json": ["a", "b"]},
        },
    ]
    raw = document(cell(["x\n", "y"], outputs=outputs))
    joined = nbformat.reads(json.dumps(raw), as_version=4)
    assert parse(cell(["x\n", "y"], outputs=outputs)).document["cells"][0] == joined.cells[0]


ODD_VALUES: list[Any] = [
    *(None, True, 0, 3, 4, 1.5, "", "skip", "check:", "check:a b", "two\nlines", "\x00", "\ud800"),
    *("# dagster: parameters\nx: int = 1", "%%dagster\nretries: 2", "%%dagster check a\nx = = 1"),
    *([], ["a"], [1], [[]], {}, {"name": "x"}, {"tags": ["skip"]}, {"tags": ["check:a\nb"]}),
]


def test_a_damaged_document_is_read_or_refused_in_one_line(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Whatever stands wherever, there is a notebook or one line, and nothing else."""
    choose = random.Random(20260101)
    sound = document(
        cell(
            "# dagster: parameters\nx: int = 1",
            "parameters",
            outputs=[{"output_type": "stream", "name": "stdout", "text": ["a"]}],
        ),
        cell(["auc = 1\n", "b = 2"], "metrics", "result:auc"),
        cell("text", kind="markdown"),
    )
    outcomes: set[type] = set()
    for _ in range(3_000):
        damaged = copy.deepcopy(sound)
        for _ in range(choose.randrange(1, 4)):
            holder, key = choose.choice(list(_places(damaged)))
            holder[key] = copy.deepcopy(choose.choice(ODD_VALUES))
        try:
            notebook = parse_notebook(damaged)
            code_version(notebook, *local_modules(notebook, []))
            resolve_parameters(notebook, {})
            outcomes.add(Notebook)
        except DagbookError as error:
            assert "\n" not in str(error)
            outcomes.add(DagbookError)
    assert outcomes == {Notebook, DagbookError}
    assert capfd.readouterr() == ("", "")


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a document, as what holds it and the key it has there."""
    keys = value if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


def test_the_given_document_is_not_changed() -> None:
    given = document(
        {"cell_type": "code", "source": ["# dagster: parameters\n", "x = 1"], "metadata": {}},
        cell("x", id=None, metadata={"tags": ["a", "a"]}),
        metadata={"kernelspec": {"name": "python3"}},
    )
    before = copy.deepcopy(given)
    parse_notebook(given)
    assert given == before


def test_a_notebook_without_a_path_is_called_so() -> None:
    with pytest.raises(DagbookError) as caught:
        parse_notebook(document(cell("# dagster: metric")))
    assert str(caught.value).startswith("notebook, cell 1: `metric` is not a role.")


VERSIONED = [
    cell("# dagster: parameters\nx = 1"),
    cell("y = x", "check:a"),
    cell("# text", kind="markdown"),
]


def test_the_code_version_is_the_same_wherever_it_is_computed() -> None:
    assert code_version(parse(*VERSIONED)) == code_version(parse(*VERSIONED))
    assert len(code_version(parse(*VERSIONED))) == 64


@pytest.mark.parametrize(
    ("cells", "metadata"),
    [
        pytest.param([cell("y = 2", "check:a")], {}, id="code"),
        pytest.param([cell("y = x", "check:b")], {}, id="a check's name"),
        pytest.param([cell("y = x", "check-warn:a")], {}, id="a check only noted"),
        pytest.param([cell("y = x")], {}, id="a role taken away"),
        pytest.param([cell("y = x", "skip")], {}, id="a cell skipped"),
        pytest.param([cell("y = x", "check:a"), cell("")], {}, id="a cell more"),
        pytest.param([], {"kernelspec": {**KERNEL, "name": "other"}}, id="the kernel"),
    ],
)
def test_the_code_version_changes_with_what_runs(
    cells: list[dict[str, Any]], metadata: dict[str, Any]
) -> None:
    changed = parse(
        VERSIONED[0],
        *(cells or [VERSIONED[1]]),
        metadata={"kernelspec": KERNEL, **metadata},
    )
    assert code_version(changed) != code_version(parse(*VERSIONED))


def test_the_code_version_does_not_change_with_what_does_not_run() -> None:
    same = parse(
        cell("# other text", kind="markdown"),
        cell(
            "# dagster: parameters\nx = 1",
            execution_count=7,
            outputs=[{"output_type": "stream", "name": "stdout", "text": "1"}],
        ),
        cell("left out", "skip"),
        cell("%%dagster\nretries: 2"),
        cell("y = x", "check:a", "mine", id="another"),
    )
    assert code_version(same) == code_version(parse(*VERSIONED))


@pytest.mark.parametrize(
    ("sign", "answer"),
    [
        ("\ud800", "holds half a character (a lone surrogate) in line 2; delete it."),
        ("\0", "holds a NUL character in line 2; delete it."),
    ],
    ids=["half a surrogate pair", "NUL"],
)
def test_code_that_no_kernel_can_be_sent_is_refused(sign: str, answer: str) -> None:
    with pytest.raises(DagbookError) as caught:
        parse_notebook(document(cell(f"y = 1\nx = '{sign}'")))
    assert str(caught.value) == f"notebook, cell 1: {answer}"


def test_half_a_character_in_a_text_cell_is_replaced_and_said() -> None:
    text = {"cell_type": "markdown", "id": "a", "metadata": {}, "source": "a\ud800b\U0001f600"}
    notebook = parse_notebook(document(text))
    assert notebook.cells[0].source == "a\ufffdb\U0001f600"
    assert notebook.notes == (
        "cell 1: held half a character (a lone surrogate), which is replaced",
    )


def test_large_notebooks_are_read_cell_by_cell() -> None:
    notebook = parse(*(cell(f"x{n} = {n}\n%dagster form") for n in range(2_000)))
    assert len({c.id for c in notebook.cells}) == 2_000
    assert notebook.cells[-1].kernel_source == "x1999 = 1999\npass"


def test_a_real_kernel_reports_the_authors_line_numbers() -> None:
    """What is sent instead of the author's text raises where the author wrote it."""
    sources = [
        "# dagster: parameters\nx = 1",
        "%%dagster check a\nif x:\n    %dagster form\n    raise ValueError('line 4')",
        "%%dagster metrics\n%%time\nauc = 0.5",
        "%load_ext dagbook\nprint('loaded', auc)",
    ]
    notebook = parse(*map(cell, sources))
    for read, stored in zip(notebook.cells, notebook.document["cells"], strict=True):
        stored["source"] = read.kernel_source
    executed = nbformat.from_dict(notebook.document)
    client = NotebookClient(executed, kernel_name="python3", timeout=60)
    with client.setup_kernel():
        client.execute_cell(executed.cells[0], 0)
        with pytest.raises(CellExecutionError) as caught:
            client.execute_cell(executed.cells[1], 1)
        client.execute_cell(executed.cells[2], 2)
        client.execute_cell(executed.cells[3], 3)
    assert "line 4" in caught.value.evalue
    assert "----> 4" in re.sub(r"\x1b\[[\d;]*m", "", caught.value.traceback)
    assert "Wall time" in executed.cells[2].outputs[0]["text"]
    assert executed.cells[3].outputs[0]["text"] == "loaded 0.5\n"


def test_role_kinds_are_the_words_of_the_documentation() -> None:
    assert [str(kind) for kind in RoleKind] == ["parameters", "skip", "metrics", "check", "result"]
