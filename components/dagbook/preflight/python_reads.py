"""What Python code reads from its environment, found without running it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import IntEnum

from dagbook.preflight.imported_code import ImportedModule
from dagbook.preflight.python_names import GETS, PythonNames
from dagbook.preflight.sdk_defaults import Sdk, find_sdk, may_call_sdk


class Need(IntEnum):
    """What becomes of code that does not find what it reads."""

    NONE = 0
    """It goes on with something of its own"""
    PERHAPS = 1
    """It goes on with nothing, or may not come here at all"""
    CERTAIN = 2
    """It ends there"""


@dataclass(frozen=True)
class Read:
    """One place that reads a variable, asks for a password, or leaves its login to a library."""

    variable: str | None
    """The environment variable; None where none is named"""
    cell: int
    line: int
    need: Need
    way: str
    """How, in the author's words: ``getpass()``"""
    function: str | None = None
    """The function whose body it stands in; None at the top"""
    module: ImportedModule | None = None
    """The module it stands in; None for the notebook itself"""
    sdk: Sdk | None = None
    if_missing: bool = False
    """Whether code comes here only where the variable is not there"""

    @property
    def is_deferred(self) -> bool:
        """Whether it happens after all that is set anywhere: when its function is called."""
        return self.function is not None and self.way != "getpass()"


#: What calls without a default leave None to, which they cannot take.
_CANNOT_TAKE_NONE = frozenset(("int", "float", "len", "open", "Path", "json.loads", "pathlib.Path"))
_CATCHES = frozenset(("KeyError", "LookupError", "Exception", "BaseException"))


def may_read(source: str) -> bool:
    """Whether a cell can read anything: a quick look that errs on the safe side."""
    return re.search(r"environ|getenv|getpass|keyring|dotenv", source) is not None or may_call_sdk(
        source
    )


class PythonReads(PythonNames):
    """Walks code from top to bottom and collects what it reads; one for a whole notebook."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[Read] = []
        self.assigned: set[str] = set()
        """Environment variables that the code itself sets, so far"""
        self.dotenv: list[tuple[int, int, str | None]] = []
        """Where ``load_dotenv()`` is called: cell, line, and the file, where one is named"""
        self._cell = 0
        self._module: ImportedModule | None = None
        self._need = Need.CERTAIN
        self._softened: dict[int, Need] = {}
        self._asked_for: dict[int, str] = {}

    def walk(self, tree: ast.Module, cell: int) -> None:
        """Read one cell, after those above it."""
        self._cell = cell
        self.visit(tree)

    def walk_module(self, module: ImportedModule) -> None:
        """Read a module that a cell imports; what it calls its names is its own."""
        self._module = module
        with self._of_its_own():
            self.walk(module.tree, module.cell)
        self._module = None

    # Assignments.

    def visit_Assign(self, node: ast.Assign) -> None:  # noqa: D102
        for target in node.targets:
            variable = self._environment_key(target) or self._gets(target)
            if variable is not None:
                self._asked_for[id(node.value)] = variable
        self.visit(node.value)
        for target in node.targets:
            if (variable := self._environment_key(target)) is not None:
                self.assigned.add(variable)
                continue
            if isinstance(target, ast.Name):
                self._learn(target.id, node.value)
            self.visit(target)

    # Reads.

    def visit_Subscript(self, node: ast.Subscript) -> None:  # noqa: D102
        variable = self._environment_key(node)
        if variable is not None and isinstance(node.ctx, ast.Load):
            self._add(node, variable, self._need, f"os.environ[{variable!r}]")
        self._cannot_take_none(node.value)
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:  # noqa: D102
        self._cannot_take_none(node.value)
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:  # noqa: D102
        if isinstance(node.op, ast.Add):
            self._cannot_take_none(node.left)
            self._cannot_take_none(node.right)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:  # noqa: D102
        is_or = isinstance(node.op, ast.Or)
        asked = {v for value in node.values if (v := self._gets(value)) is not None}
        for value in node.values[:-1] if is_or else node.values:
            self._softened[id(value)] = Need.NONE
        for value in node.values if is_or and len(asked) == 1 else ():
            self._asked_for[id(value)] = next(iter(asked))
        first = len(self.reads)
        self.visit(node.values[0])
        with self._within(Need.PERHAPS):
            for value in node.values[1:]:
                self.visit(value)
        if is_or:
            self._foreseen(first, asked if len(node.values) > len(asked) else set())

    def visit_Compare(self, node: ast.Compare) -> None:  # noqa: D102
        for side in (node.left, *node.comparators):
            self._softened[id(side)] = Need.NONE
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:  # noqa: D102
        name = self._dotted(node.func)
        if name in GETS or name == "os.environ.pop":
            self._get(node, name)
        elif name in ("os.environ.setdefault", "os.putenv") and node.args:
            if (variable := self._text(node.args[0])) is not None:
                self.generic_visit(node)
                self.assigned.add(variable)
                return
        elif name == "os.environ.update":
            self._update(node)
        elif name in ("getpass.getpass", "getpass"):
            self._add(node, self._asked_for.get(id(node)), self._need, "getpass()")
        elif name == "keyring.get_password":
            self._add(node, None, Need.PERHAPS, "keyring.get_password()")
        elif name in ("dotenv.load_dotenv", "load_dotenv"):
            file = self._text(node.args[0]) if node.args else None
            self.dotenv.append((self._cell, node.lineno, file))
        elif (sdk := find_sdk(name, node, self._text)) is not None:
            need = min(self._need, Need.CERTAIN if sdk.fails else Need.PERHAPS)
            self._add(node, sdk.variables[0], need, f"{ast.unparse(node.func)}()", sdk)
        if name in _CANNOT_TAKE_NONE and node.args:
            self._cannot_take_none(node.args[0])
        self.generic_visit(node)

    def _get(self, node: ast.Call, name: str) -> None:
        variable = self._text(node.args[0]) if node.args else None
        if variable is None:
            return
        default = node.args[1] if len(node.args) > 1 else None
        default = next((k.value for k in node.keywords if k.arg in ("default", None)), default)
        has_default = default is not None and not (
            isinstance(default, ast.Constant) and default.value is None
        )
        if has_default:
            need = Need.NONE
        elif name == "os.environ.pop":
            need = self._need if default is None else Need.PERHAPS
        else:
            need = min(self._need, self._softened.get(id(node), Need.PERHAPS))
        self._add(node, variable, need, f"{ast.unparse(node.func)}({variable!r})")

    def _update(self, node: ast.Call) -> None:
        for given in node.args:
            if isinstance(given, ast.Dict):
                self.assigned.update(t for key in given.keys if (t := self._text(key)) is not None)
        self.assigned.update(keyword.arg for keyword in node.keywords if keyword.arg)

    def _cannot_take_none(self, node: ast.AST) -> None:
        if isinstance(node, ast.Call) and self._dotted(node.func) in GETS:
            self._softened.setdefault(id(node), Need.CERTAIN)

    def _add(
        self, node: ast.expr, variable: str | None, need: Need, way: str, sdk: Sdk | None = None
    ) -> None:
        if self._function is None and variable in self.assigned and way != "getpass()":
            return
        if sdk is not None and any(name in self.assigned for name in sdk.variables):
            return
        self.reads.append(
            Read(variable, self._cell, node.lineno, need, way, self._function, self._module, sdk)
        )

    # Where code may not come, or what stops it is caught.

    @contextmanager
    def _within(self, need: Need) -> Iterator[None]:
        before, self._need = self._need, min(self._need, need)
        try:
            yield
        finally:
            self._need = before

    def _block(self, statements: list[ast.stmt], need: Need) -> None:
        with self._within(need):
            for statement in statements:
                self.visit(statement)

    def visit_If(self, node: ast.If) -> None:  # noqa: D102
        self._test(node.test)
        asked = self._looked_for(node.test)
        first = len(self.reads)
        self._block(node.body, Need.PERHAPS)
        self._block(node.orelse, Need.PERHAPS)
        self._foreseen(first, asked)

    def visit_IfExp(self, node: ast.IfExp) -> None:  # noqa: D102
        self._test(node.test)
        asked = self._looked_for(node.test)
        first = len(self.reads)
        with self._within(Need.PERHAPS):
            self.visit(node.body)
            self.visit(node.orelse)
        self._foreseen(first, asked)

    def _foreseen(self, first: int, asked: set[str]) -> None:
        """Below `if "X" in os.environ` the author has thought of what is to be done without X."""
        for number in range(first, len(self.reads)):
            read = self.reads[number]
            if read.variable not in asked:
                continue
            if read.way == "getpass()":
                self.reads[number] = replace(read, need=self._need, if_missing=True)
            else:
                self.reads[number] = replace(read, need=Need.NONE)

    def visit_While(self, node: ast.While) -> None:  # noqa: D102
        self._test(node.test)
        self._block(node.body + node.orelse, Need.PERHAPS)

    def _test(self, test: ast.expr) -> None:
        inner = test.operand if isinstance(test, ast.UnaryOp) else test
        self._softened[id(inner)] = Need.NONE
        self.visit(test)

    def _looked_for(self, test: ast.expr) -> set[str]:
        found = set()
        for node in ast.walk(test):
            if isinstance(node, ast.Compare) and self._dotted(node.comparators[0]) == "os.environ":
                found.add(self._text(node.left) or "")
            elif (variable := self._gets(node)) is not None:
                found.add(variable)
        return found

    def visit_Try(self, node: ast.Try) -> None:  # noqa: D102
        caught = any(self._catches(handler) for handler in node.handlers)
        self._block(node.body, Need.NONE if caught else Need.CERTAIN)
        self._block([s for handler in node.handlers for s in handler.body], Need.PERHAPS)
        self._block(node.orelse, Need.PERHAPS if caught else Need.CERTAIN)
        self._block(node.finalbody, Need.CERTAIN)

    def _catches(self, handler: ast.ExceptHandler) -> bool:
        if handler.type is None:
            return True
        kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        raises = len(handler.body) == 1 and isinstance(handler.body[0], ast.Raise)
        return not raises and any(self._dotted(kind) in _CATCHES for kind in kinds)

    def visit_With(self, node: ast.With) -> None:  # noqa: D102
        calls = [item.context_expr for item in node.items]
        quiet = any(
            isinstance(c, ast.Call)
            and self._dotted(c.func) in ("contextlib.suppress", "suppress")
            and any(self._dotted(kind) in _CATCHES for kind in c.args)
            for c in calls
        )
        for call in calls:
            self.visit(call)
        self._block(node.body, Need.NONE if quiet else Need.CERTAIN)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:  # noqa: D102
        for value in (*node.decorator_list, *node.args.defaults, *node.args.kw_defaults):
            if value is not None:
                self.visit(value)
        before, self._function = self._function, self._function or node.name
        self._block(node.body, Need.CERTAIN)
        self._function = before

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:  # noqa: D102
        with self._within(Need.PERHAPS):
            self.visit(node.body)
