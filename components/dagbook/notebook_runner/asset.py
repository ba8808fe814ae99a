"""One notebook as one Dagster asset: its key, its checks, its config, what its page shows."""

import inspect
import keyword
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from dagbook.errors import DagbookError
from dagbook.notebook import Notebook, code_version, local_modules, read_notebook
from dagbook.notebook_runner.foreseen import cost_metadata
from dagbook.notebook_runner.op_config import build_config_schema
from dagbook.notebook_runner.schedule import describe_schedule
from dagbook.notebook_runner.versions import VERSION_KEY, version_note
from dagbook.policy.sizes import Size

if TYPE_CHECKING:
    from dagbook.notebook_runner.component import NotebookRunnerComponent

Execute = Callable[[dg.AssetExecutionContext], Iterator[Any]]

_CONTEXT = inspect.Parameter(
    "context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=dg.AssetExecutionContext
)
_INPUTS = inspect.Parameter("_inputs", inspect.Parameter.POSITIONAL_OR_KEYWORD)
_SIGNATURE = inspect.Signature([_CONTEXT, _INPUTS])
_NOTHING_IN = dg.In(dg.Nothing)
_CHECK_OUT = dg.Out(is_required=False)

KEY_PART = re.compile(r"[A-Za-z0-9_\-]+")

#: On the op: where its executed notebooks go. It marks the steps of a run that are ours.
RESULTS_TAG = "dagbook/results"

# Dagster makes names of ops, inputs and outputs from keys and refuses these.
_RESERVED = frozenset(
    [
        *keyword.kwlist,
        *("context", "conf", "config", "meta", "arg_dict", "dict", "input_arg_dict"),
        *("output_arg_dict", "int", "str", "float", "bool", "input", "output", "type"),
    ]
)


@dataclass(frozen=True)
class NotebookAsset:
    """A component in its place: what is run, under which key, in which project."""

    component: "NotebookRunnerComponent"
    key: dg.AssetKey
    project_root: Path
    component_file: Path | None
    partitions: dg.PartitionsDefinition[str] | None
    size: Size
    tracking_uri: str | None = None
    """Where the platform has runs recorded"""
    written: "NotebookRunnerComponent | None" = None
    """The component as its YAML has it, without the defaults of the platform"""
    origin: Mapping[str, Any] = field(default_factory=dict)
    """Metadata that says which file and line all that is made of it comes from"""
    scratch: Path | None = None
    """Takes what a sample run would otherwise leave in the project"""

    @property
    def state_folder(self) -> Path:
        """Where what is under way is kept, and the store of the project's own MLflow."""
        return (self.scratch or self.project_root) / ".dagbook"

    @property
    def op_name(self) -> str:
        """The name of the asset's op, which is also its place in a run's config."""
        return op_name(self.key)

    @cached_property
    def notebook_path(self) -> Path:
        """The notebook's file."""
        return self.project_root / self.component.notebook

    def output_folder(self, partition: str | None) -> Path:
        """Where a run's executed notebook and its HTML go."""
        return folder_of_partition(
            (self.scratch or self.project_root).joinpath("runs", *self.key.path), partition
        )

    def modules(self, notebook: Notebook) -> tuple[Path, ...]:
        """The project's own Python files that the notebook imports."""
        return local_modules(notebook, [self.notebook_path.parent, self.project_root])

    def code_version(self, notebook: Notebook) -> str:
        """The version of the notebook with its YAML and the local modules it imports."""
        files = [] if self.component_file is None else [self.component_file]
        return code_version(notebook, *files, *self.modules(notebook))

    @cached_property
    def as_loaded(self) -> Notebook | DagbookError:
        """The notebook as it was when Dagster loaded the project, or why it could not be read.

        A notebook in the middle of an edit must not take every other asset down with it.
        """
        try:
            notebook = read_notebook(self.notebook_path, within=self.project_root)
            if self.component.engine == "dagbook":
                _ = notebook.parameters  # reading them may refuse the notebook as well
        except DagbookError as error:
            return error
        return notebook


def folder_of_partition(folder: Path, partition: str | None) -> Path:
    """Where a partition's executed notebooks go, below those of its asset."""
    return folder / _as_file_name(partition) if partition is not None else folder


def op_name(key: dg.AssetKey) -> str:
    """The op's name for an asset's key: ``models/churn`` runs as ``models__churn``."""
    name = "__".join(key.path).replace("-", "_")
    return f"{name}_notebook" if name in _RESERVED else name


def build_asset(asset: NotebookAsset, execute: Execute) -> dg.AssetsDefinition:
    """Make the asset. What a run does is ``execute``'s.

    Nothing it yields is required, and it can be subset: a check or a name that was edited into
    or out of the notebook since this was made must not break a run.

    Made without Dagster's decorators, which look for inputs, config and resources in the
    signature of a function that has none: most of what a thousand of them cost.
    """
    component = asset.component
    notebook = asset.as_loaded if isinstance(asset.as_loaded, Notebook) else None
    deps = dict.fromkeys(map(_key, component.deps))
    spec = asset_spec(asset, deps=deps, partitions_def=asset.partitions)
    # Named outputs and inputs: Dagster would make names of keys, and refuse `input`.
    upstream = {f"upstream_{number}": key for number, key in enumerate(deps, start=1)}
    checks = {
        f"check_{check.name}": check
        for check in (_check_specs(asset, notebook) if notebook is not None else ())
    }

    def run_notebook_asset(context: dg.AssetExecutionContext, _inputs: Any) -> Iterator[Any]:
        yield from execute(context)

    # Dagster asks for it again and again, and Python makes it anew for each function.
    run_notebook_asset.__signature__ = _SIGNATURE  # type: ignore[attr-defined]
    op = dg.OpDefinition(
        run_notebook_asset,
        asset.op_name,
        ins=dict.fromkeys(upstream, _NOTHING_IN),
        outs={
            "result": dg.Out(
                dg.Nothing,
                description=spec.description,
                is_required=False,
                metadata=spec.metadata,
                code_version=spec.code_version,
            ),
            **dict.fromkeys(checks, _CHECK_OUT),
        },
        config_schema=build_config_schema(
            asset.op_name,
            notebook.parameters if notebook else (),
            component.parameters,
        ),
        tags=op_tags(asset),
    )
    return dg.AssetsDefinition(
        node_def=op,
        specs=[spec],
        keys_by_input_name=upstream,
        keys_by_output_name={"result": asset.key},
        check_specs_by_output_name=checks,
        can_subset=True,
    )


def asset_spec(asset: NotebookAsset, *more_kinds: str, **more: Any) -> dg.AssetSpec:
    """What Dagster shows of the asset, with `more` that only some engines say here."""
    component = asset.component
    notebook = asset.as_loaded if isinstance(asset.as_loaded, Notebook) else None
    return dg.AssetSpec(
        asset.key,
        description=component.description,
        metadata=_metadata(asset),
        group_name=component.group,
        code_version=asset.code_version(notebook) if notebook else None,
        owners=component.owners,
        tags=component.tags,
        kinds={"jupyter", *more_kinds},
        **more,
    )


def _check_specs(asset: NotebookAsset, notebook: Notebook) -> list[dg.AssetCheckSpec]:
    return [
        dg.AssetCheckSpec(
            role.slug,
            asset=asset.key,
            blocking=not role.warn,
            description=f"Check `{role.name}`, cell {cell.number} of the notebook.",
            metadata=asset.origin,
        )
        for cell in notebook.checks
        if (role := cell.role) is not None and role.slug is not None
    ]


def _metadata(asset: NotebookAsset) -> dict[str, Any]:
    component = asset.component
    path = asset.notebook_path
    metadata: dict[str, Any] = {
        "notebook": dg.MetadataValue.notebook(str(path))
        if path.suffix == ".ipynb"
        else dg.MetadataValue.path(str(path)),
        "size": asset.size.label,
    }
    metadata |= cost_metadata(asset)
    if component.schedule is not None:
        metadata |= describe_schedule(component.schedule, datetime.now(UTC))
    if component.old_version is not None:
        metadata[VERSION_KEY] = version_note(
            component.old_version, component.current_schema_version
        )
    if isinstance(asset.as_loaded, DagbookError):
        metadata["problem"] = str(asset.as_loaded)
    return {**metadata, **asset.origin}


def op_tags(asset: NotebookAsset) -> dict[str, str]:
    """Tags of the op: where results go, and by which Dagster's page shows the source notebook."""
    tags = {RESULTS_TAG: str(asset.output_folder(None))}
    # Dagster's page of the op then offers the source notebook; it opens .ipynb only.
    if asset.notebook_path.suffix != ".ipynb":
        return {**tags, "kind": "jupyter"}
    return {**tags, "kind": "ipynb", "notebook_path": str(asset.notebook_path)}


def _key(text: str) -> dg.AssetKey:
    return dg.AssetKey(text.split("/"))


def _as_file_name(partition: str) -> str:
    # `2026-01-01-00:00` stays readable; a slash or a leading dot must not lead anywhere.
    name = re.sub(r"[^\w\-+,=@:. ]", "_", partition)
    return f"_{name}" if name.startswith(".") else name
