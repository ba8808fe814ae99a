"""The form's fields: what goes in comes out, empty says nothing, braces stay as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dagbook.notebook_runner import NotebookRunnerComponent
from dagbook.notebook_runner.form_schema import form_schema
from dagbook_magics.form.field import Field
from dagbook_magics.form.making import make_field
from dagbook_magics.form.shape import UNSET, Kind, shape_of
from dagbook_magics.form.text_values import NotAValue, shown, typed


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The real component's schema, as every surface has it."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "churn.ipynb").write_text("{}")
    return form_schema(NotebookRunnerComponent, folder, "churn.ipynb")


def field_of(schema: dict[str, Any], look: dict[str, Any] | None = None) -> Field:
    whole = {"type": "object", "properties": {"it": schema}, "$defs": schema.pop("$defs", {})}
    made = make_field(shape_of(whole, look))
    return made.children()["it"]


def problems(field: Field) -> list[tuple[Any, str]]:
    return list(field.own_problems())


EVERYTHING: list[dict[str, Any]] = [
    {"notebook": "churn.ipynb"},
    {"notebook": "churn.ipynb", "schedule": {"cron": "0 6 * * *", "timezone": "Europe/Berlin"}},
    {"notebook": "churn.ipynb", "schedule": {"cron": "*/7 1-3 * * *", "timezone": "UTC"}},
    {
        "notebook": "churn.ipynb",
        "schedule": {"cron": "15 * * * *", "timezone": "UTC", "own_job": True},
    },
    {"notebook": "churn.ipynb", "compute_size": "medium"},
    {"notebook": "churn.ipynb", "compute_size": "{{ env.SIZE }}"},
    {"notebook": "churn.ipynb", "parameters": {"since": "{{ data_interval_start }}", "n": 3}},
    {"notebook": "churn.ipynb", "parameters": {"text": "3", "flag": True, "l": [1, "a"]}},
    {"notebook": "churn.ipynb", "partitions": {"type": "daily", "start_date": "2026-01-01"}},
    {"notebook": "churn.ipynb", "partitions": {"type": "static", "values": ["DE", "FR"]}},
    {"notebook": "churn.ipynb", "retries": 2},
    {"notebook": "churn.ipynb", "retries": {"max": 2, "on": ["error"], "delay_seconds": 60}},
    {"notebook": "churn.ipynb", "limits": {"max_runtime_hours": 2.5}},
    {"notebook": "churn.ipynb", "timeout": 600},
    {"notebook": "churn.ipynb", "monitoring": {"track_metrics": ["runtime"]}},
    {"notebook": "churn.ipynb", "monitoring": {"track_metrics": []}},
    {"notebook": "churn.ipynb", "experiment": {"name": "churn", "tags": ["q3"]}},
    {"notebook": "churn.ipynb", "experiment": {"tags": {"team": "growth"}}},
    {"notebook": "churn.ipynb", "engine": "dagstermill", "dagstermill": {"inputs": {"a": "b/c"}}},
    {"notebook": "churn.ipynb", "owners": ["team:growth", "someone@example.com"]},
    {"notebook": "churn.ipynb", "tags": {"tier": "gold", "level": 3, "year": "2026"}},
    {"notebook": "churn.ipynb", "description": "Two\nlines", "deps": ["raw/events"]},
    {"notebook": "churn.ipynb", "something_new": {"a": [1, {"b": None}]}},
]


@pytest.mark.parametrize("attributes", EVERYTHING, ids=lambda a: " ".join([*a][1:]) or "least")
def test_what_goes_in_comes_out(real: dict[str, Any], attributes: dict[str, Any]) -> None:
    form = make_field(shape_of(real["schema"], real["ui"]))
    form.set(attributes)
    assert form.value == attributes
    assert problems(form) == []


def test_every_attribute_has_a_field_of_a_kind_that_fits(real: dict[str, Any]) -> None:
    kinds = {part.key: part.kind for part in shape_of(real["schema"], real["ui"]).properties}
    assert kinds.keys() == real["schema"]["properties"].keys()
    assert {key for key, kind in kinds.items() if kind is Kind.ANY} == set()


def test_an_empty_form_asks_for_what_is_needed(real: dict[str, Any]) -> None:
    form = make_field(shape_of(real["schema"], real["ui"]))
    form.set({"engine": "dagbook"})
    assert problems(form) == [(("notebook",), "is needed")]


def test_going_back_to_empty_leaves_nothing(real: dict[str, Any]) -> None:
    form = make_field(shape_of(real["schema"], real["ui"]))
    for attributes in EVERYTHING[:-1]:
        form.set(attributes)
        form.set({"notebook": "churn.ipynb"})
        assert form.value == {"notebook": "churn.ipynb"}


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        ({"type": "string"}, " DE ", "DE"),
        ({"type": "string"}, "  ", UNSET),
        ({"type": "integer"}, "1_000", 1000),
        ({"type": "integer"}, "{{ partition_key }}", "{{ partition_key }}"),
        ({"type": "number"}, "2.50", 2.5),
        ({"type": "number"}, "", UNSET),
        ({}, "3", 3),
        ({}, '"3"', "3"),
        ({}, "[1, 2]", [1, 2]),
        ({}, "DE", "DE"),
        ({}, "True", True),
    ],
    ids=str,
)
def test_what_is_typed(schema: dict[str, Any], text: str, value: Any) -> None:
    assert typed(shape_of(schema), text) == value


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("max_runtime_hours", "2", 2.0),
        ("max_runtime_hours", "90 min", 1.5),
        ("max_runtime_hours", "1,5 h", 1.5),
        ("delay_seconds", "2 minutes", 120.0),
        ("max_cost_usd", "20 USD", 20.0),
        ("max_cost_usd", "$20", 20.0),
    ],
)
def test_amounts_are_read_with_their_unit(name: str, text: str, value: float) -> None:
    whole = shape_of({"type": "object", "properties": {name: {"type": "number"}}})
    assert typed(whole.properties[0], text) == value


@pytest.mark.parametrize(
    ("schema", "text", "said"),
    [
        ({"type": "integer"}, "two", "two is not a number"),
        ({"type": "integer"}, "2.5", "2.5 is not a whole number"),
        ({"type": "integer"}, "nan", "nan is not a number that can be used here"),
        ({"type": "number", "exclusiveMinimum": 0}, "0", "0 is too little: more than 0"),
        ({"type": "integer", "maximum": 3}, "4", "4 is too much: at most 3"),
    ],
)
def test_what_is_no_value_is_told(schema: dict[str, Any], text: str, said: str) -> None:
    with pytest.raises(NotAValue) as refused:
        typed(shape_of(schema), text)
    assert str(refused.value) == said


@pytest.mark.parametrize("value", ["3", "true", "[1]", "null", "DE", "{{ run_id }}", 3, 2.5, True])
def test_a_value_of_any_type_is_shown_as_it_would_be_typed(value: Any) -> None:
    shape = shape_of({})
    assert typed(shape, shown(shape, value)) == value


def test_a_forbidden_choice_is_shown_and_refused_with_the_reason() -> None:
    field = field_of(
        {
            "type": "string",
            "default": "small",
            "oneOf": [
                {"const": "small", "title": "small (2 CPU)"},
                {"const": "big", "title": "big", "disabled": True, "reason": "big is for nlp."},
            ],
        }
    )
    assert [label for label, _ in field._input.options] == [
        "default: small (2 CPU)", "small (2 CPU)", "✕ big",
    ]  # fmt: skip
    field.set("big")
    assert problems(field) == [((), "big is for nlp.")]


def test_an_error_stands_at_the_field_it_is_about(real: dict[str, Any]) -> None:
    form = make_field(shape_of(real["schema"], real["ui"]))
    form.set({"notebook": "churn.ipynb", "owners": ["growth", "someone@example.com"]})
    form.show_error(("owners", 0), "is neither an address nor a team")
    owners = form.children()["owners"]
    assert owners.children()[0].errors == ["is neither an address nor a team"]
    assert owners.children()[1].errors == []
    form.show_error(("limits", "no_such_key"), "is not known")
    assert form.children()["limits"].errors == ["no_such_key: is not known"]
    form.clear_errors()
    assert form.errors == []


def test_code_in_a_help_text_is_shown_as_code() -> None:
    field = field_of({"type": "string", "description": "An address, or `team:` & a name"})
    shown = "".join(getattr(part, "value", "") for part in field.widget.children)
    assert "An address, or <code>team:</code> &amp; a name</div>" in shown


def test_an_error_text_cannot_break_the_page() -> None:
    field = field_of({"type": "string"})
    field.show_error((), "<script>alert(1)</script>")
    assert "<script>" not in field._message.value


def test_rows_are_added_and_taken_away(real: dict[str, Any]) -> None:
    form = make_field(shape_of(real["schema"], real["ui"]))
    form.set({"notebook": "churn.ipynb"})
    owners = form.children()["owners"]
    heard: list[Any] = []
    form.on_change(lambda: heard.append(form.value))
    owners._on_add(None)
    assert form.value == {"notebook": "churn.ipynb"}, "a row that is empty does not count"
    owners.children()[0]._input.value = "team:growth"
    assert heard == [{"notebook": "churn.ipynb", "owners": ["team:growth"]}]
    owners._on_remove(owners._rows[0])
    assert heard[-1] == {"notebook": "churn.ipynb"}


def test_a_union_keeps_what_was_typed_in_another_kind(real: dict[str, Any]) -> None:
    form = make_field(shape_of(real["schema"], real["ui"]))
    form.set({"notebook": "a.ipynb", "partitions": {"type": "daily", "start_date": "2026-01-01"}})
    field = form.children()["partitions"]
    labels = dict(field._which.options)
    assert list(labels) == ["—", "hourly", "daily", "weekly", "monthly", "static"]
    field._which.value = labels["static"]
    assert problems(form) == [(("partitions", "values"), "is needed")]
    field._which.value = labels["daily"]
    assert form.value["partitions"] == {"type": "daily", "start_date": "2026-01-01"}


_POINT = {
    "type": "object",
    "title": "Point",
    "properties": {"type": {"enum": ["point"]}, "x": {"type": "number"}},
}
_LINE = {"type": "array", "items": {"type": "integer"}}

#: What a company's schema allows or a file says, and an input of ours cannot show or type.
ODD: list[tuple[dict[str, Any], Any]] = [
    ({"anyOf": [_POINT, _LINE]}, {"type": "circle", "r": 2}),
    ({"anyOf": [_POINT, _LINE]}, "a text"),
    ({"anyOf": [_POINT, _LINE]}, []),
    ({"type": "array", "items": {"anyOf": [_POINT, _LINE]}}, ["a", [1], {"type": "point", "x": 1}]),
    ({"type": "array", "items": {"type": "object"}}, [{"a": None}, {}]),
    ({"type": "array", "items": {"type": "string"}}, "{{ env.OWNERS }}"),
    ({"type": "array", "items": {"type": "string"}}, []),
    ({"type": "array", "items": {"enum": ["a", "b"]}}, ["b", "none of them", "a"]),
    ({"type": "object"}, {"a": None, "b": "", "c": 1.0, "d": " x "}),
    ({"type": "object"}, "{{ env.ALL }}"),
    ({"type": "object", "properties": {"a": {"type": "integer"}}}, "{{ env.ALL }}"),
    ({"type": "number"}, 12345.678),
    ({"type": "number"}, 3),
    ({"type": "integer"}, 10**18 + 1),
    ({"type": "string"}, "  spaced "),
    ({"type": "string"}, ""),
]


@pytest.mark.parametrize(("schema", "value"), ODD, ids=str)
def test_what_no_input_can_show_stays_as_long_as_it_is_not_changed(
    schema: dict[str, Any], value: Any
) -> None:
    neighbour = {"type": "string"}
    form = make_field(shape_of({"type": "object", "properties": {"it": schema, "b": neighbour}}))
    form.set({"it": value, "b": "before"})
    form.children()["b"]._input.value = "after"
    assert form.value == {"it": value, "b": "after"}
    assert type(form.value["it"]) is type(value)


def test_what_is_none_of_several_kinds_can_be_seen_and_left_for_one_of_them() -> None:
    field = field_of({"anyOf": [_POINT, _LINE]})
    field.set("{{ env.SHAPE }}")
    assert [label for label, _ in field._which.options] == [
        "—",
        "point",
        "a list",
        "as written: {{ env.SHAPE }}",
    ]
    field._which.value = 0
    field._chosen.children()["x"]._input.value = "2"
    assert field.value == {"type": "point", "x": 2.0}
    field._which.value = -2
    assert field.value == "{{ env.SHAPE }}"


def test_ticking_one_of_a_list_keeps_what_is_no_choice() -> None:
    field = field_of({"type": "array", "items": {"enum": ["a", "b"]}})
    field.set(["a", "old"])
    field._boxes["b"].value = True
    assert field.value == ["a", "b", "old"]


def test_adding_a_row_replaces_what_no_row_can_show() -> None:
    field = field_of({"type": "array", "items": {"type": "string"}})
    field.set("{{ env.OWNERS }}")
    assert "as written: <code>{{ env.OWNERS }}</code>" in field._body.children[0].value
    field._on_add(None)
    field.children()[0]._input.value = "team:growth"
    assert field.value == ["team:growth"]


def test_a_number_is_shown_with_all_its_digits(real: dict[str, Any]) -> None:
    field = field_of({"type": "number"})
    field.set(1234567.25)
    assert field._input.value == "1234567.25"
    whole = field_of({"type": "integer"})
    whole._input.value = str(10**18 + 1)
    assert whole.value == 10**18 + 1


def test_a_day_and_a_time_become_cron(real: dict[str, Any]) -> None:
    form = make_field(shape_of(real["schema"], real["ui"]))
    form.set({"notebook": "a.ipynb"})
    field = form.children()["schedule"]
    field._often.value = "Every weekday"
    field._time.value = "7:30"
    field._zone.value = "Europe/Berlin"
    assert form.value["schedule"] == {"cron": "30 7 * * 1-5", "timezone": "Europe/Berlin"}
    assert field._next.value.count(":") == 4, "three times, and the word before them"
    field._time.value = "25:00"
    assert problems(form) == [(("schedule",), "25:00 is no time; write such as 06:00")]
    field._time.value = "06:00"
    field._zone.value = "Europe/Berlon"
    [(loc, text)] = problems(form)
    assert loc == ("schedule",)
    assert "Europe/Berlin" in text
    field._often.value = "not scheduled"
    assert form.value == {"notebook": "a.ipynb"}


@pytest.mark.parametrize("words", ["weekdays 07:30", "30 7 * * 1-5"])
def test_custom_takes_words_and_cron(real: dict[str, Any], words: str) -> None:
    form = make_field(shape_of(real["schema"], real["ui"]))
    form.set({"notebook": "a.ipynb"})
    field = form.children()["schedule"]
    field._often.value = "Custom"
    field._cron.value = words
    assert form.value["schedule"]["cron"] == "30 7 * * 1-5"


def test_labels_are_real_and_required_ones_marked(tmp_path: Path) -> None:
    whole = shape_of(
        {
            "type": "object",
            "required": ["name"],
            "properties": {"name": {"type": "string", "title": "Name"}, "n": {"type": "integer"}},
        }
    )
    fields = make_field(whole).children()
    assert fields["name"]._input.description == "Name *"
    assert fields["n"]._input.description == "N"
