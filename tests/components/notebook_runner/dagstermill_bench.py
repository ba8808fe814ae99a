"""Runs assets as Dagster's run worker does: from a job that the kernel can make again."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    from conftest import Ran, Workbench

_numbers = itertools.count()


def run_for_real(
    bench: Workbench,
    *keys: str,
    config: Mapping[str, Any] | None = None,
    partition: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Ran:
    """Run assets through `dg.execute_job`, in this process, from a module of the project."""
    from tests.components.notebook_runner.conftest import Ran

    name = write_job(bench.root)
    module = importlib.import_module(name)
    run_config: dict[str, Any] = {"execution": {"config": {"in_process": {}}}}
    if config is not None:
        op = keys[-1].replace("/", "__").replace("-", "_")
        run_config["ops"] = {op: {"config": dict(config)}}
    with dg.execute_job(
        dg.reconstructable(module.project_job),
        instance=bench.instance,
        run_config=run_config,
        asset_selection=[dg.AssetKey(key.split("/")) for key in keys],
        tags={**({"dagster/partition": partition} if partition else {}), **(tags or {})},
        raise_on_error=False,
    ) as result:
        return Ran(result, list(result.all_events))


def write_job(root: Path) -> str:
    """Write a module that makes the project's job; returns its name."""
    name = f"project_job_{next(_numbers)}"
    (root / f"{name}.py").write_text(
        "from pathlib import Path\n"
        "import dagster as dg\n"
        "from dagbook.location import load_project\n"
        "from dagbook.project import require_project\n"
        "def project_job():\n"
        "    project = require_project(Path(__file__).parent)\n"
        "    everything = dg.Definitions(jobs=[dg.define_asset_job('everything', '*')])\n"
        "    return dg.Definitions.merge(load_project(project), everything)"
        ".resolve_job_def('everything')\n"
    )
    importlib.invalidate_caches()
    return name
