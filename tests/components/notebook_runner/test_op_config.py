"""The form a run is launched with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg
import pytest

if TYPE_CHECKING:
    from conftest import Workbench

PARAMETERS = """
from typing import Literal
rate: float = 0.1  # how fast it learns
rows: int
kind: Literal["new", "old one"] = "new"
words: list = []
options: dict = {}
flag: bool = False
maybe: int | None = None
anything = compute()
"""


@pytest.fixture
def loaded(bench: Workbench) -> dg.Definitions:
    bench.notebook("n.ipynb", [(PARAMETERS, ["parameters"])])
    bench.component("n", "notebook: n.ipynb\nparameters: {rows: 5}")
    return bench.load()


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"rate": 1, "rows": 2, "kind": "old one", "words": [1, "a"], "options": {"a": {"b": 1}}},
        {"flag": True, "maybe": None, "anything": [1, {"x": None}]},
        {"new_since_it_was_loaded": 3},
    ],
    ids=["nothing", "typed", "open", "unknown"],
)
def test_what_the_notebook_may_take_is_taken(
    loaded: dg.Definitions, values: dict[str, object]
) -> None:
    assert _validate(loaded, values) is None


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"rows": "many"}, "at path root:ops:n:config:parameters:rows"),
        ({"rows": None}, "at path root:ops:n:config:parameters:rows"),
        ({"rate": "x"}, "at path root:ops:n:config:parameters:rate"),
        ({"kind": "older"}, "at path root:ops:n:config:parameters:kind"),
        ({"flag": 1}, "at path root:ops:n:config:parameters:flag"),
        ({"words": "a"}, "at path root:ops:n:config:parameters:words"),
    ],
    ids=str,
)
def test_what_it_cannot_take_is_refused_before_the_launch(
    loaded: dg.Definitions, values: dict[str, object], said: str
) -> None:
    error = _validate(loaded, values)

    assert error is not None
    assert said in error


def test_each_field_says_what_it_is_for_and_what_it_is_left_out(loaded: dg.Definitions) -> None:
    fields = loaded.resolve_assets_def("n").op.config_schema.config_type.fields
    described = {
        name: field.description for name, field in fields["parameters"].config_type.fields.items()
    }

    assert described == {
        "rate": "how fast it learns. Default in the notebook: 0.1.",
        "rows": "The YAML gives 5.",
        "kind": "One of 'new', 'old one'. Default in the notebook: \"new\".",
        "words": "Default in the notebook: [].",
        "options": "Default in the notebook: {}.",
        "flag": "Default in the notebook: False.",
        "maybe": "Default in the notebook: None.",
        "anything": "Default in the notebook: compute().",
    }


def _validate(defs: dg.Definitions, values: dict[str, object]) -> str | None:
    job = defs.resolve_implicit_global_asset_job_def()
    try:
        dg.validate_run_config(job, {"ops": {"n": {"config": {"parameters": values}}}})
    except dg.DagsterInvalidConfigError as error:
        return str(error)
    return None
