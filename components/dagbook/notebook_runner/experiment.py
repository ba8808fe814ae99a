"""Under which experiment a run is recorded, with which tags, and what its notebook does itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dagbook.errors import DagbookError
from dagbook.notebook import Notebook
from dagbook.notebook_runner.run_time_names import fill_in
from dagbook.notebook_runner.run_values import RunValues

if TYPE_CHECKING:
    from dagbook.notebook_runner.asset import NotebookAsset

_SET_EXPERIMENT = re.compile(
    r"\bmlflow\.set_experiment\(\s*(?:experiment_name\s*=\s*)?([\"'])(.+?)\1"
)
_SET_TRACKING_URI = re.compile(r"\bmlflow\.set_tracking_uri\(")


def experiment_name(
    asset: NotebookAsset, notebook: Notebook, values: RunValues, *, prefix: str = ""
) -> str:
    """The experiment of a run: the YAML's, the notebook's, else the asset's key.

    Args:
        asset: what is run.
        notebook: as it is now.
        values: what its run is about.
        prefix: what the name of every experiment begins with, by the platform's rules.

    Raises:
        DagbookError: the notebook sets an experiment itself that does not begin so.
    """
    named = asset.component.experiment.name
    if named is not None:
        # `experiment_id` in here was refused when the YAML was read.
        name = str(fill_in(named, values.lookup(lambda: "")))
    elif (own := experiment_set_in(notebook)) is not None:
        if not own.startswith(prefix):
            # MLflow refuses to go on with a run of another experiment than the one set.
            raise DagbookError(
                f"the notebook sets the MLflow experiment {own!r}, and here they all begin with "
                f"{prefix!r}: write it so, or leave `mlflow.set_experiment` out"
            )
        return own
    else:
        name = "/".join(asset.key.path)
    return name if name.startswith(prefix) else f"{prefix}{name}"


def run_tags(asset: NotebookAsset, values: RunValues) -> dict[str, str]:
    """The tags of a run: what it is about, and the YAML's."""
    tags = asset.component.experiment.tags
    own = {
        "dagster.run_id": values.run_id,
        "dagster.asset_key": "/".join(asset.key.path),
        "dagster.partition": values.partition_key,
        "dagbook.environment": values.environment,
        "dagbook.attempt": str(values.attempt),
    }
    given = tags if isinstance(tags, dict) else dict.fromkeys(tags, "true")
    return {**{name: value for name, value in own.items() if value}, **given}


def speaks_of_mlflow(asset: NotebookAsset, notebook: Notebook) -> bool:
    """Whether a notebook, or a module of the project that it imports, may log to MLflow itself."""
    texts = [_code(notebook)]
    texts += [path.read_text("utf-8", "replace") for path in asset.modules(notebook)]
    return any("mlflow" in text or "experiment_id" in text for text in texts)


def names_a_server(notebook: Notebook) -> bool:
    """Whether a notebook says itself which server it logs to."""
    return _SET_TRACKING_URI.search(_code(notebook)) is not None


def experiment_set_in(notebook: Notebook) -> str | None:
    """The experiment a notebook sets itself, where it is written as plain text.

    MLflow refuses to go on with a run of another experiment than the one set, so the run is
    made in that one.
    """
    found = _SET_EXPERIMENT.search(_code(notebook))
    return found.group(2) if found else None


def _code(notebook: Notebook) -> str:
    return "\n".join(
        cell.source for cell in notebook.cells if cell.cell_type == "code" and not cell.is_skipped
    )
