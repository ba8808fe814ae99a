"""What is said to fail does fail, in a real kernel."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dagbook.execution import RunStatus, run_notebook
from dagbook.notebook import Notebook
from dagbook.preflight.finding import Severity
from dagbook.preflight.registry import findings
from dagbook.preflight.situation import Situation

FAILING = [
    ("x", "x = 1"),
    ("def f():\n    return x", "f()", "x = 1"),
    ("x = 1", "del x", "x"),
    ("class A:\n    y = 1\n    z = [y for _ in range(2)]",),
    ("__file__",),
    (("x = 1", "skip"), "x"),
    ("from .ours import x",),
    ("import nowhere_to_be_found",),
    ("open('gone.txt')",),
    ("input()",),
    ("breakpoint()",),
    ("from IPython.core.debugger import set_trace\nset_trace()",),
    ("%matplotlib qt",),
    ("import matplotlib\nmatplotlib.use('TkAgg')\nimport matplotlib.pyplot as p\np.plot([1])",),
    ("import sys\nsys.exit(1)",),
    ("import sys", "raise SystemExit('no data')"),
    ("import os\nos._exit(0)",),
    ("%timeit f(1,\n    2)",),
]


@pytest.mark.parametrize("cells", FAILING, ids=[str(cells[-1])[:30] for cells in FAILING])
def test_what_is_said_to_fail_fails(
    cells: tuple[str | tuple[str, ...], ...], notebook_of: Callable[..., Notebook]
) -> None:
    notebook = notebook_of(*cells)
    assert notebook.path is not None
    folder = notebook.path.parent
    situation = Situation(folder=folder, project_root=folder, importable=frozenset({"IPython"}))
    found = findings(notebook, situation)
    assert [f.severity for f in found][:1] == [Severity.WILL_FAIL]
    result = run_notebook(notebook, {}, timeout=120)
    assert result.status in (RunStatus.FAILED, RunStatus.KILLED)
    failed = result.failed_cell
    assert failed is not None
    assert failed.index == found[0].cell
