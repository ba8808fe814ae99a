"""Builds definitions from component files that have been read already.

Dagster's loader reads a component file by its name, when it likes. What was screened a moment ago
need not be what is read then, so here its tree is given the screened values instead. That takes
more than Dagster publishes: this file is the only place that does, and
``tests/components/test_location_trees.py`` fails when Dagster changes it.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import dagster as dg
from dagster._core.definitions.metadata.metadata_value import ObjectMetadataValue
from dagster.components.core.decl import (
    YamlDecl,
    YamlFileDecl,
    build_component_decl_from_python_file,
    build_component_decl_from_yaml_document,
)
from dagster.components.core.defs_module import ComponentFileModel, ComponentPath
from dagster_shared.yaml_utils.source_position import (
    LineCol,
    SourcePosition,
    SourcePositionTree,
    ValueAndSourcePositionTree,
)
from pydantic import ValidationError

from dagbook.location_faults import OUR_TYPE
from dagbook.notebook_runner.attributes import holds_template
from dagbook.notebook_runner.checks import FILLED_IN
from dagbook.notebook_runner.component import NotebookRunnerComponent
from dagbook.project import Project
from dagbook.safe_yaml.parsing import Value

_NO_MORE = {"type", "attributes"}


def build_from_values(project: Project, file: Path, documents: Sequence[Value]) -> dg.Definitions:
    """The definitions of a component file whose text says `documents`; it is not read again."""
    made = [made_at_once(document) for document in documents]
    if all(
        component is not None and document.value.keys() <= _NO_MORE
        for component, document in zip(made, documents, strict=True)
    ):
        parts = [
            _build_at_once(project, file, index, component, document)
            for index, (component, document) in enumerate(zip(made, documents, strict=True))
            if component is not None
        ]
        return parts[0] if len(parts) == 1 else dg.Definitions.merge(*parts)
    folder = file.parent
    tree = _tree(project, folder)
    context = tree.decl_load_context.for_component_loc(ComponentPath.from_path(folder))
    decls, positions = [], []
    for index, document in enumerate(documents):
        source = _source_tree(document, str(file))
        path = ComponentPath.from_path(folder, index)
        decl: Any = build_component_decl_from_yaml_document(
            context=context.for_component_loc(path), source_tree=source, path=path
        )
        decls.append(decl)
        positions.append(source.source_position_tree.position)
        tree.state_tracker.set_cache_data(path, component_decl=decl, component=made[index])
    loc = ComponentPath.from_path(folder)
    whole = YamlFileDecl(loc=loc, context=context, decls=decls, source_positions=positions)
    tree.state_tracker.set_cache_data(loc, component_decl=whole)
    return tree.build_defs(loc)


def build_from_python(project: Project, file: Path) -> dg.Definitions:
    """The definitions of one Python file, with the components it makes."""
    tree = _tree(project, file.parent)
    loc = ComponentPath.from_path(file)
    decl: Any = build_component_decl_from_python_file(tree.decl_load_context.for_component_loc(loc))
    # Also as the whole of the folder: to tell of an error, Dagster lists what it takes for the
    # whole, and would read every component file below.
    for place in (loc, ComponentPath.from_path(file.parent)):
        tree.state_tracker.set_cache_data(place, component_decl=decl)
    for name, child in decl.decls.items():
        tree.state_tracker.set_cache_data(ComponentPath.from_path(file, name), component_decl=child)
    return tree.build_defs(loc)


def build_by_name(project: Project, folder: Path) -> dg.Definitions:
    """The definitions of a folder as Dagster finds them, through its own interface."""
    return _tree(project, folder).build_defs(folder)


def is_folder_component(file: Path, documents: Sequence[Value]) -> bool:
    """Whether a component of a screened file loads what lies below its folder.

    Imports the types the file names, as loading it does.
    """
    return any(
        issubclass(found, dg.DefsFolderComponent)
        for document in documents
        if isinstance(found := _type_of(document.value["type"]), type)
    )


def made_at_once(document: Value) -> NotebookRunnerComponent | None:
    """Our own component without templates, which Dagster need not look through for any.

    That is a quarter of what loading it costs. One with a mistake is left to Dagster, which says
    where it is.
    """
    attributes = document.value.get("attributes")
    if document.value["type"] != OUR_TYPE or not isinstance(attributes, dict):
        return None
    if any(holds_template(value) for key, value in attributes.items() if key not in FILLED_IN):
        return None
    try:
        return NotebookRunnerComponent.model_validate(attributes)
    except ValidationError:
        return None


def _build_at_once(
    project: Project,
    file: Path,
    index: int,
    component: NotebookRunnerComponent,
    document: Value,
) -> dg.Definitions:
    """What a component's tree would make of it, each thing once.

    The tree makes every asset, schedule and check a second time, to note where it comes from.
    """
    whole = _context_of(project)
    path = ComponentPath.from_path(file.parent, index)
    model = ComponentFileModel.model_construct(**document.value)
    decl: Any = YamlDecl(context=whole, source_tree=None, component_file_model=model, loc=path)
    context = dataclasses.replace(whole, component_loc=path, component_decl=decl)
    references = component.get_code_references_for_yaml(
        file, _position(document, str(file)), context
    )
    origin = {
        "dagster/code_references": dg.CodeReferencesMetadataValue(code_references=list(references)),
        "dagster/component_origin": ObjectMetadataValue(component),
    }
    return component.build_placed(dataclasses.replace(component.place(context), origin=origin))


@functools.lru_cache(maxsize=8)
def _context_of(project: Project) -> dg.ComponentLoadContext:
    tree = _tree(project, project.defs_folder)
    nothing: Any = None  # each component has a declaration of its own
    return dg.ComponentLoadContext.from_decl_load_context(tree.decl_load_context, nothing)


def _type_of(name: str) -> Any:
    # One of a file beside it is not looked at: it would have to be imported before its time.
    module, _, attribute = name.rpartition(".")
    return (
        None if name.startswith(".") else getattr(importlib.import_module(module), attribute, None)
    )


def _tree(project: Project, folder: Path) -> dg.ComponentTree:
    # Not imported: a folder's name may hold a hyphen or a dot, and what is loaded lies in its
    # files. Relative Python in it is found through its parents, as always.
    parts = folder.relative_to(project.defs_folder).parts
    module = ModuleType(".".join([project.defs_module, *parts]))
    module.__file__ = None
    module.__path__ = [str(folder)]
    return dg.ComponentTree.from_module(defs_module=module, project_root=project.root)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Dagster from warning of what it is made of itself; around the whole of a load."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        warnings.simplefilter("ignore", dg.PreviewWarning)
        yield


def _source_tree(document: Value, file: str) -> ValueAndSourcePositionTree:
    return ValueAndSourcePositionTree(
        document.value, SourcePositionTree(_position(document, file), _children(document, file))
    )


def _children(value: Value, file: str) -> dict[Any, SourcePositionTree]:
    # Of a mapping's entry, the place is that of its key.
    found: dict[Any, SourcePositionTree] = {
        key.value: SourcePositionTree(_position(key, file), _children(item, file))
        for key, item in value.entries
    }
    for index, item in enumerate(value.items):
        found[index] = SourcePositionTree(_position(item, file), _children(item, file))
    return found


def _position(value: Value, file: str) -> SourcePosition:
    return SourcePosition(file, LineCol(value.line, value.column), LineCol(*value.end))
