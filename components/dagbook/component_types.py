"""The class a component's ``type:`` names."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from dagbook.errors import DagbookError, did_you_mean
from dagbook.project import Project

_OURS = "dagbook.NotebookRunnerComponent"


def find_component_type(name: Any, path: Path, project: Project) -> type[Any]:
    """Import the class that a component file names as its type.

    Args:
        name: what stands behind ``type:``.
        path: the file, which ``.module.Class`` is relative to.
        project: the project of the file; its folder must be importable.

    Raises:
        DagbookError: there is no such class, or it is no component.
    """
    if name is None:
        raise DagbookError(f"is missing: write `type: {_OURS}` or another component's")
    if not isinstance(name, str) or "." not in name:
        raise DagbookError(f"{name!r} is no component type, write it as in `type: {_OURS}`")
    module_name, _, class_name = name.rpartition(".")
    if name.startswith("."):
        module_name = _module_of(path.parent, project) + module_name
    # Before the module: what ours shows of itself depends on whether Dagster is loaded.
    from dagster import Component

    module = _import(module_name, name)
    found = getattr(module, class_name, None)
    if isinstance(found, type) and issubclass(found, Component):
        if reason := getattr(found, "unavailable_because", None):
            raise DagbookError(reason)
        return found
    if found is not None:
        raise DagbookError(f"`{name}` is no component, it is {_described(found)}")
    components = [known for known in _names(module) if _is_component(module, known)]
    raise DagbookError(
        f"`{module_name}` has no `{class_name}`. {did_you_mean(class_name, components)}"
    )


def runs_notebooks(component: type[Any] | None) -> bool:
    """Whether a component class is ours, or a company's that extends it."""
    if component is None:
        return False
    try:
        from dagbook.notebook_runner.component import NotebookRunnerComponent
    except Exception as error:
        words = " ".join(str(error).split())
        raise DagbookError(
            f"`{_OURS}` cannot be loaded: {type(error).__name__}: {words}"
        ) from error

    return issubclass(component, NotebookRunnerComponent)


def _module_of(folder: Path, project: Project) -> str:
    if not folder.is_relative_to(project.defs_folder):
        raise DagbookError(
            f"a type that begins with a dot is for files below {project.defs_folder}"
        )
    return ".".join([project.defs_module, *folder.relative_to(project.defs_folder).parts])


def _import(module_name: str, name: str) -> Any:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or module_name
        if module_name == missing or module_name.startswith(f"{missing}."):
            near = did_you_mean(name, [_OURS])
            hint = f" {near}" if near.startswith("Did") else ""
            raise DagbookError(f"the module `{missing}` is not installed here.{hint}") from None
        raise DagbookError(f"`{module_name}` needs `{missing}`, which is not installed") from None
    except DagbookError:
        raise
    except (Exception, SystemExit) as error:
        words = " ".join(str(error).split())
        said = f"{type(error).__name__}: {words}" if words else type(error).__name__
        raise DagbookError(f"`{module_name}` cannot be imported: {said}") from None


def _names(module: Any) -> list[str]:
    return [name for name in dir(module) if not name.startswith("_")]


def _is_component(module: Any, name: str) -> bool:
    from dagster import Component

    found = getattr(module, name, None)
    return isinstance(found, type) and issubclass(found, Component) and found is not Component


def _described(found: Any) -> str:
    return f"a class {found.__name__}" if isinstance(found, type) else f"a {type(found).__name__}"
