"""The form a run is launched with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg
import pytest

from dagbook.errors import DagbookError
from dagbook.notebook_runner.op_config import overrides

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


def test_what_is_called_a_credential_is_refused_before_dagster_keeps_it(bench: Workbench) -> None:
    cell = 'password: str = "hunter2-Zq9"\napi_key = None\nuse_token: bool = False'
    bench.notebook("n.ipynb", [(cell, ["parameters"])])
    bench.component("n", "notebook: n.ipynb")
    loaded = bench.load()

    for values in ({"password": "hunter3-Zq9"}, {"api_key": "hunter3-Zq9"}):
        error = _validate(loaded, values)
        assert error is not None
        assert 'Expected: "{ name_a_connection_under_resources_instead: String }"' in error
        assert "hunter3" not in error
    assert _validate(loaded, {"use_token": True}) is None
    fields = loaded.resolve_assets_def("n").op.config_schema.config_type.fields
    assert "hunter2" not in str(
        [field.description for field in fields["parameters"].config_type.fields.values()]
    )


def test_what_looks_like_a_credential_is_refused_by_the_run_without_showing_it() -> None:
    token = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    with pytest.raises(DagbookError) as refused:
        overrides({"parameters": {"region": token}})
    assert str(refused.value) == (
        "the launch's parameter `region` looks like a GitHub token, and parameters are kept with "
        "every run: name a connection under `resources` in its component, and read it in the "
        'notebook with `os.environ["REGION"]`. Dagster has kept it in the config of this run: '
        "change that credential"
    )
    assert overrides({"parameters": {"region": "DE"}}) == {"region": "DE"}


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
