"""All rules together: what is silenced, what a trial clears, what belongs to whom."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dagbook
from dagbook.notebook import parse_notebook, read_notebook
from dagbook.preflight.finding import NightFinding, Severity
from dagbook.preflight.installs import INSTALLS
from dagbook.preflight.names import NEVER
from dagbook.preflight.outputs import OUTPUT
from dagbook.preflight.registry import RULES, findings
from dagbook.preflight.silencing import UNKNOWN_RULE
from dagbook.preflight.situation import Situation
from dagbook.preflight.syntax import SYNTAX
from dagbook.preflight.words import as_json, said, selector

Found = Callable[..., list[NightFinding]]
PACKAGE = Path(str(dagbook.__file__)).parent
ROOT = Path(__file__).parents[3]


def test_what_will_fail_comes_first_and_cells_in_order(found: Found) -> None:
    told = found("%pip install a", "breakpoint()", "undefined")
    assert [(f.severity, f.cell) for f in told] == [
        (Severity.WILL_FAIL, 1),
        (Severity.WILL_FAIL, 2),
        (Severity.MAY_SURPRISE, 0),
    ]


def test_a_passed_trial_clears_all_but_secrets(found: Found) -> None:
    cells = ("%pip install a", 'key = "AKIAIOSFODNN7EXAMPLQ"', "undefined")
    assert {f.rule for f in found(*cells)} == {INSTALLS, "literal-credential", NEVER}
    (left,) = found(*cells, passed_trial=True)
    assert left.is_secret


@pytest.mark.parametrize(
    "source",
    [
        "undefined  # dagster-ok: never-defined",
        "undefined  # dagster-ok",
        "undefined  # made by the kernel  # dagster-ok: never-defined",
        "undefined  # dagster-ok: never-defined, installs-packages",
        "x = 1\n# dagster-ok: never-defined\nundefined",
        "# dagster-ok: never-defined\nx = 1\n\nundefined",
        "# dagster: metrics\n# dagster-ok: never-defined\nx = undefined",
        "%%time\n# dagster-ok\nundefined",
    ],
)
def test_what_an_author_says_is_fine_is_not_told(source: str, found: Found) -> None:
    assert found(source) == []


@pytest.mark.parametrize(
    "source",
    [
        "undefined  # dagster-ok: installs-packages",
        "x = 1\nx  # dagster-ok: never-defined\nundefined",
        "x = 1\n# dagster-ok: never-defined\nx\nundefined",
        "undefined  # dagster-okay",
    ],
)
def test_what_is_fine_elsewhere_is_told(source: str, found: Found) -> None:
    assert [f.rule for f in found(source)] == [NEVER]


def test_a_word_that_is_no_rule_is_told(found: Found) -> None:
    (finding,) = found("x = 1\nx  # dagster-ok: never-definde")
    assert (finding.rule, finding.line) == (UNKNOWN_RULE, 2)
    assert finding.text.startswith("`never-definde` is no rule. Did you mean `never-defined`?")


@pytest.mark.parametrize(
    ("source", "line", "reason"),
    [
        ("print 'x'", 1, "Missing parentheses in call to 'print'. Did you mean print(...)?"),
        ("x = 1\nif x\n    pass", 2, "expected ':'"),
        ("%timeit f(1,\n    2)", 2, "unexpected indent"),
    ],
)
def test_a_cell_that_is_no_python_is_told(
    source: str, line: int, reason: str, found: Found
) -> None:
    (finding,) = found(source)
    assert (finding.rule, finding.severity, finding.line) == (SYNTAX, Severity.WILL_FAIL, line)
    assert finding.text == f"is not valid Python ({reason}), so the run ends here: mend it"


@pytest.mark.parametrize(
    "source", ["%%bash\nls -l", "%%sql\nSELECT 1", "!ls\nx = !pwd\nls?", "await x()", "%ls -l\n1"]
)
def test_what_ipython_reads_is_no_fault_of_syntax(source: str, found: Found) -> None:
    assert found(source, rule=SYNTAX) == []


def test_a_python_newer_than_ours_is_not_judged() -> None:
    document = {
        "cells": [{"cell_type": "code", "id": "a", "metadata": {}, "source": "match x {}"}],
        "metadata": {
            "kernelspec": {"name": "python3", "language": "python"},
            "language_info": {"name": "python", "version": "3.99.0"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    assert findings(parse_notebook(document), Situation()) == []


def test_more_output_than_a_run_keeps_is_told() -> None:
    def told(text: str, **situation: Any) -> list[NightFinding]:
        stream = {"output_type": "stream", "name": "stdout", "text": [text]}
        cell = {"cell_type": "code", "id": "a", "metadata": {}, "source": "1", "outputs": [stream]}
        document = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        return findings(parse_notebook(document), Situation(**situation))

    (finding,) = told("x" * 1_500_000)
    assert (finding.rule, finding.text) == (
        OUTPUT,
        "put out 1.5 MB when it was last run, and a run keeps 1.0 MB of a cell, its beginning and "
        "end: print less, or write a file",
    )
    assert told("x" * 900_000) == []
    assert len(told("x" * 900_000, bytes_per_cell=500_000)) == 1


def test_a_finding_in_words_and_as_json(found: Found) -> None:
    (finding,) = found("1", "%pip install a")
    assert said(finding).startswith("cell 2, line 1: installs packages in every run: ")
    assert said(finding).endswith(" (installs-packages)")
    assert selector(finding) == "installs-packages:2"
    assert json.loads(json.dumps(as_json(finding)))["fixes"] == [
        {
            "kind": "role",
            "title": "Skip cell 2 at night",
            "arguments": {
                "edits": [
                    {"edit": "tags", "cell": 1, "cell_id": "c1", "add": ["skip"], "remove": []}
                ]
            },
        }
    ]


@pytest.mark.parametrize("name", ["features", "train", "report"])
def test_nothing_is_found_in_the_demo(name: str) -> None:
    folder = PACKAGE / "demo" / "notebooks"
    notebook = read_notebook(folder / f"{name}.ipynb")
    situation = Situation(folder=folder, project_root=PACKAGE / "demo")
    assert findings(notebook, situation) == []


def test_nothing_is_found_in_the_cells_of_the_docs() -> None:
    page = (ROOT / "docs" / "notebooks.md").read_text()
    sources = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert sources
    wrong = []
    for source in sources:
        document = {
            "cells": [{"cell_type": "code", "id": "a", "metadata": {}, "source": source}],
            "metadata": {"kernelspec": {"name": "python3", "language": "python"}},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
        # Cut out of their surroundings, blocks use what others define.
        found = [f for f in findings(parse_notebook(document), Situation()) if f.rule != NEVER]
        wrong += [(said(f), source) for f in found]
    assert wrong == []


def test_every_rule_is_explained() -> None:
    page = (ROOT / "docs" / "night.md").read_text()
    explained = re.findall(r"^\| `([a-z\d-]+)` \|", page, re.MULTILINE)
    assert sorted(explained) == sorted(RULES)


@pytest.mark.parametrize(
    "source",
    ["x = " + "+".join(["1"] * 5_000), "x = " + "(" * 90 + ")" * 90, "x" + ".y()" * 3_000],
    ids=["a long sum", "brackets", "a long chain"],
)
def test_code_that_no_one_writes_stops_nothing(source: str, found: Found) -> None:
    assert [f.rule for f in found(source, "%pip install x")][-1:] == [INSTALLS]
