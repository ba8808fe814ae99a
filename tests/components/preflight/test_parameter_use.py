"""Parameters that are overwritten, and values that are worth one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dagbook.preflight.edits import apply_edits
from dagbook.preflight.finding import NightFinding, Severity
from dagbook.preflight.parameter_use import OVERWRITTEN, WORTH

Found = Callable[..., list[NightFinding]]
Cells = tuple[str | tuple[str, ...], ...]
PARAMETERS = ("region: str = 'DE'\ndays = 7", "parameters")


def after_first_fix(finding: NightFinding, cells: Cells) -> list[tuple[str, list[str]]]:
    """Source and tags of each cell once the fix was applied; it can be taken back."""
    stored: list[dict[str, Any]] = []
    for number, cell in enumerate(cells):
        source, *tags = (cell,) if isinstance(cell, str) else cell
        stored.append(
            {
                "id": f"c{number}",
                "cell_type": "code",
                "metadata": {"tags": tags} if tags else {},
                "source": source,
            }
        )
    document = {"cells": stored}
    changed, undo = apply_edits(document, finding.fixes[0].arguments["edits"])
    assert apply_edits(changed, undo)[0] == document
    return [(cell["source"], cell["metadata"].get("tags", [])) for cell in changed["cells"]]


@pytest.mark.parametrize(
    ("cells", "place"),
    [
        ((PARAMETERS, "region = 'FR'", "print(region)"), (1, 1)),
        ((PARAMETERS, "print(1)", "x = 1\nregion = load()\nprint(region)"), (2, 2)),
        ((PARAMETERS, "print(region)", "region = 'FR'", "print(region)"), (2, 1)),
        ((PARAMETERS, "import region"), (1, 1)),
        ((PARAMETERS, "for region in regions:\n    print(region)"), (1, 1)),
    ],
)
def test_a_parameter_that_loses_its_value_is_told(
    cells: Cells, place: tuple[int, int], found: Found
) -> None:
    (finding,) = found(*cells, rule=OVERWRITTEN)
    assert (finding.cell, finding.line) == place
    assert finding.severity is Severity.MAY_SURPRISE
    assert finding.text == (
        "`region` is a parameter and is set anew here, so a value given to a run has no effect "
        "from here on: take this line out, or use another name"
    )


@pytest.mark.parametrize(
    "cells",
    [
        (PARAMETERS, "region = region.lower()"),
        (PARAMETERS, "print(region)", "region = other(1)", "print(region)"),
        (PARAMETERS, "print(region)", "region = 'FR'"),
        (PARAMETERS, "if not region:\n    region = 'FR'", "print(region)"),
        (PARAMETERS, "region += 'x'"),
        (PARAMETERS, "def f(region):\n    region = 1\n    return region"),
        (PARAMETERS, "[region for region in 'ab']"),
        (PARAMETERS, ("region = 'FR'", "skip"), "print(region)"),
        (PARAMETERS, ("region = 'FR'", "injected-parameters"), "print(region)"),
        ("region = 'FR'", "print(region)"),
        (PARAMETERS, "%run other.py", "region = 'FR'"),
    ],
)
def test_parameters_that_have_their_effect_are_not_told(cells: Cells, found: Found) -> None:
    assert found(*cells, rule=OVERWRITTEN) == []


def test_the_line_becomes_a_comment(found: Found) -> None:
    cells = (PARAMETERS, "x = 1\nregion = (\n    'FR'\n)\nprint(region)")
    (finding,) = found(*cells, rule=OVERWRITTEN)
    changed = after_first_fix(finding, cells)
    assert changed[1][0] == "x = 1\n# region = (\n#     'FR'\n# )\nprint(region)"


@pytest.mark.parametrize(
    "line", ["region, x = 1, 2", "region = x = 1", "x = 1; region = 2", "import region"]
)
def test_a_line_that_does_more_has_no_fix(line: str, found: Found) -> None:
    (finding,) = found(PARAMETERS, line, "print(region)", rule=OVERWRITTEN)
    assert finding.fixes == ()


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ('start = "2026-01-01"', "the day 2026-01-01"),
        ('month = "2026-01"', "2026-01"),
        ('start: str = "2026-01-01 06:00"', "the day 2026-01-01 06:00"),
        ("from datetime import date\nstart = date(2026, 1, 1)", "the day 2026-01-01"),
        ("import datetime\nstart_day = datetime.datetime(2026, 1, 1)", "the day 2026-01-01"),
        ('import pandas as pd\nend = pd.Timestamp("2026-01-01")', "the day 2026-01-01"),
        ('country = "DE"', "'DE'"),
        ('COUNTRY_CODE = "DE"', "'DE'"),
        ('market = "USA"', "'USA'"),
    ],
)
def test_a_value_worth_a_parameter_is_told(source: str, value: str, found: Found) -> None:
    name = source.split("\n")[-1].replace(":", " ").split()[0]
    (finding,) = found(source, f"print({name})", rule=WORTH)
    assert finding.severity is Severity.MAY_SURPRISE
    assert finding.text == (
        f"`{name}` is {value} in every run: make it a parameter, and each run can have another "
        "value"
    )


@pytest.mark.parametrize(
    "cells",
    [
        ('start = "2026-01-01"',),  # not used
        ('start = "2026-01-01"\nstart = "2026-02-01"', "print(start)"),
        ('start = "1970-01-01"', "print(start)"),
        ('days = ["2026-01-01"]', "print(days)"),
        ('version = "2026-13-01"', "print(version)"),
        ('label = "DE"', "print(label)"),
        ('country = "Germany"', "print(country)"),
        ('country = "de"', "print(country)"),
        ('def f():\n    start = "2026-01-01"\n    return start', "f()"),
        ('if x:\n    start = "2026-01-01"', "print(start)"),
        (('start = "2026-01-01"', "parameters"), "print(start)"),
        (('start = "2026-01-01"', "skip"), "print(start)"),
        (*(f"print({n})" for n in range(6)), 'start = "2026-01-01"', "print(start)"),
        ('birthday = birth(2026, 1, 1)', "print(birthday)"),
        ("from datetime import date\nlimit = date(2026, 1, 1)", "print(limit)"),
    ],
)  # fmt: skip
def test_values_that_nobody_would_change_are_not_told(cells: Cells, found: Found) -> None:
    assert found(*cells, rule=WORTH) == []


def test_a_cell_of_plain_values_becomes_the_parameters_cell(found: Found) -> None:
    cells = ('# of the report\ncountry = "DE"\nsizes = [1, 2]', "print(country)")
    (finding,) = found(*cells, rule=WORTH)
    (fix,) = finding.fixes
    assert (fix.kind, fix.title) == ("parameter", "Make it a parameter")
    assert after_first_fix(finding, cells)[0] == (cells[0], ["parameters"])


def test_a_value_among_other_code_gets_a_parameters_cell(found: Found) -> None:
    cells = ('import os\ncountry = "DE"\nprint(country)',)
    (finding,) = found(*cells, rule=WORTH)
    assert after_first_fix(finding, cells) == [
        ('country = "DE"', ["parameters"]),
        ("import os\nprint(country)", []),
    ]


def test_a_value_goes_to_the_parameters_cell_there_is(found: Found) -> None:
    cells = (("days = 7  # back", "parameters"), 'import os\ncountry = "DE"', "print(country)")
    (finding,) = found(*cells, rule=WORTH)
    assert after_first_fix(finding, cells)[:2] == [
        ('days = 7  # back\ncountry = "DE"', ["parameters"]),
        ("import os", []),
    ]


@pytest.mark.parametrize(
    "cells",
    [
        ('country = "DE"; x = os', "print(country)"),
        ("from datetime import date\nstart = date(2026, 1, 1)", "print(start)"),
        ('import os\ncountry = "DE"', "print(country)", ("days = 7", "parameters")),
    ],
)
def test_a_value_that_cannot_simply_move_has_no_fix(cells: Cells, found: Found) -> None:
    (finding,) = found(*cells, rule=WORTH)
    assert finding.fixes == ()
