"""What a piece of Python does with the names of its notebook, in the order in which it runs.

Names of functions, comprehensions and classes are told apart from the notebook's own as Python
does it. What a function's body does happens when it is called, so it is kept with the function.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from dagbook.preflight.known_magics import QUIET_MAGICS


class Act(StrEnum):
    """What happens to a name."""

    USE = "use"
    BIND = "bind"
    DELETE = "delete"
    CALL = "call"
    """A function is called by its name"""
    UNKNOWN = "unknown"
    """From here on any name may exist: ``exec``, ``import *``, …"""


@dataclass(frozen=True)
class Event:
    """One thing that happens to a name of the notebook."""

    act: Act
    name: str
    line: int
    is_certain: bool = True
    """Whether it happens in every run, not only in a branch"""
    is_guarded: bool = False
    """Whether the author expects that the name may be missing"""
    is_import: bool = False
    body: Body | None = None
    """Of a function that is bound: what happens when it is called"""


@dataclass
class Body:
    """A function's body, as far as it touches the notebook's names."""

    events: list[Event] = field(default_factory=list)
    is_plain: bool = True
    """Whether a call runs the body at once: no generator, no coroutine, no decorator"""


@dataclass(frozen=True)
class Doings:
    """What running a cell does with the notebook's names."""

    events: tuple[Event, ...] = ()
    deferred: tuple[Event, ...] = ()
    """Uses in the bodies of functions, methods and lambdas, whenever those are called"""


def doings_of(module: ast.Module) -> Doings:
    """Everything that running a cell does with the notebook's names."""
    walk = _Walk([])
    walk.statements(module.body)
    return Doings(tuple(walk.events), tuple(walk.deferred))


_CATCHING = frozenset({"NameError", "Exception", "BaseException", "UnboundLocalError"})
_INTROSPECTION = frozenset({"globals", "locals", "vars", "dir"})
#: Inside a function these say nothing of the notebook's names.
_OWN_NAMES = frozenset({"locals", "vars"})


@dataclass
class _Scope:
    """The names a function, class or comprehension has of its own."""

    names: set[str]
    is_class: bool = False


class _Walk:
    """Goes through code in the order in which it runs; `scopes` lie around it, outermost first."""

    def __init__(self, scopes: Sequence[_Scope], *, certain: bool = True) -> None:
        self.scopes = list(scopes)
        self.events: list[Event] = []
        self.deferred: list[Event] = []
        self.certain = certain
        self.guarded = False

    # Names

    def _is_own(self, name: str) -> bool:
        """Whether a name belongs to a scope around, so it is none of the notebook's."""
        for depth, scope in enumerate(reversed(self.scopes)):
            # A class's names are seen by its own statements, not by its methods.
            if name in scope.names and (not scope.is_class or depth == 0):
                return True
        return False

    def _tell(self, act: Act, name: str, node: ast.AST, **more: object) -> None:
        if act is not Act.UNKNOWN and self._is_own(name):
            return
        line = getattr(node, "lineno", 1)
        self.events.append(Event(act, name, line, self.certain, self.guarded, **more))  # type: ignore[arg-type]  # keywords of Event

    def _bind(self, name: str, node: ast.AST, **more: object) -> None:
        if self.scopes and self.scopes[-1].is_class:
            self.scopes[-1].names.add(name)
            return
        self._tell(Act.BIND, name, node, **more)

    # Statements

    def statements(self, body: Iterable[ast.stmt]) -> None:
        """Go through statements in order."""
        for statement in body:
            self._statement(statement)

    def _branch(self, *bodies: Iterable[ast.stmt], guarded: bool = False) -> None:
        certain, before = self.certain, self.guarded
        for body in bodies:
            self.certain = False
            self.guarded = before or guarded
            statements = list(body)
            self.statements(statements)
            # What follows an early return is not certain either.
            certain = certain and not any(isinstance(n, ast.Return) for n in _own_nodes(statements))
        self.certain, self.guarded = certain, before

    def _statement(self, node: ast.stmt) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            self._function(node)
        elif isinstance(node, ast.ClassDef):
            self._class(node)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                self._bind(alias.asname or alias.name.split(".")[0], node, is_import=True)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if alias.name == "*":
                    self._tell(Act.UNKNOWN, f"from {node.module} import *", node)
                else:
                    self._bind(alias.asname or alias.name, node, is_import=True)
        elif isinstance(node, ast.If):
            self._if(node)
        elif isinstance(node, ast.While):
            self.expression(node.test)
            always = isinstance(node.test, ast.Constant) and bool(node.test.value)
            if always:
                self.statements(node.body)
            else:
                self._branch(node.body)
            self._branch(node.orelse)
        elif isinstance(node, ast.For | ast.AsyncFor):
            self.expression(node.iter)
            self._target(node.target)
            self.statements(node.body)
            self._branch(node.orelse)
        elif isinstance(node, ast.Try) or type(node).__name__ == "TryStar":
            self._try(node)  # type: ignore[arg-type]  # TryStar has the same fields
        elif isinstance(node, ast.With | ast.AsyncWith):
            self._with(node)
        elif isinstance(node, ast.Match):
            self.expression(node.subject)
            for case in node.cases:
                self._pattern(case.pattern)
                certain = self.certain
                self.certain = False
                self.expression(case.guard)
                self.certain = certain
                self._branch(case.body)
        else:
            self._simple(node)

    def _simple(self, node: ast.stmt) -> None:
        if isinstance(node, ast.Assign):
            self.expression(node.value)
            for target in node.targets:
                self._target(target)
        elif isinstance(node, ast.AnnAssign):
            self.expression(node.value)
            if node.value is not None:
                self._target(node.target)
        elif isinstance(node, ast.AugAssign):
            if isinstance(node.target, ast.Name):
                self._tell(Act.USE, node.target.id, node.target)
            self.expression(node.value)
            self._target(node.target)
        elif isinstance(node, ast.Delete):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    self._tell(Act.USE, target.id, target)
                    self._tell(Act.DELETE, target.id, target)
                else:
                    self._target(target)
        elif type(node).__name__ == "TypeAlias":
            self._bind(node.name.id, node)  # type: ignore[attr-defined]  # Python 3.12
        elif not isinstance(node, ast.Global | ast.Nonlocal):
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.expr):
                    self.expression(child)

    def _if(self, node: ast.If) -> None:
        self.expression(node.test)
        if _is_main_test(node.test):
            self.statements(node.body)
            return
        # What asks for a name's existence knows that it may be missing.
        asks = any(_asks_for_names(n) for n in ast.walk(node.test))
        self._branch(node.body, node.orelse, guarded=asks)

    def _try(self, node: ast.Try) -> None:
        before = self.guarded
        self.guarded = before or any(_catches_names(handler) for handler in node.handlers)
        self.statements(node.body)
        self.guarded = before
        for handler in node.handlers:
            if handler.name:
                self._bind(handler.name, handler)
            self._branch(handler.body)
        self._branch(node.orelse)
        self.statements(node.finalbody)

    def _with(self, node: ast.With | ast.AsyncWith) -> None:
        before = self.guarded
        for item in node.items:
            self.expression(item.context_expr)
            if item.optional_vars is not None:
                self._target(item.optional_vars)
            called = item.context_expr
            if isinstance(called, ast.Call):
                words = ast.unparse(called.func).split(".")
                self.guarded = self.guarded or words[-1] in ("suppress", "raises")
        self.statements(node.body)
        self.guarded = before

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for decorator in node.decorator_list:
            self.expression(decorator)
        self._defaults(node.args)
        body = Body(is_plain=isinstance(node, ast.FunctionDef) and not node.decorator_list)
        own = {arg.arg for arg in _arguments(node.args)} | _type_parameters(node)
        globals_ = _declared_global(node.body)
        own |= _assigned(node.body) - globals_ - _declared_nonlocal(node.body)
        body.is_plain = body.is_plain and not _yields(node.body)
        inner = _Walk([*self.scopes, _Scope(own)])
        inner.statements(node.body)
        body.events = inner.events
        self._defer(inner)
        self._bind(node.name, node, body=body)
        # Whoever calls it makes these names; when that is, is not followed.
        for event in inner.events:
            if event.act in (Act.BIND, Act.UNKNOWN):
                self.events.append(Event(event.act, event.name, node.lineno, is_certain=False))

    def _defer(self, inner: _Walk) -> None:
        self.deferred.extend(event for event in inner.events if event.act is Act.USE)
        self.deferred.extend(inner.deferred)

    def _class(self, node: ast.ClassDef) -> None:
        for decorator in node.decorator_list:
            self.expression(decorator)
        for base in [*node.bases, *(keyword.value for keyword in node.keywords)]:
            self.expression(base)
        inner = _Walk(
            [*self.scopes, _Scope(_type_parameters(node) | {"__qualname__", "__module__"}, True)],
            certain=self.certain,
        )
        inner.guarded = self.guarded
        inner.statements(node.body)
        self.events.extend(inner.events)
        self.deferred.extend(inner.deferred)
        self._bind(node.name, node)

    def _defaults(self, arguments: ast.arguments) -> None:
        for default in [*arguments.defaults, *arguments.kw_defaults]:
            self.expression(default)

    # Expressions

    def _target(self, node: ast.expr) -> None:
        if isinstance(node, ast.Name):
            self._bind(node.id, node)
        elif isinstance(node, ast.Tuple | ast.List):
            for element in node.elts:
                self._target(element)
        elif isinstance(node, ast.Starred):
            self._target(node.value)
        else:  # an attribute or an item: its owner is used
            if _makes_names(node):
                self._tell(Act.UNKNOWN, ast.unparse(node), node)
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.expr):
                    self.expression(child)

    def expression(self, node: ast.expr | None) -> None:
        """Go through an expression."""
        if node is None:
            return
        if isinstance(node, ast.Name):
            self._tell(Act.USE, node.id, node)
        elif isinstance(node, ast.NamedExpr):
            self.expression(node.value)
            self._named(node)
        elif isinstance(node, ast.Lambda):
            self._defaults(node.args)
            inner = _Walk(
                [*self.scopes, _Scope({arg.arg for arg in _arguments(node.args)})], certain=False
            )
            inner.guarded = self.guarded
            inner.expression(node.body)
            self._defer(inner)
        elif isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            self._comprehension(node)
        elif isinstance(node, ast.BoolOp):
            self._in_branches(node.values[0], node.values[1:])
        elif isinstance(node, ast.IfExp):
            self._in_branches(node.test, [node.body, node.orelse])
        elif isinstance(node, ast.Call):
            self._call(node)
        elif isinstance(node, ast.Compare):
            self.expression(node.left)
            for operator, other in zip(node.ops, node.comparators, strict=True):
                if not (isinstance(operator, ast.In | ast.NotIn) and _asks_for_names(other)):
                    self.expression(other)
        else:
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.expr):
                    self.expression(child)
                elif isinstance(child, ast.keyword | ast.comprehension):
                    self.expression(getattr(child, "value", None))

    def _in_branches(self, first: ast.expr, others: Iterable[ast.expr]) -> None:
        self.expression(first)
        certain, self.certain = self.certain, False
        for other in others:
            self.expression(other)
        self.certain = certain

    def _call(self, node: ast.Call) -> None:
        for child in [node.func, *node.args, *(keyword.value for keyword in node.keywords)]:
            self.expression(child)
        if isinstance(node.func, ast.Name):
            self._tell(Act.CALL, node.func.id, node)
        if _makes_names(node) and not (self.scopes and _dotted(node.func)[-1] in _OWN_NAMES):
            self._tell(Act.UNKNOWN, ast.unparse(node.func), node)

    def _named(self, node: ast.NamedExpr) -> None:
        # `:=` in a comprehension binds outside it.
        inner = [scope for scope in self.scopes if node.target.id in scope.names]
        if not inner:
            self._bind(node.target.id, node)

    def _comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
    ) -> None:
        first = node.generators[0]
        self.expression(first.iter)
        own = {name for generator in node.generators for name in _target_names(generator.target)}
        inner = _Walk([*self.scopes, _Scope(own)], certain=self.certain)
        inner.guarded = self.guarded
        for generator in node.generators:
            if generator is not first:
                inner.expression(generator.iter)
            for condition in generator.ifs:
                inner.expression(condition)
        for part in [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]:
            inner.expression(part)
        for name in _walrus_names(node):
            self._bind(name, node)
        self.events.extend(inner.events)

    def _pattern(self, pattern: ast.pattern) -> None:
        for node in ast.walk(pattern):
            name = getattr(node, "name", None) or getattr(node, "rest", None)
            if isinstance(name, str):
                self._bind(name, node)
            elif isinstance(node, ast.MatchValue):
                self.expression(node.value)
            elif isinstance(node, ast.MatchClass):
                self.expression(node.cls)


def _asks_for_names(node: ast.AST) -> bool:
    """Whether it is `globals()`, `dir()` and the like, or their keys."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr == "keys" and _asks_for_names(node.func.value)
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in _INTROSPECTION
        and not node.args
    )


def _makes_names(node: ast.AST) -> bool:
    """Whether it can make names that no assignment shows."""
    if isinstance(node, ast.Attribute):
        return _dotted(node)[0] in ("builtins", "__builtins__", "__main__")
    if isinstance(node, ast.Subscript):
        return "user_ns" in _dotted(node.value)
    if not isinstance(node, ast.Call):
        return False
    words = _dotted(node.func)
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


def _dotted(node: ast.expr) -> list[str]:
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


def _catches_names(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(_dotted(type_)[-1] in _CATCHING for type_ in types)


def _is_main_test(test: ast.expr) -> bool:
    return isinstance(test, ast.Compare) and any(
        isinstance(n, ast.Name) and n.id == "__name__" for n in ast.walk(test)
    )


def _arguments(arguments: ast.arguments) -> list[ast.arg]:
    found = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return [*found, *(arg for arg in (arguments.vararg, arguments.kwarg) if arg is not None)]


def _type_parameters(node: ast.AST) -> set[str]:
    return {parameter.name for parameter in getattr(node, "type_params", [])}


def _target_names(target: ast.expr) -> set[str]:
    return {n.id for n in ast.walk(target) if isinstance(n, ast.Name) and _is_store(n)}


def _is_store(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store | ast.Del)


def _own_nodes(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
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


def _walrus_names(node: ast.AST) -> list[str]:
    return [n.target.id for n in ast.walk(node) if isinstance(n, ast.NamedExpr)]


def _assigned(body: Iterable[ast.AST]) -> set[str]:
    found: set[str] = set()
    for node in _own_nodes(body):
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


def _declared_global(body: Iterable[ast.AST]) -> set[str]:
    return {n for node in _own_nodes(body) if isinstance(node, ast.Global) for n in node.names}


def _declared_nonlocal(body: Iterable[ast.AST]) -> set[str]:
    return {n for node in _own_nodes(body) if isinstance(node, ast.Nonlocal) for n in node.names}


def _yields(body: Iterable[ast.AST]) -> bool:
    return any(isinstance(node, ast.Yield | ast.YieldFrom) for node in _own_nodes(body))
