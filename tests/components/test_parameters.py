"""What a parameters cell declares, read without running it."""

from __future__ import annotations

import math
from typing import Any

import pytest

from dagbook.errors import DagbookError
from dagbook.parameters import Parameter, read_parameters

WHERE = "churn.ipynb, cell 2"


def read(source: str, language: str = "python") -> tuple[Parameter, ...]:
    return read_parameters(source, language=language, where=WHERE)


def only(source: str, language: str = "python") -> Parameter:
    (parameter,) = read(source, language)
    return parameter


def test_a_parameter_is_read_whole() -> None:
    source = "# dagster: parameters\n\nalpha: float = 0.5  # smoothing, between 0 and 1"
    assert only(source) == Parameter(
        name="alpha",
        type="float",
        annotation="float",
        default=0.5,
        default_known=True,
        default_text="0.5",
        required=False,
        nullable=False,
        choices=None,
        help="smoothing, between 0 and 1",
        line=3,
    )


@pytest.mark.parametrize(
    ("literal", "kind", "default"),
    [
        ("1", "int", 1),
        ("-1", "int", -1),
        ("1_000", "int", 1000),
        ("0.5", "float", 0.5),
        ("-1e-3", "float", -0.001),
        ("float('inf')", "float", math.inf),
        ("'a'", "str", "a"),
        ("'a' 'b'", "str", "ab"),
        ("True", "bool", True),
        ("None", "any", None),
        ("[1, -2]", "list", [1, -2]),
        ("(1, 'a')", "list", [1, "a"]),
        ("{'a': [1]}", "dict", {"a": [1]}),
        ("[]", "list", []),
        ("date(2026, 1, 31)", "date", "2026-01-31"),
        ("datetime.date(2026, 1, 31)", "date", "2026-01-31"),
        ("dt.datetime(2026, 1, 31, hour=6)", "datetime", "2026-01-31T06:00:00"),
    ],
)
def test_a_literal_default_gives_type_and_value(literal: str, kind: str, default: Any) -> None:
    parameter = only(f"x = {literal}")
    assert (parameter.type, parameter.default_known, parameter.default) == (kind, True, default)
    assert type(parameter.default) is type(default)
    assert parameter.default_text == literal


@pytest.mark.parametrize(
    "expression",
    [
        "len(rows)",
        "2 * 3",
        "other",
        "f'{x}'",
        "{1, 2}",
        "{1: 2}",
        "b'a'",
        "1j",
        "...",
        "date.today()",
    ],
)
def test_a_computed_default_is_not_evaluated(expression: str) -> None:
    parameter = only(f"x = {expression}")
    assert (parameter.type, parameter.default_known, parameter.default) == ("any", False, None)
    assert parameter.default_text == expression
    assert not parameter.required


@pytest.mark.parametrize(
    ("annotation", "kind", "nullable", "choices"),
    [
        ("int", "int", False, None),
        ("float", "float", False, None),
        ("str", "str", False, None),
        ("bool", "bool", False, None),
        ("list", "list", False, None),
        ("list[int]", "list", False, None),
        ("typing.List[int]", "list", False, None),
        ("tuple[int, ...]", "list", False, None),
        ("Sequence[str]", "list", False, None),
        ("dict[str, int]", "dict", False, None),
        ("Mapping[str, int]", "dict", False, None),
        ("date", "date", False, None),
        ("datetime.date", "date", False, None),
        ("datetime.datetime", "datetime", False, None),
        ("Any", "any", False, None),
        ("pd.Timestamp", "any", False, None),
        ("int | None", "int", True, None),
        ("None | int", "int", True, None),
        ("Optional[str]", "str", True, None),
        ("Union[float, None]", "float", True, None),
        ("int | float", "float", False, None),
        ("int | str", "any", False, None),
        ("int | str | None", "any", True, None),
        ("Annotated[int, 'rows']", "int", False, None),
        ("Final[int]", "int", False, None),
        ("'int | None'", "int", True, None),
        ("'not a ( type'", "any", False, None),
        ("Literal['a', 'b']", "str", False, ("a", "b")),
        ("typing.Literal[1, 2]", "int", False, (1, 2)),
        ("Literal['a', 1]", "any", False, ("a", 1)),
        ("Literal['a', None]", "str", True, ("a",)),
        ("Optional[Literal['a', 'b']]", "str", True, ("a", "b")),
        ("Literal['a'] | Literal['b']", "str", False, ("a", "b")),
        ("Literal[Color.RED]", "any", False, None),
    ],
)
def test_an_annotation_says_what_is_allowed(
    annotation: str, kind: str, nullable: bool, choices: tuple[Any, ...] | None
) -> None:
    parameter = only(f"x: {annotation}")
    assert (parameter.type, parameter.nullable, parameter.choices) == (kind, nullable, choices)
    assert parameter.annotation == annotation
    assert parameter.required
    assert parameter.default_text is None


def test_a_default_of_none_makes_an_annotated_parameter_nullable() -> None:
    parameter = only("x: int = None")
    assert (parameter.type, parameter.nullable, parameter.required) == ("int", True, False)


@pytest.mark.parametrize(
    ("comment", "kind", "annotation", "help_"),
    [
        ("# type: float", "float", "float", ""),
        ("# type: float how smooth", "float", "float", "how smooth"),
        ("# type: dict[str, int]  # by name", "dict", "dict[str, int]", "by name"),
        ("# type: Optional[int] or nothing", "int", "Optional[int]", "or nothing"),
        ("# type: ignore[assignment]", "int", None, ""),
        ("# the type: int", "int", None, "the type: int"),
    ],
)
def test_a_type_comment_counts_as_papermill_reads_it(
    comment: str, kind: str, annotation: str | None, help_: str
) -> None:
    parameter = only(f"x = 1  {comment}")
    assert (parameter.type, parameter.annotation, parameter.help) == (kind, annotation, help_)


@pytest.mark.parametrize(
    ("source", "help_"),
    [
        pytest.param("x = 1  # behind", "behind", id="behind"),
        pytest.param("# above\nx = 1", "above", id="above"),
        pytest.param("# above,\n# in two lines\nx = 1\n", "above, in two lines", id="two lines"),
        pytest.param("# above\nx = 1  # behind", "behind", id="behind wins"),
        pytest.param("x = [\n    1,\n]  # behind the end", "behind the end", id="over lines"),
        pytest.param("x = [  # behind the start\n    1,\n]", "behind the start", id="at the start"),
        pytest.param("x = '# no comment'", "", id="a sign in a string"),
        pytest.param("# far above\n\nx = 1", "", id="a blank line between"),
        pytest.param("# ---- model ----\nx = 1", "model", id="a ruler"),
        pytest.param("# Parameters\nx = 1", "", id="the word parameters"),
        pytest.param("# x = 2\nx = 1", "", id="commented out"),
        pytest.param("# dagster: parameters\nx = 1", "", id="our own line"),
        pytest.param("# dagster: parameters\n# above\nx = 1", "above", id="below our line"),
        pytest.param("x: int  # first\nx = 1", "first", id="declared, then set"),
    ],
)
def test_the_comment_is_the_help(source: str, help_: str) -> None:
    assert only(source).help == help_


def test_a_comment_above_several_lines_heads_them_and_helps_none() -> None:
    source = "# the model\ndepth = 3\ntrees = 10\n\n# how fast\nrate = 0.1"
    assert [(p.name, p.help) for p in read(source)] == [
        ("depth", ""),
        ("trees", ""),
        ("rate", "how fast"),
    ]


def test_only_names_set_at_the_top_level_are_parameters() -> None:
    source = (
        "from datetime import date\nimport os\n_private = 1\na = b = 1\nc, d = 2, 'x'\n"
        "e, f = pair()\nos.environ['A'] = '1'\nobj.x = 1\nif a:\n    g = 1\ndef h():\n    i = 1\n"
        "print(a)\na += 1\n"
    )
    assert [(p.name, p.type, p.default, p.default_text) for p in read(source)] == [
        ("a", "int", 1, "1"),
        ("b", "int", 1, "1"),
        ("c", "int", 2, "2"),
        ("d", "str", "x", "'x'"),
        ("e", "any", None, "pair()"),
        ("f", "any", None, "pair()"),
    ]


def test_the_last_assignment_is_the_default() -> None:
    parameter = only("x = 1\nx = 'a'")
    assert (parameter.default, parameter.type, parameter.line) == ("a", "str", 2)


def test_magics_in_the_cell_do_not_disturb() -> None:
    source = "%%time\n%matplotlib inline\n!echo it's\n%dagster form\nx = 1  # help"
    parameter = only(source)
    assert (parameter.name, parameter.help, parameter.line) == ("x", "help", 5)


@pytest.mark.parametrize("source", ["", "# nothing yet", "\n\n", "%matplotlib inline"])
def test_an_empty_parameters_cell_declares_nothing(source: str) -> None:
    assert read(source) == ()


def test_a_cell_that_is_not_python_is_refused_with_its_line() -> None:
    with pytest.raises(DagbookError) as caught:
        read("x = 1\ny = = 2")
    assert str(caught.value) == (
        f"{WHERE}, line 2: the parameters cell is not valid Python (invalid syntax)."
    )
    with pytest.raises(DagbookError) as caught:
        read("%%bash\nx=1")
    assert str(caught.value) == (
        f"{WHERE}: the parameters cell is not valid Python (it is a `%%bash` cell)."
    )


def test_r_assignments_are_read() -> None:
    source = (
        "# dagster: parameters\nrows <- 5L  # how many\nrate = 0.5\nname <- 'a # b'\nflag <- TRUE\n"
        "none <- NULL\nlevels <- c(1, 2)\nlate <- Sys.Date()\nf <- function(x) {\n  y <- 1\n}\n"
        'if (flag) z <- 1\nx == 3\nmy.name <- "b"'
    )
    assert [(p.name, p.type, p.default, p.default_known, p.help) for p in read(source, "R")] == [
        ("rows", "int", 5, True, "how many"),
        ("rate", "float", 0.5, True, ""),
        ("name", "str", "a # b", True, ""),
        ("flag", "bool", True, True, ""),
        ("none", "any", None, True, ""),
        ("levels", "list", [1.0, 2.0], True, ""),
        ("late", "any", None, False, ""),
        ("f", "any", None, False, ""),
        ("my.name", "str", "b", True, ""),
    ]


def test_bash_assignments_are_read() -> None:
    source = (
        "# dagster: parameters\n# how many\nROWS=5\n\nexport NAME='a b'\nDAY=2026-01-31\nCODE=007\n"
        'HOME_DIR="$HOME/x"\nEMPTY=\necho x=1\nif [ $ROWS = 5 ]; then\n  y=1\nfi\n'
    )
    assert [(p.name, p.type, p.default, p.help, p.line) for p in read(source, "bash")] == [
        ("ROWS", "int", 5, "how many", 3),
        ("NAME", "str", "a b", "", 5),
        ("DAY", "str", "2026-01-31", "", 6),
        ("CODE", "str", "007", "", 7),
        ("HOME_DIR", "any", None, "", 8),
        ("EMPTY", "str", "", "", 9),
    ]


@pytest.mark.parametrize(
    ("language", "line", "name", "default"),
    [
        ("julia", "x = 1  # help", "x", 1),
        ("julia", "x::Float64 = 0.5  # help", "x", 0.5),
        ("scala", 'val x: String = "a"  // help', "x", "a"),
        ("c#", "double x = 1.5; // help", "x", 1.5),
        ("matlab", "x = true; % help", "x", True),
        ("powershell", "$x = 3 # help", "x", 3),
        ("ruby", "x = [1, 2] # help", "x", [1, 2]),
    ],
)
def test_plain_assignments_of_other_languages_are_read_as_any(
    language: str, line: str, name: str, default: Any
) -> None:
    parameter = only(f"{line}\nfor i = 1:10", language)
    assert (parameter.name, parameter.type, parameter.default) == (name, "any", default)
    assert parameter.help == "help"
