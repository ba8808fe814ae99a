"""Values given for parameters: refused before a kernel starts, with the nearest right one."""

from __future__ import annotations

import datetime
import json
import math
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dagbook.errors import DagbookError
from dagbook.notebook import Notebook, parse_notebook, resolve_parameters


def notebook(*sources: str, language: str = "python") -> Notebook:
    return parse_notebook(
        {
            "nbformat": 4,
            "nbformat_minor": 5,
            "metadata": {"language_info": {"name": language}},
            "cells": [
                {"cell_type": "code", "source": source, "metadata": {}, "outputs": []}
                for source in sources
            ],
        },
        Path("churn.ipynb"),
    )


DECLARED = """# dagster: parameters
from typing import Literal
count: int = 1
rate: float = 0.5
name: str = "a"
flag: bool = False
items: list[int] = []
table: dict[str, int] = {}
day: date = date(2026, 1, 1)
at: datetime = None
model: Literal["linear", "forest"] = "forest"
level: Literal[1, 2] = 1
maybe: int | None = 3
free = compute()
mixed: Literal["auto", 1, 2] = "auto"
"""


def resolve(_from_text: bool = False, /, **given: Any) -> Any:
    resolved = resolve_parameters(notebook(DECLARED), given, from_text=_from_text)
    assert list(resolved) == list(given)
    json.dumps(resolved)
    (value,) = resolved.values()
    return value


def refusal(_from_text: bool = False, /, **given: Any) -> str:
    with pytest.raises(DagbookError) as caught:
        resolve_parameters(notebook(DECLARED), given, from_text=_from_text)
    text = str(caught.value)
    assert text.startswith("churn.ipynb: ")
    assert "\n" not in text
    return text.removeprefix("churn.ipynb: ")


class Colour(StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    ("name", "value", "resolved"),
    [
        ("count", 3, 3),
        ("count", 10**50, 10**50),
        ("rate", 3, 3.0),
        ("rate", 0.25, 0.25),
        ("rate", np.float64(0.25), 0.25),
        ("rate", math.inf, math.inf),
        ("name", "", ""),
        ("name", Colour.RED, "red"),
        ("name", datetime.date(2026, 1, 31), "2026-01-31"),
        ("name", datetime.datetime(2026, 1, 31, 6), "2026-01-31T06:00:00"),
        ("flag", True, True),
        ("items", [1, "a", [None]], [1, "a", [None]]),
        ("items", (1, 2), [1, 2]),
        ("items", [datetime.date(2026, 1, 31)], ["2026-01-31"]),
        ("table", {"a": {"b": 1}}, {"a": {"b": 1}}),
        ("day", "2026-01-31", "2026-01-31"),
        ("day", datetime.date(2026, 1, 31), "2026-01-31"),
        ("at", "2026-01-31T06:00:00+00:00", "2026-01-31T06:00:00+00:00"),
        ("at", "2026-01-31", "2026-01-31"),
        ("at", datetime.datetime(2026, 1, 31, 6), "2026-01-31T06:00:00"),
        ("at", None, None),
        ("model", "linear", "linear"),
        ("level", 2, 2),
        ("maybe", None, None),
        ("maybe", 4, 4),
        ("free", {"a": [1.5, None]}, {"a": [1.5, None]}),
        ("free", None, None),
        ("mixed", 2, 2),
    ],
)
def test_a_right_value_is_brought_to_its_type(name: str, value: Any, resolved: Any) -> None:
    result = resolve(**{name: value})
    assert result == resolved
    assert type(result) is type(resolved)


def test_nan_is_a_float() -> None:
    assert math.isnan(resolve(rate=math.nan))


@pytest.mark.parametrize(
    ("name", "value", "answer"),
    [
        ("count", "3", "an int, not the text '3'; write it without quotes."),
        ("count", 3.0, "an int, not the float 3.0; write 3."),
        ("count", 3.5, "an int, not the float 3.5."),
        ("count", True, "an int, not the bool True."),
        ("count", None, "an int, not nothing (null); leave it out to keep the default."),
        ("count", np.int64(3), "an int, not an int64."),
        ("rate", "0.5", "a float, not the text '0.5'; write it without quotes."),
        ("rate", "fast", "a float, not the text 'fast'."),
        ("rate", False, "a float, not the bool False."),
        ("name", 3, "a str, not the int 3; put it in quotes."),
        ("name", ["a"], "a str, not a list."),
        ("flag", 1, "a bool (true or false), not the int 1."),
        ("flag", "true", "a bool (true or false), not the text 'true'; write it without quotes."),
        ("items", "a", "a list, not the text 'a'."),
        ("items", {1}, "a list, not a set."),
        ("table", [1], "a dict, not a list."),
        ("day", "31.01.2026", "a date (YYYY-MM-DD), not the text '31.01.2026'."),
        (
            "day",
            "2026-02-30",
            "a date (YYYY-MM-DD), not the text '2026-02-30'; there is no such day.",
        ),
        ("day", datetime.datetime(2026, 1, 1), "a date (YYYY-MM-DD), not a datetime."),
        ("at", "soon", "a date and time (YYYY-MM-DDTHH:MM:SS), not the text 'soon'."),
        ("name", b"x" * 99, "a str, not a bytes."),
    ],
)
def test_a_wrong_value_is_refused_with_the_remedy(name: str, value: Any, answer: str) -> None:
    assert refusal(**{name: value}) == f"parameter `{name}` must be {answer}"


def test_a_long_value_is_not_repeated_whole() -> None:
    assert refusal(count="x" * 500) == (
        f"parameter `count` must be an int, not the text '{'x' * 39}…."
    )


endless: list[Any] = []
endless.append(endless)


@pytest.mark.parametrize(
    ("name", "value", "answer"),
    [
        pytest.param("count", 10**5_000, "is too large a number.", id="huge int"),
        pytest.param("free", [10**5_000], "is too large a number.", id="huge int in a list"),
        pytest.param("rate", 10**400, "is too large a number for a float.", id="huge float"),
        pytest.param(
            "table", {1: 2}, "has keys that are not text; write them in quotes.", id="key"
        ),
        pytest.param(
            "items", [{1}], "holds a set, which no notebook can hold; convert it first.", id="set"
        ),
        pytest.param(
            "free",
            np.zeros(2),
            "holds a numpy.ndarray, which no notebook can hold; convert it first.",
            id="array",
        ),
        pytest.param("items", endless, "contains itself.", id="endless"),
    ],
)
def test_a_value_no_notebook_can_hold_is_refused(name: str, value: Any, answer: str) -> None:
    assert refusal(**{name: value}) == f"parameter `{name}` {answer}"


def test_a_value_outside_the_choices_is_refused_nearest_first() -> None:
    assert refusal(model="forrest") == (
        "parameter `model` cannot be the text 'forrest'. "
        "Did you mean `forest`? Known: forest, linear"
    )
    assert refusal(level=3) == "parameter `level` cannot be the int 3. Known: 1, 2"
    assert refusal(mixed=True) == "parameter `mixed` cannot be the bool True. Known: auto, 1, 2"


@pytest.mark.parametrize(
    ("name", "text", "resolved"),
    [
        ("count", "3", 3),
        ("count", " -1_000 ", -1000),
        ("rate", "3", 3.0),
        ("rate", "1e-3", 0.001),
        ("rate", "inf", math.inf),
        ("name", "3", "3"),
        ("name", " as typed ", " as typed "),
        ("name", "", ""),
        ("name", "None", "None"),
        ("flag", "true", True),
        ("flag", "Yes", True),
        ("flag", "1", True),
        ("flag", "FALSE", False),
        ("flag", "off", False),
        ("items", "[1, 2]", [1, 2]),
        ("items", "('a', None)", ["a", None]),
        ("table", '{"a": true}', {"a": True}),
        ("table", "{'a': 1}", {"a": 1}),
        ("day", "2026-01-31", "2026-01-31"),
        ("at", "2026-01-31 06:00", "2026-01-31 06:00"),
        ("maybe", "none", None),
        ("maybe", "4", 4),
        ("model", "linear", "linear"),
        ("level", "2", 2),
        ("free", "3", 3),
        ("free", "true", True),
        ("free", "None", None),
        ("free", "[1, 'a']", [1, "a"]),
        ("free", "007", "007"),
        ("free", "2026-10-10", "2026-10-10"),
        ("free", "{1, 2}", "{1, 2}"),
        ("free", "two words", "two words"),
        ("mixed", "2", 2),
        ("mixed", "auto", "auto"),
    ],
)
def test_typed_text_is_parsed_by_the_type(name: str, text: str, resolved: Any) -> None:
    result = resolve(True, **{name: text})
    assert result == resolved
    assert type(result) is type(resolved)


@pytest.mark.parametrize(
    ("name", "text", "answer"),
    [
        ("count", "3.0", "an int, not the text '3.0'."),
        ("count", "", "an int, not the text ''."),
        ("count", "9" * 5_000, f"an int, not the text '{'9' * 39}…."),
        ("rate", "fast", "a float, not the text 'fast'."),
        ("flag", "2", "a bool (true or false), not the text '2'."),
        ("items", "a,b", "a list, not the text 'a,b'; write it as [1, 2]."),
        ("items", '{"a": 1}', "a list, not the text '{\"a\": 1}'; write it as [1, 2]."),
        ("table", "a=1", "a dict, not the text 'a=1'; write it as {\"key\": 1}."),
        ("day", "today", "a date (YYYY-MM-DD), not the text 'today'."),
    ],
)
def test_typed_text_of_the_wrong_type_is_refused(name: str, text: str, answer: str) -> None:
    assert refusal(True, **{name: text}) == f"parameter `{name}` must be {answer}"


def test_values_that_are_typed_already_pass_beside_typed_text() -> None:
    assert resolve(True, count=3) == 3


def test_an_unknown_name_is_refused_nearest_first() -> None:
    assert refusal(cuont=1) == (
        "there is no parameter `cuont`. Did you mean `count`? "
        "Known: count, at, name, rate, items, model, table, day, …"
    )


@pytest.mark.parametrize(
    "name", ["a b", "x; import os", "1x", "", "class", "x=1\nimport os", "a-b", "__import__('os')"]
)
def test_a_name_that_is_no_variable_is_refused(name: str) -> None:
    assert refusal(**{name: 1}) == f"{name!r} cannot be a parameter, it is no variable's name."


def test_a_name_that_is_no_text_is_refused() -> None:
    with pytest.raises(DagbookError) as caught:
        resolve_parameters(notebook(DECLARED), {3: 1})  # type: ignore[dict-item]
    assert str(caught.value) == (
        "churn.ipynb: '3' cannot be a parameter, it is no variable's name."
    )


def test_a_notebook_without_parameters_cell_says_how_to_mark_one() -> None:
    plain = notebook("x = 1")
    assert resolve_parameters(plain, {}) == {}
    with pytest.raises(DagbookError) as caught:
        resolve_parameters(plain, {"x": 2})
    assert str(caught.value) == (
        "churn.ipynb: has no parameters cell, so `x` cannot be set; give the cell with the "
        "defaults the tag `parameters`, or begin it with `# dagster: parameters`."
    )


def test_a_required_parameter_must_be_given() -> None:
    asking = notebook("x = 1", "# dagster: parameters\nday: str\nrows: int\nrate = 0.1")
    with pytest.raises(DagbookError) as caught:
        resolve_parameters(asking, {"rate": 1})
    assert str(caught.value) == (
        "churn.ipynb, cell 2: parameters `day`, `rows` have no default; give a value, or write a "
        "default in the cell."
    )
    with pytest.raises(DagbookError) as caught:
        resolve_parameters(asking, {"rows": 1})
    assert str(caught.value) == (
        "churn.ipynb, cell 2: parameter `day` has no default; give a value, or write a default "
        "in the cell."
    )
    assert resolve_parameters(asking, {"rows": 1}, complete=False) == {"rows": 1}
    assert resolve_parameters(asking, {"rows": 1, "day": "x"}) == {"rows": 1, "day": "x"}


def test_a_parameters_cell_with_nothing_in_it_knows_no_names() -> None:
    with pytest.raises(DagbookError) as caught:
        resolve_parameters(notebook("# dagster: parameters"), {"x": 1})
    assert str(caught.value) == "churn.ipynb: there is no parameter `x`. There are none."


def test_r_names_may_have_dots_and_its_numbers_may_be_whole() -> None:
    script = notebook("# dagster: parameters\nmy.rate <- 1", language="R")
    assert resolve_parameters(script, {"my.rate": 2}) == {"my.rate": 2.0}
    with pytest.raises(DagbookError) as caught:
        resolve_parameters(script, {"x <- system('ls')": 2})
    assert str(caught.value) == (
        "churn.ipynb: \"x <- system('ls')\" cannot be a parameter, it is no variable's name."
    )


TOKEN = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"


def test_a_value_that_looks_like_a_credential_is_refused_and_not_shown() -> None:
    for given in ({"name": TOKEN}, {"table": {"a": TOKEN}}, {"unknown": TOKEN}, {"count": TOKEN}):
        (name,) = given
        with pytest.raises(DagbookError) as refused:
            resolve_parameters(notebook(DECLARED), given)
        assert str(refused.value) == (
            f"churn.ipynb: parameter `{name}` looks like a GitHub token, and parameters are kept "
            "with every run: name a connection under `resources` in its component, and read it in "
            f'the notebook with `os.environ["{name.upper()}"]`.'
        )


def test_what_is_called_a_credential_is_refused_whatever_it_holds() -> None:
    cell = "# dagster: parameters\npassword: str = ''\nmax_tokens = 5\ntoken = 'x'"
    with pytest.raises(DagbookError) as refused:
        resolve_parameters(notebook(cell), {"password": "hunter2"}, from_text=True)
    assert str(refused.value) == (
        "churn.ipynb: parameter `password` is called a credential, and parameters are kept with "
        "every run: name a connection under `resources` in its component, and read it in the "
        'notebook with `os.environ["PASSWORD"]`.'
    )
    given = {"password": "", "max_tokens": "4096", "token": "BTC"}
    assert resolve_parameters(notebook(cell), given, from_text=True) == {
        "password": "",
        "max_tokens": 4096,
        "token": "BTC",
    }


@pytest.mark.parametrize("language", ["python", "R"])
def test_a_default_that_is_a_credential_is_refused_and_not_shown(language: str) -> None:
    cell = "# dagster: parameters\ndays = 3\ndb_password = 'hunter2'"
    with pytest.raises(DagbookError) as refused:
        resolve_parameters(notebook("1", cell, language=language), {})
    assert str(refused.value) == (
        "churn.ipynb, cell 2: the default of `db_password` is called a credential, and parameters "
        "are kept with every run: name a connection under `resources` in its component, and read "
        'it in the notebook with `os.environ["DB_PASSWORD"]`.'
    )
