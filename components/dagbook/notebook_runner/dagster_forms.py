"""Dagster's own split of a component's schema into what a form validates and how it looks.

Dagster's web form shows components with this pair, but does not hand the function on: this file is
the only place that takes it, and ``tests/components/notebook_runner/test_form_schema.py`` fails
when it moves.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from dagster.components.resolved.form_schema import split_form_schema

if TYPE_CHECKING:
    from dagbook.notebook_runner.component import NotebookRunnerComponent


@functools.lru_cache(maxsize=64)
def form_of(
    component_class: type[NotebookRunnerComponent],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The JSON schema of a component's attributes, and hints of how a form is to show them.

    The places where Dagster would take a template instead of a value are left out. Both are shared
    by all who ask: nobody changes them.
    """
    model = component_class.get_model_cls()
    data, look = split_form_schema(model.model_json_schema() if model is not None else {})
    return data, look
