"""What names in Python code stand for, as far as that can be read: `e` for `os.environ`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager

#: What answers None, or a default, where the variable is not there.
GETS = frozenset(("os.getenv", "os.environ.get"))
#: Imported so often that a notebook whose first cell was not read has it all the same.
_KNOWN = {"os": "os"}


class PythonNames(ast.NodeVisitor):
    """Learns names while it walks: imports, other names of `os.environ`, and texts."""

    def __init__(self) -> None:
        self.called: set[str] = set()
        """Names that are used anywhere, functions among them"""
        self.bound: set[str] = set()
        """Variables of the code itself"""
        self._names = dict(_KNOWN)
        self._texts: dict[str, str] = {}
        self._of_variable: dict[str, str] = {}
        self._function: str | None = None

    @contextmanager
    def _of_its_own(self) -> Iterator[None]:
        """Walk a module, whose names are its own."""
        before = (self._names, self._texts, self._of_variable)
        self._names, self._texts, self._of_variable = dict(_KNOWN), {}, {}
        try:
            yield
        finally:
            self._names, self._texts, self._of_variable = before

    def visit_Import(self, node: ast.Import) -> None:  # noqa: D102
        for alias in node.names:
            top = alias.name.split(".")[0]
            self._names[alias.asname or top] = alias.name if alias.asname else top

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:  # noqa: D102
        for alias in node.names:
            if not node.level and node.module:
                self._names[alias.asname or alias.name] = f"{node.module}.{alias.name}"

    def visit_Name(self, node: ast.Name) -> None:  # noqa: D102
        (self.called if isinstance(node.ctx, ast.Load) else self.bound).add(node.id)

    def _dotted(self, node: ast.AST) -> str:
        """What an expression is called in full: ``os.environ.get``; empty where nobody knows."""
        words: list[str] = []
        while isinstance(node, ast.Attribute):
            words.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        return ".".join([self._names.get(node.id, node.id), *reversed(words)])

    def _text(self, node: ast.AST | None) -> str | None:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value
        return self._texts.get(node.id) if isinstance(node, ast.Name) else None

    def _gets(self, node: ast.AST) -> str | None:
        """The variable that `os.getenv("X")` asks for, or a name that holds what it answered."""
        if isinstance(node, ast.Name):
            return self._of_variable.get(node.id)
        if isinstance(node, ast.Call) and self._dotted(node.func) in GETS and node.args:
            return self._text(node.args[0])
        return None

    def _learn(self, name: str, value: ast.expr) -> None:
        dotted, text = self._dotted(value), self._text(value)
        if (variable := self._gets(value)) is not None:
            self._of_variable[name] = variable
        if dotted.startswith("os.") or dotted == "os":
            self._names[name] = dotted
        elif text is not None and self._function is None:
            self._texts[name] = text
        else:
            self._texts.pop(name, None)
            self._names.pop(name, None)

    def _environment_key(self, node: ast.AST) -> str | None:
        if isinstance(node, ast.Subscript) and self._dotted(node.value) == "os.environ":
            return self._text(node.slice)
        return None
