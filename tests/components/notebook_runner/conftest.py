"""A project with notebooks, loaded and run by a real Dagster instance with real kernels."""

from __future__ import annotations

import itertools
import json
import os
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dagbook.location import load_project
from dagbook.project import Project, create_project

TYPE = "dagbook.NotebookRunnerComponent"

Cell = str | tuple[str, Sequence[str]]


def notebook_document(cells: Sequence[Cell], kernel: str = "python3") -> dict[str, Any]:
    """A notebook of code cells, each its source, or its source with its tags."""
    pairs = [(cell, []) if isinstance(cell, str) else cell for cell in cells]
    language = {"python3": "python", "bash": "bash"}[kernel]
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": kernel, "display_name": kernel, "language": language}},
        "cells": [
            {
                "cell_type": "code",
                "id": f"cell-{number}",
                "metadata": {"tags": list(tags)},
                "source": textwrap.dedent(source).strip("\n"),
                "outputs": [],
                "execution_count": None,
            }
            for number, (source, tags) in enumerate(pairs)
        ],
    }


@dataclass
class Ran:
    """What one run in this process came to."""

    result: dg.ExecuteInProcessResult
    events: list[dg.DagsterEvent] = field(default_factory=list)

    @property
    def success(self) -> bool:
        return bool(self.result.success)

    @property
    def materializations(self) -> list[dg.AssetMaterialization]:
        return [e.materialization for e in self._of("ASSET_MATERIALIZATION")]

    @property
    def metadata(self) -> dict[str, Any]:
        """The materialisation's, or the failure's where nothing was materialised."""
        entries = (
            self.materializations[0].metadata if self.materializations else self.failure.metadata
        )
        return {name: entry.value for name, entry in entries.items()}

    @property
    def failure(self) -> Any:
        return self._of("STEP_FAILURE")[-1].step_failure_data.user_failure_data

    @property
    def attempts(self) -> int:
        return 1 + len(self._of("STEP_RESTARTED"))

    @property
    def checks(self) -> dict[str, tuple[bool, str]]:
        """Passed, and its severity, by the check's name."""
        found = [e.asset_check_evaluation_data for e in self._of("ASSET_CHECK_EVALUATION")]
        return {e.check_name: (e.passed, e.severity.value) for e in found}

    def _of(self, kind: str) -> list[Any]:
        return [e for e in self.events if e.event_type_value == kind]


@dataclass
class Workbench:
    """A project on disk, and what one does with it."""

    project: Project
    stack: ExitStack = field(default_factory=ExitStack)

    @cached_property
    def instance(self) -> dg.DagsterInstance:
        """A real instance on disk, made for the tests that run something."""
        home = self.root.parent / "home"
        home.mkdir()
        return self.stack.enter_context(dg.DagsterInstance.local_temp(str(home)))

    @property
    def root(self) -> Path:
        return self.project.root

    def notebook(self, name: str, cells: Sequence[Cell], kernel: str = "python3") -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(notebook_document(cells, kernel)))
        return path

    def component(self, folder: str, yaml: str) -> Path:
        """Write a component from the YAML of its attributes."""
        file = self.project.defs_folder / folder / "defs.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        body = textwrap.indent(textwrap.dedent(yaml).strip("\n"), "  ")
        file.write_text(f"type: {TYPE}\nattributes:\n{body}\n")
        return file

    def platform(self, yaml: str) -> Path:
        """Write the platform file."""
        file = self.root / "dagbook-platform.yaml"
        file.write_text(textwrap.dedent(yaml))
        return file

    def load(self) -> dg.Definitions:
        return load_project(self.project)

    def spec(self, key: str) -> dg.AssetSpec:
        wanted = dg.AssetKey(key.split("/"))
        return next(s for s in self.load().resolve_all_asset_specs() if s.key == wanted)

    def run(
        self,
        key: str,
        *,
        defs: dg.Definitions | None = None,
        config: Mapping[str, Any] | None = None,
        partition: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Ran:
        """Run one asset as the implicit job does, in this process."""
        job = (defs or self.load()).resolve_implicit_global_asset_job_def()
        op = key.replace("/", "__").replace("-", "_")
        result = job.execute_in_process(
            instance=self.instance,
            asset_selection=[dg.AssetKey(key.split("/"))],
            run_config={"ops": {op: {"config": {"parameters": config}}}} if config else None,
            partition_key=partition,
            tags=dict(tags or {}),
            raise_on_error=False,
        )
        return Ran(result, list(result.all_events))

    def logs(self, ran: Ran) -> list[str]:
        """What the run wrote to its log, without Dagster's own events."""
        entries = self.instance.all_logs(ran.result.run_id)
        return [entry.user_message for entry in entries if entry.dagster_event is None]


@pytest.fixture(scope="session")
def mlflow_store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One MLflow store for the tests that do not look into it: making one takes seconds."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@pytest.fixture(scope="session")
def make_bench() -> Callable[[Path], Workbench]:
    """Makes a project at a place, for tests that bring a Dagster of their own."""
    return lambda root: Workbench(create_project(root, name="shop"))


# Each project a module of its own: Python remembers the ones it has imported.
_numbers = itertools.count()


@pytest.fixture
def bench(
    tmp_path: Path,
    mlflow_store: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Workbench]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_store)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")
    monkeypatch.delenv("DAGBOOK_ENVIRONMENT", raising=False)
    bench = Workbench(create_project(tmp_path / "work", name=f"shop_{next(_numbers)}"))
    with bench.stack:
        yield bench
