"""A notebook as papermill prepares it, for the run that papermill has nothing to write into.

Importing papermill takes longer than a kernel takes to start, and without parameters all it does
to a notebook is this. A test compares with what papermill itself makes.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

#: What papermill puts around a cell that failed, and removes before the next run.
ERROR_MARKER_TAG = "papermill-error-cell-tag"
# What belongs to one sitting at the notebook, and is never stored.
_PASSING_METADATA = ("orig_nbformat", "orig_nbformat_minor", "signature")


def prepared_document(document: Mapping[str, Any]) -> dict[str, Any]:
    """Copy a checked document, its metadata and cells as papermill hands them to an engine."""
    from importlib.metadata import version  # not before a kernel is on its way

    metadata = deepcopy(document["metadata"])
    for name in _PASSING_METADATA:
        metadata.pop(name, None)
    metadata.setdefault(
        "papermill",
        {
            "default_parameters": {},
            "environment_variables": {},
            "parameters": {},
            "version": version("papermill"),
        },
    )
    cells = [_prepared(cell) for cell in document["cells"]]
    return {
        **document,
        "metadata": metadata,
        "cells": [cell for cell in cells if ERROR_MARKER_TAG not in cell["metadata"]["tags"]],
    }


def _prepared(cell: Mapping[str, Any]) -> dict[str, Any]:
    metadata = deepcopy(cell["metadata"])
    metadata.pop("trusted", None)
    metadata.setdefault("tags", [])
    metadata.setdefault("papermill", {})
    return {**cell, "metadata": metadata}
