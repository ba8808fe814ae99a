"""What `engine: dagstermill` cannot do, said before a run instead of being ignored in it."""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dagbook.cell_source import parse_python
from dagbook.notebook import Cell, Notebook, RoleKind
from dagbook.notebook_runner.dagstermill_adapter import REMEDY, is_installed
from dagbook.notebook_runner.run_time_names import Loc

if TYPE_CHECKING:
    from dagbook.notebook_runner.component import NotebookRunnerComponent

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: What Dagster allows as no name of an input, and what dagstermill puts into the kernel itself.
_TAKEN = {"context", "conf", "config", "meta", "arg_dict", "dict", "input_arg_dict", "input"}
_TAKEN |= {"output_arg_dict", "int", "str", "float", "bool", "output", "type"}


def engine_problems(component: NotebookRunnerComponent) -> Iterator[tuple[Loc, str]]:
    """Find what the YAML asks of an engine that cannot do it."""
    if component.engine != "dagstermill":
        if component.dagstermill.model_dump(exclude_defaults=True):
            yield (
                ("dagstermill",),
                "is for `engine: dagstermill` only: write that too, or delete it",
            )
        return
    if not is_installed():
        yield ("engine",), f"`dagstermill` needs dagstermill: {REMEDY}"
    if component.notebook and not component.notebook.endswith(".ipynb"):
        yield ("notebook",), f"{component.notebook!r}: dagstermill reads .ipynb only"
    if component.kernel is not None:
        yield ("kernel",), "dagstermill takes the notebook's own kernel: set it in the notebook"
    if component.timeout is not None:
        yield (
            ("timeout",),
            "dagstermill knows no limit for a cell: use `limits: {max_runtime_hours: …}`",
        )
    if component.resources:
        yield (
            ("resources",),
            "dagstermill's kernel has the whole deployment's environment, so credentials cannot be "
            "kept to one run: take `engine: dagstermill` out, or `resources`",
        )
    for number, name in enumerate(component.monitoring.track_metrics):
        if name.startswith("gpu_"):
            yield (
                ("monitoring", "track_metrics", number),
                f"`{name}` is not measured under `engine: dagstermill`",
            )
    yield from _input_problems(component)


def _input_problems(component: NotebookRunnerComponent) -> Iterator[tuple[Loc, str]]:
    seen: dict[str, str] = {}
    for name, dep in component.dagstermill.inputs.items():
        loc: Loc = ("dagstermill", "inputs", name)
        if not _NAME.fullmatch(name) or keyword.iskeyword(name) or name in _TAKEN:
            yield loc, f"{name!r} cannot be the name of an input: choose another variable"
        elif name.startswith(("__dm_", "upstream_")):
            yield loc, f"{name!r} is taken: names that begin so are dagstermill's or ours"
        elif dep in component.deps:
            yield loc, f"`{dep}` stands in `deps` too: an input comes before anyway"
        elif dep in seen:
            yield loc, f"`{dep}` is the input `{seen[dep]}` already"
        seen[dep] = name


def notebook_problem(notebook: Notebook) -> str | None:
    """What in a notebook dagstermill would run past, beginning with the cell; None if nothing."""
    if notebook.language != "python":
        return f"dagstermill runs Python only, not {notebook.language}"
    return next(filter(None, map(_cell_problem, notebook.cells)), None)


def _cell_problem(cell: Cell) -> str | None:
    role = cell.role
    if role is not None and role.kind is RoleKind.PARAMETERS and "parameters" not in cell.tags:
        return f"cell {cell.number}: dagstermill knows the parameters cell by its tag: set it"
    if role is not None and role.kind is RoleKind.SKIP and "skip-execution" not in cell.tags:
        return f"cell {cell.number}: dagstermill leaves a cell out only with the tag skip-execution"
    if (role is not None or cell.results) and (
        role is None or role.kind not in (RoleKind.PARAMETERS, RoleKind.SKIP)
    ):
        said = str(role) if role is not None else f"result:{cell.results[0]}"
        return f"cell {cell.number}: `{said}` does nothing under `engine: dagstermill`"
    for line, name in _dagbook_names(cell):
        return (
            f"cell {cell.number}, line {line}: `dagbook.{name}` knows nothing of a run under "
            "`engine: dagstermill`"
        )
    return None


def _dagbook_names(cell: Cell) -> Iterator[tuple[int, str]]:
    if cell.cell_type != "code" or "dagbook" not in cell.source:
        return
    for node in ast.walk(parse_python(cell.source) or ast.Module([], [])):
        if isinstance(node, ast.ImportFrom) and node.module == "dagbook":
            yield node.lineno, node.names[0].name
        elif isinstance(node, ast.ImportFrom) and node.module == "dagbook.context":
            yield node.lineno, "context"
        elif (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "dagbook"
        ):
            yield node.lineno, node.attr


def cells_before(notebook: Notebook) -> int:
    """How many cells dagstermill puts before the author's first."""
    tagged = {"parameters", "injected-parameters"}
    return 0 if any(tagged & set(cell.tags) for cell in notebook.cells) else 1
