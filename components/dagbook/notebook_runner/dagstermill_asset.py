"""One notebook as one Dagster asset that the real dagstermill runs.

No ``from __future__ import annotations`` here: Dagster reads the annotations.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg

from dagbook.notebook_runner.asset import NotebookAsset, asset_spec, op_tags
from dagbook.notebook_runner.dagstermill_adapter import local_io_manager

#: The key of the IO manager that is there when the YAML names none.
LOCAL_IO_MANAGER = "dagbook_executed_notebooks"

Execute = Callable[[dg.AssetExecutionContext], Iterator[Any]]


def build_dagstermill_asset(asset: NotebookAsset, execute: Execute) -> dg.AssetsDefinition:
    """Make the asset as dagstermill makes its own: inputs, resources, config, IO manager."""
    component = asset.component
    wanted = component.dagstermill
    key = asset.key

    @dg.multi_asset(
        name=asset.op_name,
        outs={
            "result": dg.AssetOut.from_spec(
                asset_spec(asset, "dagstermill"),
                is_required=False,
                io_manager_key=wanted.io_manager_key or LOCAL_IO_MANAGER,
            )
        },
        ins={
            **{
                f"upstream_{number}": dg.AssetIn(key=_key(dep), dagster_type=dg.Nothing)
                for number, dep in enumerate(component.deps, start=1)
            },
            **{name: dg.AssetIn(key=_key(dep)) for name, dep in wanted.inputs.items()},
        },
        internal_asset_deps={
            "result": {_key(dep) for dep in (*component.deps, *wanted.inputs.values())}
        },
        partitions_def=asset.partitions,
        config_schema=config_schema(component.parameters),
        required_resource_keys=set(wanted.resource_keys),
        op_tags=op_tags(asset),
    )
    def run_notebook_asset(
        context: dg.AssetExecutionContext, **_loaded_by_the_kernel: Any
    ) -> Iterator[Any]:
        yield from execute(context)

    assert run_notebook_asset.keys == {key}
    return run_notebook_asset


def config_schema(parameters: Mapping[str, Any]) -> dict[str, dg.Field] | None:
    """The op's config: the YAML's parameters, any of which a launch may override.

    Without parameters a launch may give any config, as in an asset of dagstermill's own.
    """
    return {
        name: dg.Field(dg.Any, is_required=False, default_value=as_json(value))
        for name, value in parameters.items()
    } or None


def as_json(value: Any) -> Any:
    """A value of YAML as JSON has it: config is sent to the kernel so."""
    if isinstance(value, Mapping):
        return {str(name): as_json(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value


@cache
def local_resources(project_root: Path) -> Mapping[str, dg.IOManagerDefinition]:
    """What the assets of a project need that name no IO manager of their own.

    The same object for each: merged definitions may hold a key twice only if it is.
    """

    @dg.io_manager(description="Keeps the last executed notebook of each asset below `runs`.")
    def executed_notebooks(context: dg.InitResourceContext) -> Any:
        return local_io_manager(context, project_root / "runs")

    return {LOCAL_IO_MANAGER: executed_notebooks}


def _key(text: str) -> dg.AssetKey:
    return dg.AssetKey(text.split("/"))
