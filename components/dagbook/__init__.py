"""dagbook turns a Jupyter notebook into a scheduled, observed production run on Dagster.

In a notebook, and only if you want it::

    import dagbook

    since = dagbook.context.data_interval_start     # sample values when it is not a run
    dagbook.log_metric("loss", 0.1, step=3)

In a project's ``defs.yaml``::

    type: dagbook.NotebookRunnerComponent
    attributes:
      notebook: churn.ipynb
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dagbook import context as context
    from dagbook.credentials.in_lab import load_credentials as load_credentials
    from dagbook.errors import DagbookError as DagbookError

    # The one arrow that points up, and only for whoever asks.
    from dagbook.notebook_runner import (  # noqa: TID251
        NotebookRunnerComponent as NotebookRunnerComponent,
    )
    from dagbook.policy.screening import screen_project as screen_project
    from dagbook.report import log_metric as log_metric
    from dagbook.report import log_metrics as log_metrics

__version__ = "0.1.0"

# Without the components: `from dagbook import *` in a notebook must not load Dagster.
__all__ = [
    "DagbookError",
    "__version__",
    "context",
    "load_credentials",
    "log_metric",
    "log_metrics",
    "screen_project",
]

# Everything is loaded when it is asked for. A kernel pays for what the notebook uses, and
# `import dagbook` cannot fail: an error in here would stop `dg` for every package installed.
_LIGHT = {
    "DagbookError": "dagbook.errors",
    "load_credentials": "dagbook.credentials.in_lab",
    "log_metric": "dagbook.report",
    "log_metrics": "dagbook.report",
    "screen_project": "dagbook.policy.screening",
}
_COMPONENTS = {"NotebookRunnerComponent": "dagbook.notebook_runner"}


def __getattr__(name: str) -> Any:
    import importlib

    if name == "context":
        # The import binds the module to this name.
        return importlib.import_module("dagbook.context")
    if name in _LIGHT:
        value = getattr(importlib.import_module(_LIGHT[name]), name)
    elif name in _COMPONENTS:
        value = _load_component(name)
    elif name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    else:
        from dagbook.context import UnknownName
        from dagbook.errors import did_you_mean

        known = [*__all__, *_COMPONENTS]
        raise UnknownName(f"dagbook has no `{name}`. {did_you_mean(name, known)}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    # `dg` looks at every name listed here, and a component is a component only to Dagster:
    # where it is not loaded, looking at the list must not load it.
    names = [*__all__, "__doc__", "__file__", "__name__", "__path__", "__spec__"]
    return sorted(names if sys.modules.get("dagster") is None else [*names, *_COMPONENTS])


def _load_component(name: str) -> Any:
    import importlib
    import importlib.util

    if importlib.util.find_spec("dagster") is None:
        from dagbook.errors import DagbookError

        raise DagbookError(
            f"dagbook.{name} needs Dagster, which is not installed in {sys.prefix}: "
            "pip install 'dagbook[dagster]'"
        )
    try:
        return getattr(importlib.import_module(_COMPONENTS[name]), name)
    except Exception as error:
        from dagbook.unavailable_component import unavailable_component

        return unavailable_component(name, error)
