"""Which names a metrics cell reports: what it assigns at its top level, nothing that passes."""

from __future__ import annotations

import pytest

from dagbook.metric_names import assigned_names, keeps_nothing


@pytest.mark.parametrize(
    ("source", "names"),
    [
        pytest.param("auc = 0.9\nloss = 0.1", "auc loss", id="assignments"),
        pytest.param("b = 1\na = 2\nb = 3", "b a", id="order of appearance, each once"),
        pytest.param("auc: float = 0.9", "auc", id="annotated"),
        pytest.param("auc: float", "", id="annotated without a value"),
        pytest.param("total += 1", "total", id="augmented"),
        pytest.param("a = b = 1", "a b", id="chained"),
        pytest.param("a, (b, [c]) = 1, (2, [3])", "a b c", id="unpacked"),
        pytest.param("first, *rest = scores", "first", id="starred is a list"),
        pytest.param("if (n := len(rows)) > 1:\n    print(n)", "n", id="walrus"),
        pytest.param("print(auc := 0.9)", "auc", id="walrus in a call"),
        pytest.param("[last := x for x in xs]", "", id="walrus in a comprehension"),
        pytest.param("if a:\n    x = 1\nelse:\n    y = 2", "x y", id="if and else"),
        pytest.param(
            "try:\n    x = 1\nexcept E as e:\n    y = 2\nfinally:\n    z = 3", "x y z", id="try"
        ),
        pytest.param("with open(p) as f:\n    n = 1", "n", id="with"),
        pytest.param("while True:\n    n = 1\n    break", "n", id="while"),
        pytest.param("match v:\n    case [a, b]:\n        c = 1", "c", id="match"),
        pytest.param("for i, j in xs:\n    s = i\nelse:\n    t = 1", "s t", id="for"),
        pytest.param("i = 0\nfor i in xs:\n    pass", "", id="a loop variable assigned before"),
        pytest.param("async for i in xs:\n    s = i", "s", id="async for"),
        pytest.param("x = 1\ndel x", "", id="deleted again"),
        pytest.param("_x = 1\n__y = 2", "", id="private"),
        pytest.param("import numpy as np\nfrom a import b", "", id="imports"),
        pytest.param("def f():\n    x = 1", "", id="in a function"),
        pytest.param("class A:\n    x = 1", "", id="in a class"),
        pytest.param("f = lambda: (x := 1)", "f", id="in a lambda"),
        pytest.param("a.b = 1\nc['d'] = 2", "", id="attributes and items"),
        pytest.param("await_ = await f()", "await_", id="top-level await"),
        pytest.param("# dagster: metrics\nauc = 1", "auc", id="our comment"),
        pytest.param("%%time\nauc = 1", "auc", id="%%time"),
        pytest.param("%%capture out\n%%time\nauc = 1", "auc", id="two cell magics"),
        pytest.param("%time auc = score()", "auc", id="%time"),
        pytest.param("if 1:\n    %time auc = score()", "auc", id="%time in a block"),
        pytest.param("!ls it's\nauc = 1\n%matplotlib inline\nhelp?", "auc", id="magics around"),
        pytest.param("files = !ls\nauc = 1", "files auc", id="shell output"),
        pytest.param("  auc = 1\n  loss = 2", "auc loss", id="indented as a whole"),
        pytest.param("auc = = 1", "", id="not Python"),
        pytest.param("", "", id="empty"),
        pytest.param("größe = 1", "größe", id="unicode"),
    ],
)
def test_python_names(source: str, names: str) -> None:
    assert assigned_names(source, "python") == tuple(names.split())


@pytest.mark.parametrize(
    ("source", "names"),
    [
        pytest.param("auc <- 0.9\nloss = 0.1\n0.5 -> f1", "auc loss f1", id="all arrows"),
        pytest.param("auc <<- 0.9\n0.5 ->> f1", "auc f1", id="global arrows"),
        pytest.param("a <- b <- 3", "a b", id="chained"),
        pytest.param("a <- 1; b <- 2", "a b", id="semicolon"),
        pytest.param("test.auc <- 0.9", "test.auc", id="dotted"),
        pytest.param(".hidden <- 1", "", id="hidden"),
        pytest.param("f <- function(x) {\n  y <- x\n  y\n}\nz <- f(1)", "f z", id="function body"),
        pytest.param("if (TRUE) {\n  x <- 1\n}", "", id="inside braces"),
        pytest.param("g(x = 1, y <- 2)", "", id="arguments"),
        pytest.param("names(x) <- 'a'\nx$a <- 1\nx[1] <- 2", "", id="parts of a variable"),
        pytest.param("a == 1\nb <= 2\nc != 3\nd >= 4", "", id="comparisons"),
        pytest.param("x <- 'a -> b'\n# c <- 1\ny <- 1  # -> z", "x y", id="strings and comments"),
        pytest.param("x <- 'one (\ntwo <- 2'\ny <- 1", "x y", id="a string over lines"),
        pytest.param("rows %>%\n  nrow() -> n", "n", id="a pipe"),
        pytest.param("x <- c(1,\n  y = 2)\nz <- 1", "x z", id="a call over lines"),
        pytest.param("for (i in 1:3) s <- i", "", id="a loop"),
    ],
)
def test_r_names(source: str, names: str) -> None:
    assert assigned_names(source, "R") == tuple(names.split())


def test_a_cell_nested_deeper_than_python_recurses_is_no_error() -> None:
    deep = "x = " + "-" * 5_000 + "1"
    assert assigned_names(deep, "python") in ((), ("x",))
    assert assigned_names("y = " + "+".join(["1"] * 5_000), "python") in ((), ("y",))


@pytest.mark.parametrize(
    ("source", "magic"),
    [
        ("%%bash\nx=1", "bash"),
        ("%%timeit\nx = 1", "timeit"),
        ("%%time\n%%timeit\nx = 1", "timeit"),
        ("%%time\nx = 1", None),
        ("x = 1", None),
    ],
)
def test_some_cell_magics_leave_no_variables(source: str, magic: str | None) -> None:
    assert keeps_nothing(source) == magic
