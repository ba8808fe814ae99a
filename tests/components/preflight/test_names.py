"""Names in a run from top to bottom: what is missed, and above all what is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dagbook.notebook import parse_notebook
from dagbook.preflight.edits import apply_edits
from dagbook.preflight.finding import NightFinding, Severity
from dagbook.preflight.names import BEFORE, NEVER, SKIPPED
from dagbook.preflight.registry import findings
from dagbook.preflight.situation import Situation

Found = Callable[..., list[NightFinding]]
RULES = {BEFORE, NEVER, SKIPPED}


@pytest.fixture
def missed(found: Found) -> Callable[..., list[tuple[str, str, int, int]]]:
    """Rule, name, cell from 1 and line of each name that is missed."""

    def find(*cells: str | tuple[str, ...], **more: str) -> list[tuple[str, str, int, int]]:
        return [
            (f.rule, f.text.split("`")[-2 if "is called here" in f.text else 1], f.cell + 1, f.line)
            for f in found(*cells, **more)
            if f.rule in RULES
        ]

    return find


Missed = Callable[..., list[tuple[str, str, int, int]]]

SOUND = {
    "a name from above": ("x = 1", "x + 1"),
    "a builtin": ("print(len([]))",),
    "IPython's own": ("In, Out, _, __, _i, _12, display, get_ipython()",),
    "an import with dots": ("import os.path", "os.getcwd()"),
    "an import under another name": ("import numpy as np", "np.mean([1])"),
    "a loop variable afterwards": ("for i in range(3):\n    pass", "i"),
    "a with target": ("with open('x', 'w') as f:\n    pass", "f"),
    "unpacking": ("a, (b, *c) = 1, (2, 3)", "a, b, c"),
    "a walrus": ("if (n := 3) > 2:\n    pass", "n"),
    "a walrus in a comprehension": ("[y := i for i in range(3)]", "y"),
    "a match": ("match [1, {}]:\n    case [a, {**rest}]:\n        print(a, rest)",),
    "a class's own names": ("class A:\n    x = 1\n    y = x + 1\n    z = [x for x in range(y)]",),
    "a method and its class": ("class A:\n    def f(self):\n        return __class__, A",),
    "a comprehension's variable": ("[a + b for a in range(3) for b in range(a) if b]",),
    "a lambda's argument": ("f = lambda a, *b, c=1, **d: (a, b, c, d)",),
    "arguments and locals": ("def f(a, /, b, *, c=2):\n    d = a\n    del d\n    return b, c",),
    "a recursive function": ("def f(n):\n    return n and f(n - 1)", "f(2)"),
    "a function that uses what comes later": ("def f():\n    return x", "x = 1", "f()"),
    "a function called only below": ("def f():\n    g()", "def g():\n    pass", "f()"),
    "a nested function": ("def f():\n    x = 1\n    def g():\n        return x\n    return g()",),
    "nonlocal": (
        "def f():\n    x = 1\n    def g():\n        nonlocal x\n        x = 2\n    return g",
    ),
    "global": ("def f():\n    global made\n    made = 1", "f()", "made"),
    "global in a nested function": (
        "def f():\n    def g():\n        global made\n        made = 1\n    g()",
        "f()",
        "made",
    ),
    "a name made in a branch": ("import sys\nif sys.argv:\n    x = 1", "x"),
    "a name asked for": ("try:\n    x\nexcept NameError:\n    x = 1", "x"),
    "a name looked up": ("if 'x' not in globals():\n    x = 1\nelse:\n    print(x)", "x"),
    "a name in dir()": ("if 'x' in dir():\n    print(x)",),
    "suppressed": ("import contextlib\nwith contextlib.suppress(NameError):\n    del x",),
    "bound and deleted in a loop": ("for i in range(2):\n    a = i\n    del a",),
    "deleted in a branch": ("x = 1\nif x > 2:\n    del x", "x"),
    "from x import *": ("from math import *", "sin(pi)"),
    "exec": ("exec('a = 1')", "a"),
    "globals().update": ("globals().update(a=1)", "a"),
    "the namespace of the shell": ("get_ipython().user_ns['a'] = 1", "a"),
    "a shell's magic": ("get_ipython().run_line_magic('run', 'other.py')", "a"),
    "builtins": ("import builtins\nbuiltins.a = 1", "a"),
    "%time": ("%time x = 1", "x"),
    "%%time": ("%%time\nx = 1", "x"),
    "%%capture": ("%%capture said\nx = 1", "said, x"),
    "!ls": ("files = !ls", "files"),
    "a magic's value": ("x = %pwd", "x"),
    "%run": ("%run other.py", "a"),
    "%store -r": ("%store -r a", "a"),
    "%load_ext and an unknown magic": ("%load_ext sql", "%sql a << SELECT 1", "a"),
    "%%bash --out": ("%%bash --out said\nls", "said"),
    "%%timeit": ("%%timeit\nnever_kept = 1",),
    "automagic": ("pip list", "cd ..", "1"),
    "help": ("print?", "?print"),
    "a cell that is no Python": ("print 'x'", "x"),
    "in a cell that is expected to raise": (("undefined", "raises-exception"), "1"),
    "a kernel of Spark": ("spark.range(3)",),
    "an annotation": ("def f(a: 'DataFrame') -> Missing:\n    pass",),
    "a decorated class": ("import dataclasses\n@dataclasses.dataclass\nclass A:\n    x: int = 1",),
    "async": ("import asyncio\nawait asyncio.sleep(0)\nasync def f():\n    return later", "later = 1"),
    "a type parameter's old form": ("from typing import TypeVar\nT = TypeVar('T')",),
    "main": ("def main():\n    pass\nif __name__ == '__main__':\n    main()",),
    "an exception's name": ("try:\n    1\nexcept Exception as e:\n    print(e)",),
    "a generator is not run by its call": ("def f():\n    yield later", "g = f()", "later = 1"),
    "a decorated function is not followed": (
        "import functools\n@functools.cache\ndef f():\n    return later",
        "g = f",
        "later = 1",
    ),
    "after an early return": ("def f(a=1):\n    if a:\n        return\n    use_of(a)", "use_of = f"),
    "a required parameter": (("region: str", "parameters"), "region"),
    "an injected cell": (("region = 'DE'", "injected-parameters"), "region"),
    "only used in a skipped cell": (("undefined", "skip"), "1"),
}  # fmt: skip


@pytest.mark.parametrize("cells", SOUND.values(), ids=SOUND)
def test_nothing_is_missed_in(cells: tuple[str, ...], missed: Missed) -> None:
    assert missed(*cells) == []


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (("x", "x = 1"), (BEFORE, "x", 1, 1)),
        (("a = 1\nprint(a, x)", "b = 1", "x = 1"), (BEFORE, "x", 1, 2)),
        (("print(x)\nx = 1",), (BEFORE, "x", 1, 1)),
        (("x += 1", "x = 1"), (BEFORE, "x", 1, 1)),
        (("[x for _ in range(2)]", "x = 1"), (BEFORE, "x", 1, 1)),
        (("def f(a=x):\n    pass", "x = 1"), (BEFORE, "x", 1, 1)),
        (("class A(x):\n    pass", "x = object"), (BEFORE, "x", 1, 1)),
        (("class A:\n    y = x", "x = 1"), (BEFORE, "x", 1, 2)),
        (("def f():\n    return x", "f()", "x = 1"), (BEFORE, "x", 2, 1)),
        (("def f():\n    return x\ndef g():\n    f()", "g()", "x = 1"), (BEFORE, "x", 2, 1)),
        (("x = 1", "del x", "x"), (BEFORE, "x", 3, 1)),
        (("region", ("region = 1", "parameters")), (BEFORE, "region", 1, 1)),
        (("undefined",), (NEVER, "undefined", 1, 1)),
        (("f'{undefined}'",), (NEVER, "undefined", 1, 1)),
        (("del undefined",), (NEVER, "undefined", 1, 1)),
        (("__file__",), (NEVER, "__file__", 1, 1)),
        (("def f():\n    return undefined",), (NEVER, "undefined", 1, 2)),
        (("class A:\n    def f(self):\n        return undefined",), (NEVER, "undefined", 1, 3)),
        (("f = lambda: undefined",), (NEVER, "undefined", 1, 1)),
        (("%%time\n\nundefined",), (NEVER, "undefined", 1, 3)),
        (("!ls\nundefined\n%run x.py",), (NEVER, "undefined", 1, 2)),
        ((("x = 1", "skip"), "x"), (SKIPPED, "x", 2, 1)),
        (("# dagster: skip\nx = 1", "def f():\n    return x"), (SKIPPED, "x", 2, 2)),
    ],
)
def test_what_is_missed(
    cells: tuple[str | tuple[str, ...], ...], expected: tuple[str, str, int, int], missed: Missed
) -> None:
    assert missed(*cells) == [expected]


def test_a_name_is_missed_once(missed: Missed) -> None:
    assert missed("x\nx", "x") == [(NEVER, "x", 1, 1)]


@pytest.mark.parametrize(
    ("source", "severity"),
    [
        ("undefined", Severity.WILL_FAIL),
        ("for i in range(3):\n    undefined", Severity.WILL_FAIL),
        ("with open('x', 'w'):\n    undefined", Severity.WILL_FAIL),
        ("while True:\n    undefined\n    break", Severity.WILL_FAIL),
        ("if __name__ == '__main__':\n    undefined", Severity.WILL_FAIL),
        ("def f():\n    undefined\nf()", Severity.WILL_FAIL),
        ("import sys\nif sys.argv:\n    undefined", Severity.MAY_SURPRISE),
        ("1 and undefined", Severity.MAY_SURPRISE),
        ("1 if 2 else undefined", Severity.MAY_SURPRISE),
        ("def f():\n    undefined", Severity.MAY_SURPRISE),
        ("def f(a=0):\n    if a:\n        undefined\nf()", Severity.MAY_SURPRISE),
        ("def f(a=0):\n    if a:\n        return\n    undefined\nf()", Severity.MAY_SURPRISE),
    ],
)
def test_only_what_happens_in_every_run_will_fail(
    source: str, severity: Severity, found: Found
) -> None:
    (finding,) = found(source, rule=NEVER)
    assert finding.severity is severity


@pytest.mark.parametrize(
    ("cells", "text"),
    [
        (
            ("x", "x = 1"),
            "`x` is defined only in cell 2, and a run goes from top to bottom: move that cell up",
        ),
        (("x; x = 1",), "`x` is defined in this cell only further down: define it above"),
        (("x = 1", "del x", "x"), "`x` was deleted in cell 2: keep it until here"),
        (
            ("undefined",),
            "`undefined` is defined in no cell, so a run in a fresh kernel does not know it: "
            "define it",
        ),
        (
            ("def f():\n    return x", "f()", "x = 1"),
            "`f()` is called here and uses `x`, which is defined only in cell 3, and a run goes "
            "from top to bottom: move that cell up",
        ),
        (
            (("x = 1", "skip"), "x"),
            "`x` comes from cell 1, which a scheduled run leaves out: run that cell as well, or "
            "define it here",
        ),
        (
            ("__file__",),
            "`__file__` does not exist in a notebook: a run works in the notebook's folder",
        ),
    ],
)
def test_texts(cells: tuple[str, ...], text: str, found: Found) -> None:
    (finding,) = (f for f in found(*cells) if f.rule in RULES)
    assert finding.text == text


def cells_after(finding: NightFinding, sources: list[str]) -> list[str]:
    """The sources once the finding's first fix was applied."""
    document = {
        "cells": [
            {"id": f"c{number}", "cell_type": "code", "metadata": {}, "source": source}
            for number, source in enumerate(sources)
        ]
    }
    changed, undo = apply_edits(document, finding.fixes[0].arguments["edits"])
    assert apply_edits(changed, undo)[0] == document
    return [cell["source"] for cell in changed["cells"]]


def test_a_cell_is_moved_up(found: Found) -> None:
    sources = ["1", "x", "y = 1", "x = 2"]
    (finding,) = found(*sources, rule=BEFORE)
    assert finding.fixes[0].title == "Move cell 4 above cell 2"
    moved = cells_after(finding, sources)
    assert moved == ["1", "x = 2", "x", "y = 1"]
    assert found(*moved, rule=BEFORE) == []


@pytest.mark.parametrize(
    "cells",
    [
        ("x", "y = 1", "x = y"),  # needs what comes between
        ("x", "z = 1", "x = 1; z = 2"),  # sets what is set between
        ("y = 0", "x", "y = 1", "x = y"),  # would see another value
        ("x", ("x = 1", "parameters")),
        ("x", "%run other.py\nx = 1"),
    ],
)
def test_a_cell_that_cannot_simply_move_is_not_offered_to(
    cells: tuple[str | tuple[str, ...], ...], found: Found
) -> None:
    (finding,) = found(*cells, rule=BEFORE)
    assert finding.fixes == ()


def test_the_usual_import_is_added(found: Found) -> None:
    sources = ["# dagster: metrics\n\nmean = np.mean([1])"]
    (finding,) = found(*sources, rule=NEVER)
    assert finding.fixes[0].title == "Add `import numpy as np`"
    assert cells_after(finding, sources) == [
        "# dagster: metrics\n\nimport numpy as np\nmean = np.mean([1])"
    ]


def test_a_skipped_cell_is_run_again(found: Found) -> None:
    (by_tag,) = found(("x = 1", "skip", "mine"), "x", rule=SKIPPED)
    (edit,) = by_tag.fixes[0].arguments["edits"]
    assert edit["remove"] == ["skip"]
    sources = ["# dagster: skip\nx = 1", "x"]
    (by_line,) = found(*sources, rule=SKIPPED)
    assert by_line.fixes[0].title == "Run cell 1 at night as well"
    assert cells_after(by_line, sources) == ["x = 1", "x"]


def test_nothing_is_said_of_names_in_python_2() -> None:
    document = {
        "cells": [{"cell_type": "code", "id": "a", "metadata": {}, "source": "print xrange(3)"}],
        "metadata": {"kernelspec": {"name": "python2", "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    assert findings(parse_notebook(document), Situation()) == []
