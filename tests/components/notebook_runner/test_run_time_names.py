"""Names in braces: exact names, filled in when a run starts, typed by the notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dagbook.errors import DagbookError, did_you_mean
from dagbook.notebook_runner.run_time_names import RUN_TIME_NAMES, fill_in, names_in

if TYPE_CHECKING:
    from conftest import Workbench

VALUES: dict[str, Any] = {"attempt": 2, "partition_key": "DE", "run_id": "{{ attempt }}"}


@pytest.mark.parametrize(
    ("value", "filled"),
    [
        ("{{ attempt }}", 2),
        ("{{attempt}}", 2),
        ("  {{ attempt }}\n", 2),
        ("try {{ attempt }} of {{ partition_key }}", "try 2 of DE"),
        ({"a": ["x", "{{ partition_key }}"]}, {"a": ["x", "DE"]}),
        ({"{{ attempt }}": 1}, {"{{ attempt }}": 1}),
        ("{ attempt } {%if%} {#x#} %(attempt)s", "{ attempt } {%if%} {#x#} %(attempt)s"),
        (None, None),
        (3.5, 3.5),
        ("{{ run_id }}", "{{ attempt }}"),
    ],
    ids=str,
)
def test_names_are_filled_in_and_nothing_else_is_touched(value: Any, filled: Any) -> None:
    assert fill_in(value, VALUES.__getitem__) == filled


@pytest.mark.parametrize(
    "inside", ["attempt + 1", "attemp", "env.HOME", "", "run_id[0]", "attempt }}{{ x", "''.join"]
)
def test_an_expression_is_refused_like_any_unknown_name(inside: str) -> None:
    name = inside.partition(" }}")[0] if "}}" in inside else inside
    wrong = "x" if "}}" in inside else name.strip()

    with pytest.raises(DagbookError) as error:
        fill_in(f"{{{{ {inside} }}}}", VALUES.__getitem__)

    assert str(error.value) == (
        f"`{{{{ {wrong} }}}}` is no name that a run knows. {did_you_mean(wrong, RUN_TIME_NAMES)}. "
        "Only exact names are filled in: expressions belong in the notebook"
    )


def test_names_are_found_with_their_place() -> None:
    value = {"a": ["{{ x }}", {"b": "{{ y }} {{z}}"}]}

    assert list(names_in(value, ("parameters",))) == [
        (("parameters", "a", 0), "x"),
        (("parameters", "a", 1, "b"), "y"),
        (("parameters", "a", 1, "b"), "z"),
    ]


def test_every_name_has_a_value_in_a_run(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGBOOK_ENVIRONMENT", "staging")
    names = list(RUN_TIME_NAMES)
    declared = "\n".join(f"{name}: str = ''" for name in names if name != "attempt")
    bench.notebook(
        "n.ipynb",
        [
            (f"attempt: int = 0\n{declared}", ["parameters"]),
            "import dagbook\nassert attempt == 1\nassert environment == 'staging'",
            *[f"assert {name} == dagbook.context.{name}, {name}" for name in names],
            *[f"assert {name} not in ('', None, 'sample')" for name in names],
        ],
    )
    given = "\n".join(f'  {name}: "{{{{ {name} }}}}"' for name in names)
    bench.component(
        "n",
        "notebook: n.ipynb\npartitions: {type: daily, start_date: 2026-01-01}\n"
        f"parameters:\n{given}",
    )

    ran = bench.run("n", partition="2026-02-03")

    assert ran.success
    assert ran.metadata["parameters"]["environment"] == "staging"


def test_text_from_braces_is_read_by_the_parameters_type(bench: Workbench) -> None:
    bench.notebook(
        "n.ipynb",
        [
            ("from datetime import date\nday: date = None\nnumber: int = 0", ["parameters"]),
            "assert str(day)[:10] == '2026-02-03', day\nassert number == 1",
        ],
    )
    bench.component(
        "n",
        """
        notebook: n.ipynb
        partitions: {type: daily, start_date: 2026-01-01}
        parameters: {day: "{{ partition_key }}", number: "{{ attempt }}"}
        """,
    )

    assert bench.run("n", partition="2026-02-03").success
