"""Keyboards, debuggers, screens, browsers; runs that end too early or never."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dagbook.preflight.endings import ENDLESS, EXITS
from dagbook.preflight.finding import NightFinding, Severity
from dagbook.preflight.interactive import BROWSER, DEBUGGER, KEYBOARD, SCREEN, WIDGETS

Found = Callable[..., list[NightFinding]]
FAIL, SURPRISE = Severity.WILL_FAIL, Severity.MAY_SURPRISE
RULES = {KEYBOARD, DEBUGGER, SCREEN, WIDGETS, BROWSER, EXITS, ENDLESS}


@pytest.mark.parametrize(
    ("source", "rule", "severity", "line"),
    [
        ("name = input()", KEYBOARD, FAIL, 1),
        ("n = int(input('how many? '))", KEYBOARD, FAIL, 1),
        ("def ask():\n    return input()", KEYBOARD, SURPRISE, 2),
        ("import os\nif os.name:\n    input()", KEYBOARD, SURPRISE, 3),
        ("breakpoint()", DEBUGGER, FAIL, 1),
        ("import pdb\npdb.set_trace()", DEBUGGER, FAIL, 2),
        ("import ipdb; ipdb.set_trace()", DEBUGGER, FAIL, 1),
        ("from IPython.core.debugger import set_trace\nset_trace()", DEBUGGER, FAIL, 2),
        ("import IPython\nIPython.embed()", DEBUGGER, FAIL, 2),
        ("%pdb on", DEBUGGER, SURPRISE, 1),
        ("%pdb", DEBUGGER, SURPRISE, 1),
        ("import os\n%matplotlib qt", SCREEN, FAIL, 2),
        ("%matplotlib tk", SCREEN, FAIL, 1),
        ("import matplotlib\nmatplotlib.use('TkAgg')", SCREEN, FAIL, 2),
        ("import matplotlib as mpl\nmpl.use('Qt5Agg')", SCREEN, FAIL, 2),
        ("%matplotlib notebook", WIDGETS, SURPRISE, 1),
        ("%matplotlib widget", WIDGETS, SURPRISE, 1),
        ("import webbrowser\nwebbrowser.open('x')", BROWSER, SURPRISE, 2),
        ("%%javascript\nJupyter.notebook.save_checkpoint()", BROWSER, SURPRISE, 1),
        (
            "from IPython.display import Javascript\nJavascript('IPython.notebook.execute()')",
            BROWSER,
            SURPRISE,
            2,
        ),
        ("while True:\n    print(1)", ENDLESS, FAIL, 1),
        ("while 1:\n    for i in []:\n        break", ENDLESS, FAIL, 1),
        ("import os\nos._exit(0)", EXITS, FAIL, 2),
        ("import sys\nsys.exit(1)", EXITS, FAIL, 2),
        ("raise SystemExit('no data')", EXITS, FAIL, 1),
    ],
)
def test_what_is_told(source: str, rule: str, severity: Severity, line: int, found: Found) -> None:
    told = [f for f in found(source) if f.rule in RULES]
    assert [(f.rule, f.severity, f.line) for f in told] == [(rule, severity, line)]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ('x <- readline("who? ")', [(KEYBOARD, FAIL)]),
        ("x <- read.csv(file.choose())", [(KEYBOARD, FAIL)]),
        ("f <- function() {\n  readline()\n}", [(KEYBOARD, SURPRISE)]),
        ("if (interactive()) readline()", []),
        ('# readline("who? ")', []),
        ("session$readline()", []),
    ],
)
def test_questions_in_r(source: str, told: list[tuple[str, Severity]], found: Found) -> None:
    assert [(f.rule, f.severity) for f in found(source, language="R")] == told


@pytest.mark.parametrize(
    "source",
    [
        "def input(text):\n    return 1\ninput('x')",
        "form.input()",
        "try:\n    input()\nexcept Exception:\n    pass",
        "%debug",
        "%pdb off",
        "logger.embed()",
        "%matplotlib inline",
        "%matplotlib agg",
        "%matplotlib",
        "import matplotlib\nmatplotlib.use('Agg')",
        "style.use('TkAgg')",
        "%%javascript\nelement.append('x')",
        "from IPython.display import Javascript\nJavascript('alert(1)')",
        "while True:\n    break",
        "while True:\n    if done():\n        break\ndef done():\n    return 1",
        "while True:\n    for i in []:\n        pass\n    else:\n        break",
        "while True:\n    raise ValueError",
        "while True:\n    sys.exit()",
        "while True:\n    next(rows)",
        "while True:\n    try:\n        work()\n    except KeyboardInterrupt:\n        break",
        "while x:\n    pass",
        "def serve():\n    while True:\n        pass",
        "def stop():\n    sys.exit(1)",
        "if x:\n    sys.exit(1)",
        "import sys\nsys.exit(0)",
        "exit()",
        "raise ValueError",
        "app.exit()",
    ],
)
def test_what_is_not_told(source: str, found: Found) -> None:
    assert [f.rule for f in found(source) if f.rule in RULES] == []


@pytest.mark.parametrize(
    ("source", "severity", "text"),
    [
        (
            "import sys\nsys.exit()",
            SURPRISE,
            "`sys.exit()` ends the run here, and no cell below is run: take it out, or skip this "
            "cell at night",
        ),
        (
            "raise SystemExit",
            SURPRISE,
            "`raise SystemExit` ends the run here, and no cell below is run: take it out, or skip "
            "this cell at night",
        ),
        (
            "import sys\nsys.exit(3)",
            FAIL,
            "`sys.exit()` with `3` makes the run fail: take it out, or skip this cell at night",
        ),
        (
            "exit()",
            SURPRISE,
            "`exit()` ends the kernel a moment later, while the cells below run: take it out, or skip "
            "this cell at night",
        ),
        (
            "quit",
            SURPRISE,
            "`quit` ends the kernel a moment later, while the cells below run: take it out, or skip "
            "this cell at night",
        ),
    ],
)
def test_what_ends_the_run_above_other_cells(
    source: str, severity: Severity, text: str, found: Found
) -> None:
    (finding,) = found(source, "print(1)", rule=EXITS)
    assert (finding.severity, finding.text) == (severity, text)
    assert finding.fixes[0].title == "Skip cell 1 at night"
    assert found((source, "skip"), "print(1)", rule=EXITS) == []


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (
            "input()",
            "`input()` asks at the keyboard, and at night nobody answers: make the value a parameter",
        ),
        (
            "breakpoint()",
            "`breakpoint()` waits for somebody at a debugger, and nobody is there: take it out",
        ),
        (
            "%pdb on",
            "`%pdb` waits at a debugger after an error, and nobody is there, so a run hides what "
            "went wrong: take it out",
        ),
        (
            "%matplotlib qt",
            "`%matplotlib qt` opens windows, and a scheduled run has no screen: use "
            "`%matplotlib inline`",
        ),
        (
            "%matplotlib widget",
            "`%matplotlib widget` makes plots that live in an open notebook; of a run, they show a "
            "picture at most: use `%matplotlib inline`",
        ),
        (
            "while True:\n    pass",
            "nothing leaves this loop, so the run goes on until its time limit ends it: give it an "
            "end, or skip the cell at night",
        ),
    ],
)
def test_texts(source: str, text: str, found: Found) -> None:
    assert [f.text for f in found(source) if f.rule in RULES] == [text]


def test_a_backend_is_replaced(found: Found) -> None:
    (finding,) = found("import os\n%matplotlib qt5", rule=SCREEN)
    (edit,) = finding.fixes[0].arguments["edits"]
    assert (edit["line"], edit["before"], edit["after"]) == (
        2,
        ["%matplotlib qt5"],
        ["%matplotlib inline"],
    )
