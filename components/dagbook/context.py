"""What this run is about: its partition, interval, parameters and name.

`dagbook.context` is this module. Its attributes are read from the run when there is one::

    import dagbook

    frame = read_events(since=dagbook.context.data_interval_start,
                        until=dagbook.context.data_interval_end)

Outside a run, in Lab for example, the same attributes hold sample values (yesterday's interval,
today's date, the environment ``dev``), so that the same cell runs in both. `in_run` tells which.
"""

from __future__ import annotations

import copy
import json
import os
import sys
from datetime import date, datetime, time, timedelta
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from dagbook.errors import DagbookError, did_you_mean
from dagbook.report import RUN_FOLDER_VARIABLE

if TYPE_CHECKING:
    # What a type checker sees of the module; at run time `Context` serves these names.
    in_run: bool
    run_id: str
    partition_key: str | None
    data_interval_start: str | None
    data_interval_end: str | None
    run_date: str
    experiment_id: str | None
    environment: str
    attempt: int
    asset_key: str | None
    notebook: str | None
    parameters: dict[str, Any]

ENVIRONMENT_VARIABLE = "DAGBOOK_ENVIRONMENT"
CONTEXT_FILE_NAME = "context.json"
DEFAULT_ENVIRONMENT = "dev"


class UnknownName(DagbookError, AttributeError):
    """There is no such attribute; an AttributeError, so that `hasattr` works."""


class UnknownParameter(DagbookError, KeyError):
    """`dagbook.context.parameters` has no such name; a KeyError, so that `except KeyError` works."""

    # KeyError would print the text with quotes around it.
    __str__ = Exception.__str__


class Context(ModuleType):
    """The attributes of `dagbook.context`, read-only. Times are ISO-8601 text with their zone."""

    @property
    def in_run(self) -> bool:
        """Whether this is a run of dagbook: False in Lab, where the values are samples."""
        return _run_folder() is not None

    @property
    def run_id(self) -> str:
        """The run's identity, the same in all its attempts; ``"sample"`` outside a run."""
        folder = _run_folder()
        return _text("run_id") or ("sample" if folder is None else folder.name)

    @property
    def partition_key(self) -> str | None:
        """The partition of this run, None if the notebook has no partitions."""
        return _text("partition_key")

    @property
    def data_interval_start(self) -> str | None:
        """Where the interval this run is for begins: ``"2026-03-01T00:00:00+00:00"``.

        None in a run that has neither partition nor schedule.
        """
        return _text("data_interval_start")

    @property
    def data_interval_end(self) -> str | None:
        """Where the interval this run is for ends, not included.

        None in a run that has neither partition nor schedule.
        """
        return _text("data_interval_end")

    @property
    def run_date(self) -> str:
        """The day the run was started, in the schedule's zone: ``"2026-03-02"``."""
        return _text("run_date") or date.today().isoformat()

    @property
    def experiment_id(self) -> str | None:
        """MLflow's id of the run's experiment, None if no experiment is tracked."""
        return _text("experiment_id")

    @property
    def environment(self) -> str:
        """Which deployment this is, such as ``"dev"``, ``"staging"`` or ``"prod"``."""
        return _text("environment") or os.environ.get(ENVIRONMENT_VARIABLE) or DEFAULT_ENVIRONMENT

    @property
    def attempt(self) -> int:
        """Which try of this run it is, counted from 1."""
        return int(_values().get("attempt") or 1)

    @property
    def asset_key(self) -> str | None:
        """The name the run's result has in Dagster, its parts joined by slashes."""
        key = _values().get("asset_key")
        return "/".join(map(str, key)) if isinstance(key, list) else _text("asset_key")

    @property
    def notebook(self) -> str | None:
        """The notebook that runs."""
        return _text("notebook")

    @property
    def parameters(self) -> dict[str, Any]:
        """The values this run was given, by name; empty outside a run. A copy each time."""
        return _Parameters(copy.deepcopy(_values().get("parameters") or {}))

    def __getattr__(self, name: str) -> Any:
        # Tools probe every object for names such as `_repr_html_`: no list of words for them.
        if name.startswith("_"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        raise UnknownName(
            f"dagbook.context has no `{name}`. {did_you_mean(name, CONTEXT_NAMES, limit=20)}"
        )

    def __dir__(self) -> list[str]:
        return list(CONTEXT_NAMES)

    def __repr__(self) -> str:
        width = max(map(len, CONTEXT_NAMES))
        title = "dagbook.context" + ("" if self.in_run else ": sample values, this is not a run")
        return "\n".join(
            [title, *(f"  {name:<{width}}  {getattr(self, name)!r}" for name in CONTEXT_NAMES)]
        )


#: Every attribute of `dagbook.context`, in the order they are declared.
CONTEXT_NAMES: tuple[str, ...] = tuple(
    name for name, value in vars(Context).items() if isinstance(value, property)
)


class _Parameters(dict[str, Any]):
    def __missing__(self, name: str) -> Any:
        if _run_folder() is None:
            raise UnknownParameter(
                f"there are no given parameters outside a run: use the variable `{name}` of the "
                "parameters cell, it holds the given value in a run"
            )
        raise UnknownParameter(
            f"this run was given no parameter `{name}`. {did_you_mean(str(name), self)}"
        )


_read: tuple[Path, dict[str, Any]] | None = None


def _run_folder() -> Path | None:
    folder = os.environ.get(RUN_FOLDER_VARIABLE)
    return Path(folder) if folder else None


def _values() -> dict[str, Any]:
    global _read
    folder = _run_folder()
    if folder is None:
        return _sample()
    if _read is None or _read[0] != folder:
        _read = (folder, _read_values(folder / CONTEXT_FILE_NAME))
    return _read[1]


def _read_values(path: Path) -> dict[str, Any]:
    # Sample values in a real run would be worse than an error: nobody would notice.
    try:
        values = json.loads(path.read_bytes())
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DagbookError(f"cannot read what this run is about: {path}: {reason}") from None
    except ValueError:
        raise DagbookError(f"cannot read what this run is about: {path} is not JSON") from None
    if not isinstance(values, dict):
        raise DagbookError(f"cannot read what this run is about: {path} is not a JSON object")
    return values


def _text(name: str) -> str | None:
    value = _values().get(name)
    return None if value is None else str(value)


def _sample() -> dict[str, Any]:
    today = date.today()
    yesterday = today - timedelta(days=1)
    return {
        "run_id": "sample",
        "partition_key": yesterday.isoformat(),
        "data_interval_start": _midnight(yesterday),
        "data_interval_end": _midnight(today),
        "run_date": today.isoformat(),
        # The experiment MLflow itself uses when none is named.
        "experiment_id": "0",
        "asset_key": "sample",
        "notebook": os.environ.get("JPY_SESSION_NAME") or "sample.ipynb",
    }


def _midnight(day: date) -> str:
    # A local time without zone gets the machine's own, with the offset it has on that day.
    return datetime.combine(day, time()).astimezone().isoformat()


# The module itself becomes the object: `import dagbook.context` binds the module to this very
# name on the package, so any other object there would be lost to it.
sys.modules[__name__].__class__ = Context
