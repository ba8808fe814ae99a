"""What a kernel is sent, and reading cells that are not quite Python."""

from __future__ import annotations

import ast
import random

import pytest
from IPython.core.inputtransformer2 import TransformerManager

from dagbook.cell_source import (
    kernel_source,
    logical_lines,
    other_language,
    parse_python,
    plain_python,
    why_not_python,
)


@pytest.mark.parametrize(
    ("source", "sent"),
    [
        pytest.param("x = 1\n", "x = 1\n", id="nothing of ours"),
        pytest.param("# dagster: skip\nx = 1", "# dagster: skip\nx = 1", id="a comment stays"),
        pytest.param("%%dagster skip\nx = 1", "# %%dagster skip\nx = 1", id="a magic becomes one"),
        pytest.param("\n%%dagster skip\nx", "\n# %%dagster skip\nx", id="below a blank line"),
        pytest.param("  %%dagster skip\nx", "# %%dagster skip\nx", id="indented"),
        pytest.param(
            "# dagster: metrics\n%%time\nx = 1", "%%time\nx = 1", id="comment over %%time"
        ),
        pytest.param("%%dagster metrics\n%%time\nx = 1", "%%time\nx = 1", id="magic over %%time"),
        pytest.param("%%dagster metrics\n\n%%time\nx", "%%time\nx", id="%%time after a blank line"),
        pytest.param("%%dagster skip\n%%!\nls", "%%!\nls", id="over %%!"),
        pytest.param("%%dagster\nretries: 2", "", id="a settings cell"),
        pytest.param("%dagster form", "pass", id="a line magic"),
        pytest.param("%dagster", "pass", id="a bare line magic"),
        pytest.param("if x:\n    %dagster form\ny", "if x:\n    pass\ny", id="in a block"),
        pytest.param("%dagster run \\\n  --now\nx", "pass\n\nx", id="continued"),
        pytest.param("a = %dagster runs\nx", "a = None\nx", id="assigned"),
        pytest.param("%load_ext dagbook\nx", "pass\nx", id="loading the magics"),
        pytest.param("%reload_ext dagbook_magics\nx", "pass\nx", id="loading them again"),
        pytest.param("%%time\n%dagster form\nx", "%%time\npass\nx", id="below %%time"),
        pytest.param(
            "%%dagster check a\nfor x in y:\n  %dagster form\n  assert x",
            "# %%dagster check a\nfor x in y:\n  pass\n  assert x",
            id="both",
        ),
        pytest.param(
            "!echo it's \"(\n%dagster form\nx", "!echo it's \"(\npass\nx", id="after odd shell text"
        ),
    ],
)
def test_our_lines_never_reach_the_kernel(source: str, sent: str) -> None:
    assert kernel_source(source, "python") == sent


@pytest.mark.parametrize(
    "source",
    [
        pytest.param('text = """\n%dagster form\n"""', id="in a string"),
        pytest.param("text = '''\n%%dagster skip\n'''", id="in a string of other quotes"),
        pytest.param("x = (17\n%dagster\n)", id="a remainder"),
        pytest.param("x = 17 \\\n%dagster", id="a remainder, continued"),
        pytest.param("x = [\n'a', # it's\n'%dagster'\n]", id="a quote in a comment"),
        pytest.param("%dagster_other form", id="another magic"),
        pytest.param("%load_ext dagbooks", id="another extension"),
        pytest.param("# %dagster form", id="a comment"),
        pytest.param("%%bash\n%dagster form", id="another language"),
        pytest.param("%%writefile x.py\n%load_ext dagbook", id="a file that is written"),
        pytest.param("print('%dagster')", id="an argument"),
    ],
)
def test_what_only_looks_like_our_lines_is_left_alone(source: str) -> None:
    assert kernel_source(source, "python") == source


def test_other_languages_only_lose_their_first_line() -> None:
    assert kernel_source("%%dagster skip\nx <- 1", "R") == "# %%dagster skip\nx <- 1"
    assert kernel_source("%%dagster skip\nval x = 1", "scala") == "// %%dagster skip\nval x = 1"
    assert kernel_source("# dagster: skip\n%dagster form", "R") == "# dagster: skip\n%dagster form"
    assert kernel_source("% dagster: skip\n%% Title\nx", "matlab") == (
        "% dagster: skip\n%% Title\nx"
    )


ODD_LINES = [
    "x = 1",
    "%matplotlib inline",
    "!pip install it's",
    "?len",
    "len?",
    "ast.parse??",
    "%timeit -n 3 f(')')",
    "%time y = 3",
    "files = !ls *.py",
    "names['a'] = %who_ls",
    "s = 'a % b'",
    "s = \"it's (\" # it's",
    's = """',
    '"""',
    "t = f'{x!r:>{10}}'",
    "def f(a,",
    "      b): pass",
    "if x:",
    "    !ls",
    "    %cd ..",
    "    z = 5 \\",
    "    % 3",
    "y = x % 2",
    "# comment with ( and '",
    "x = [1, 2,",
    "%dagster form",
    ")",
    "]",
    "",
    "r'\\'",
    "%%dagster skip",
    "\\",
    "%load_ext dagbook",
    "\t",
    "é = 'ü'",
    "print(f\"{names['a']}\")",
]


def odd_cells() -> list[str]:
    """Many cells, the same on every run, of lines that people really leave behind."""
    choose = random.Random(20260101)
    return ["\n".join(choose.choices(ODD_LINES, k=choose.randrange(1, 9))) for _ in range(2_000)]


def test_line_numbers_hold_whatever_a_cell_contains() -> None:
    for source in odd_cells():
        sent = kernel_source(f"# dagster: skip\n{source}", "python").split("\n")
        written = source.split("\n")
        if len(sent) <= len(written):
            continue  # our line was dropped above a cell magic
        assert len(sent) == len(written) + 1
        for ours, theirs in zip(sent[1:], written, strict=True):
            assert ours == theirs or ours.strip() in ("pass", "") or ours.endswith("= None")


def test_reading_odd_cells_never_fails() -> None:
    for source in odd_cells():
        parse_python(source)
        plain_python(source)
        why_not_python(source)
        first = 0
        for line in logical_lines(source):
            assert line.first == first
            assert line.text.count("\n") == line.last - line.first
            first = line.last + 1


def test_a_cell_that_ipython_understands_is_understood() -> None:
    """Whatever is Python once IPython has rewritten its magics is Python to us as well."""
    ipython = TransformerManager()
    understood = 0
    for source in odd_cells():
        try:
            expected = ast.parse(ipython.transform_cell(source))
        except SyntaxError:
            continue
        if "%%dagster" in source or "?" in source or "\\" in source.split("\n"):
            continue  # ours; help, for which IPython drops lines; continuing nothing
        module = parse_python(source)
        assert module is not None, source
        assert _assigned(module) == _assigned(expected) | _timed(source), source
        understood += 1
    assert understood > 200


@pytest.mark.parametrize("line", ["?len", "len?", "ast.parse??", "%time?", "names[0]?  # what"])
def test_asking_for_help_does_not_hide_the_rest_of_a_cell(line: str) -> None:
    module = parse_python(f"x = 1\n{line}\ny = 2")
    assert module is not None
    assert _assigned(module) == {"x", "y"}


def _assigned(module: ast.Module) -> set[str]:
    return {
        node.id
        for node in ast.walk(module)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def _timed(source: str) -> set[str]:
    """IPython hands `%time y = 3` on as text; we read the assignment in it."""
    lines = (line for line in logical_lines(source) if line.is_magic)
    return {"y"} if any(line.text.startswith("%time y") for line in lines) else set()


@pytest.mark.parametrize(
    ("source", "language"),
    [
        ("%%bash\nls", "bash"),
        ("%%time\n%%bash\nls", "bash"),
        ("\n%%writefile x.py\nx = 1", "writefile"),
        ("%%!\nls", "!"),
        ("%%time\nx = 1", None),
        ("%%capture out\n%%time\nx = 1", None),
        ("x = 1", None),
    ],
)
def test_a_cell_magic_says_what_is_below_it(source: str, language: str | None) -> None:
    assert other_language(source) == language
    assert (parse_python(source) is None) == (language is not None)


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("x = 1\ny = = 2", (2, "invalid syntax")),
        ("%%bash\nls", (None, "it is a `%%bash` cell")),
        ("x = 1\x00", (None, "source code string cannot contain null bytes")),
        ("(" * 500, (1, "too many nested parentheses")),
    ],
)
def test_why_a_cell_is_not_python(source: str, why: tuple[int | None, str]) -> None:
    assert parse_python(source) is None
    line, reason = why_not_python(source)
    assert (line, reason) == why or reason  # the words differ between Python versions
    assert "\n" not in reason


def test_an_invalid_escape_in_a_cell_warns_nobody(recwarn: pytest.WarningsRecorder) -> None:
    assert parse_python("x = '\\d'") is not None
    assert list(recwarn) == []


def test_r_strings_and_comments_hide_their_brackets() -> None:
    source = "a <- 'it (is\nlong'\n# it's (\nb <- \"(\"\nc <- r\"(quote \" here)\"\nd <- ''\ne <- 1"
    assert [line.text for line in logical_lines(source, "R")] == [
        "a <- 'it (is\nlong'",
        "# it's (",
        'b <- "("',
        'c <- r"(quote " here)"',
        "d <- ''",
        "e <- 1",
    ]
