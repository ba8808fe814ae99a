"""What it would take to run a notebook written for dagstermill with dagbook's own engine."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagbook.cell_source import parse_python
from dagbook.notebook import Cell, Notebook, read_notebook
from dagbook.notebook_runner.attributes import holds_template

if TYPE_CHECKING:
    from dagbook.notebook_runner.component import NotebookRunnerComponent

#: What stands for an event that a notebook yields.
_EVENTS = {
    "AssetMaterialization": "numbers of its metadata: `dagbook.log_metric(name, value)`, or the "
    "tag `metrics` on the cell that assigns them",
    "AssetObservation": "numbers of its metadata: `dagbook.log_metric(name, value)`, or the tag "
    "`metrics` on the cell that assigns them",
    "ExpectationResult": "an `assert` in a cell with the tag `check:NAME`",
    "TypeCheck": "an `assert` in a cell with the tag `check:NAME`",
    "Failure": "`raise` an exception: its text is the run's reason",
    "RetryRequested": "`raise` an exception, and `retries: {max: …, on: [error]}` in the YAML",
}
#: What stands for a part of dagstermill's context.
_CONTEXT = {
    "log": "`print`, or the module `logging`: a cell's output is kept",
    "run_id": "`dagbook.context.run_id`",
    "run": "`dagbook.context`: run_id, partition_key, data_interval_start, …",
    "run_config": "parameters: their values stand in the cell below the parameters cell",
    "get_tag": "`dagbook.context`: run_id, partition_key, data_interval_start, …",
    "has_tag": "`dagbook.context`: run_id, partition_key, data_interval_start, …",
}


@dataclass(frozen=True)
class Advice:
    """One thing to change. `cell` and `line` count from 1; 0 where it is about the YAML."""

    cell: int
    line: int
    found: str
    instead: str

    def __str__(self) -> str:
        at = f"cell {self.cell}, line {self.line}: " if self.cell else ""
        return f"{at}`{self.found}`: {self.instead}"


def advice_on(attributes: Mapping[str, Any], project_root: Path) -> list[str]:
    """List what to change for a sound component, line by line; nothing if dagbook runs it.

    Args:
        attributes: what stands below ``attributes:`` in the YAML.
        project_root: the folder that ``notebook:`` is relative to.
    """
    from dagbook.notebook_runner.component import NotebookRunnerComponent

    named = attributes.get("notebook")
    if attributes.get("engine") != "dagstermill" or not named or holds_template(named):
        return []
    given = {
        name: attributes[name]
        for name in ("notebook", "engine", "parameters", "dagstermill")
        if name in attributes and (name == "parameters" or not holds_template(attributes[name]))
    }
    component = NotebookRunnerComponent.model_validate(given)
    notebook = read_notebook(project_root / named)
    return [
        f"{named}, {advice}" if advice.cell else str(advice)
        for advice in advice_for(component, notebook)
    ]


def advice_for(component: NotebookRunnerComponent, notebook: Notebook) -> list[Advice]:
    """List what to change, in the order of the cells, then in the YAML."""
    found: list[Advice] = []
    reader = _Reader()
    for cell in notebook.cells:
        if cell.cell_type == "code" and not cell.is_skipped:
            found += reader.read(cell)
    names = sorted({*component.parameters, *reader.config_names})
    lines = "; ".join(f"{name} = …" for name in names)
    declaring = notebook.parameters_cell
    if declaring is not None:
        declared = f": {lines}" if names else ""
        found.append(
            Advice(
                declaring.number,
                1,
                "parameters",
                "dagstermill replaces the cell with this tag; dagbook runs it and puts values "
                f"below it. Let it say one default a line{declared}",
            )
        )
        found.sort(key=lambda advice: advice.cell)
    elif names:
        found.append(
            Advice(0, 0, "parameters", f"a cell with the tag `parameters` declares them: {lines}")
        )
    return [*found, *_about_yaml(component)]


def _about_yaml(component: NotebookRunnerComponent) -> Iterator[Advice]:
    for name, key in component.dagstermill.inputs.items():
        yield Advice(
            0,
            0,
            f"dagstermill.inputs.{name}",
            f"`deps: [{key}]`, and the notebook reads that asset's file or table itself",
        )
    folder = Path(component.notebook).parent
    if folder != Path():
        yield Advice(
            0, 0, "notebook", f"its working directory will be {folder}, not that of the project"
        )
    yield Advice(0, 0, "engine: dagstermill", "delete it, and what stands below `dagstermill:`")


class _Reader:
    """Reads cell after cell: what one imports, the next ones use."""

    def __init__(self) -> None:
        self._modules: set[str] = set()
        self._functions: dict[str, str] = {}
        self._contexts = {"context"}
        self.config_names: set[str] = set()

    def read(self, cell: Cell) -> Iterator[Advice]:
        """What in a cell needs a change, in the order of its lines."""
        module = parse_python(cell.source)
        if module is None:
            return
        nodes = [node for node in ast.walk(module) if isinstance(node, ast.stmt | ast.expr)]
        nodes.sort(key=lambda node: (node.lineno, node.col_offset))
        done: set[ast.AST] = set()
        for node in nodes:
            if node in done:
                continue
            said = self._about(node, done)
            if said is not None:
                yield Advice(cell.number, node.lineno, *said)

    def _about(self, node: ast.AST, done: set[ast.AST]) -> tuple[str, str] | None:
        if isinstance(node, ast.Import):
            aliases = [a for a in node.names if a.name.split(".")[0] == "dagstermill"]
            self._modules |= {alias.asname or "dagstermill" for alias in aliases}
            return (ast.unparse(node), "take it out") if aliases else None
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dagstermill"):
            self._functions |= {alias.asname or alias.name: alias.name for alias in node.names}
            return ast.unparse(node), "take it out"
        if isinstance(node, ast.Assign) and self._function(node.value) == "get_context":
            self._contexts |= {t.id for t in node.targets if isinstance(t, ast.Name)}
        if isinstance(node, ast.Call) and (function := self._function(node)) is not None:
            return self._about_call(node, function)
        if isinstance(node, ast.Subscript) and self._context_part(node.value) == "op_config":
            done.add(node.value)
            return self._about_config(node)
        part = self._context_part(node)
        if part == "op_config":
            return "context.op_config", "parameters are variables: use them by their names"
        if isinstance(node, ast.Attribute) and self._context_part(node.value) == "resources":
            done.add(node.value)
            return (
                f"context.resources.{node.attr}",
                "make it in the notebook, or import what makes it from a module of the project",
            )
        if part is not None and part != "resources":
            return f"context.{part}", _CONTEXT.get(part, "has no counterpart: do without it")
        return None

    def _about_call(self, call: ast.Call, function: str) -> tuple[str, str] | None:
        name = f"dagstermill.{function}"
        if function == "get_context":
            config = next((k.value for k in call.keywords if k.arg == "op_config"), None)
            if isinstance(config, ast.Dict):
                keys = [k.value for k in config.keys if isinstance(k, ast.Constant)]
                self.config_names |= {str(key) for key in keys}
            return f"{name}()", "take it out; parameters are variables"
        if function == "yield_result":
            return (
                f"{name}()",
                "the tag `result:VARIABLE` on the cell that computes it. In an asset it raises "
                "under dagstermill too",
            )
        if function == "yield_event":
            event = call.args[0] if call.args else None
            kind = ""
            if isinstance(event, ast.Call):
                kind = ast.unparse(event.func).split(".")[-1]
            return (
                f"{name}({kind})" if kind else f"{name}()",
                _EVENTS.get(kind, "; ".join(f"{k}: {v}" for k, v in _EVENTS.items())),
            )
        return f"{name}()", "take it out"

    def _about_config(self, node: ast.Subscript) -> tuple[str, str]:
        key = node.slice
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            self.config_names.add(key.value)
            return f'context.op_config["{key.value}"]', f"`{key.value}`, a parameter"
        return ast.unparse(node), "parameters are variables: use them by their names"

    def _function(self, node: ast.AST) -> str | None:
        """The function of dagstermill that a call calls."""
        if not isinstance(node, ast.Call):
            return None
        called = node.func
        if isinstance(called, ast.Name):
            return self._functions.get(called.id)
        if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
            return called.attr if called.value.id in self._modules else None
        return None

    def _context_part(self, node: ast.AST) -> str | None:
        """``x`` of ``context.x``."""
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            return node.attr if node.value.id in self._contexts else None
        return None
