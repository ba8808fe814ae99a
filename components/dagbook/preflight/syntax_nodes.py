"""What single pieces of Python mean for the names around them."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from dagbook.preflight.known_magics import QUIET_MAGICS

_CATCHING = frozenset({"NameError", "Exception", "BaseException", "UnboundLocalError"})
_INTROSPECTION = frozenset({"globals", "locals", "vars", "dir"})


def asks_for_names(node: ast.AST) -> bool:
    """Whether it is `globals()`, `dir()` and the like, or their keys."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr == "keys" and asks_for_names(node.func.value)
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in _INTROSPECTION
        and not node.args
    )


def makes_names(node: ast.AST) -> bool:
    """Whether it can make names that no assignment shows."""
    if isinstance(node, ast.Attribute):
        return dotted(node)[0] in ("builtins", "__builtins__", "__main__")
    if isinstance(node, ast.Subscript):
        return "user_ns" in dotted(node.value)
    if not isinstance(node, ast.Call):
        return False
    words = dotted(node.func)
    if words in (["exec"], ["execfile"]):
        return True
    if words in (["globals"], ["locals"], ["vars"]):
        return not node.args
    if words == ["setattr"]:
        owner = node.args[0] if node.args else None
        return not isinstance(owner, ast.Name) or owner.id in ("builtins", "__builtins__")
    if words[-1] in ("run_line_magic", "run_cell_magic", "magic"):
        name = node.args[0] if node.args else None
        known = isinstance(name, ast.Constant) and isinstance(name.value, str)
        return not known or name.value.split(maxsplit=1)[0] not in QUIET_MAGICS  # type: ignore[union-attr]  # known
    return words[-1] in ("run_cell", "push", "ex") and words[0] in _SHELLS


_SHELLS = frozenset({"get_ipython", "ipython", "ip", "shell"})


def dotted(node: ast.expr) -> list[str]:
    """The words of a dotted name, calls in it passed over; the first is empty where it is no name."""
    words: list[str] = []
    while True:
        if isinstance(node, ast.Attribute):
            words.insert(0, node.attr)
            node = node.value
        elif isinstance(node, ast.Call) and words:
            node = node.func
        elif isinstance(node, ast.Name):
            return [node.id, *words]
        else:
            return ["", *words]


def catches_names(handler: ast.ExceptHandler) -> bool:
    """Whether a handler catches that a name is missing."""
    if handler.type is None:
        return True
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(dotted(type_)[-1] in _CATCHING for type_ in types)


def is_main_test(test: ast.expr) -> bool:
    """Whether it is the test of ``if __name__ == "__main__"``, which a notebook passes."""
    return isinstance(test, ast.Compare) and any(
        isinstance(n, ast.Name) and n.id == "__name__" for n in ast.walk(test)
    )


def arguments(arguments: ast.arguments) -> list[ast.arg]:
    """Every argument of a function."""
    found = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return [*found, *(arg for arg in (arguments.vararg, arguments.kwarg) if arg is not None)]


def type_parameters(node: ast.AST) -> set[str]:
    """The names in the brackets behind a function or class, from Python 3.12 on."""
    return {parameter.name for parameter in getattr(node, "type_params", [])}


def target_names(target: ast.expr) -> set[str]:
    """The names that a loop's target sets."""
    return {n.id for n in ast.walk(target) if isinstance(n, ast.Name) and _is_store(n)}


def _is_store(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store | ast.Del)


def own_nodes(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Every node of a function's own scope; of those inside it, only the node itself."""
    waiting = list(body)
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            continue
        if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            waiting.extend(n for n in ast.walk(node) if isinstance(n, ast.NamedExpr))
            continue
        waiting.extend(ast.iter_child_nodes(node))


def walrus_names(node: ast.AST) -> list[str]:
    """The names that ``:=`` sets."""
    return [n.target.id for n in ast.walk(node) if isinstance(n, ast.NamedExpr)]


def assigned(body: Iterable[ast.AST]) -> set[str]:
    """The names that the statements of one scope set."""
    found: set[str] = set()
    for node in own_nodes(body):
        if isinstance(node, ast.Name) and _is_store(node):
            found.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            found.add(node.name)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            found.add(node.rest)
        elif isinstance(node, ast.NamedExpr):
            found.add(node.target.id)
    return found


def declared_global(body: Iterable[ast.AST]) -> set[str]:
    """The names that a function declares as global."""
    return {n for node in own_nodes(body) if isinstance(node, ast.Global) for n in node.names}


def declared_nonlocal(body: Iterable[ast.AST]) -> set[str]:
    """The names that a function declares as nonlocal."""
    return {n for node in own_nodes(body) if isinstance(node, ast.Nonlocal) for n in node.names}


def yields(body: Iterable[ast.AST]) -> bool:
    """Whether a body makes its function a generator."""
    return any(isinstance(node, ast.Yield | ast.YieldFrom) for node in own_nodes(body))
