"""Follows the names of a notebook through a cell, in the order in which it runs.

Names of functions, comprehensions and classes are told apart from the notebook's own as Python
does it. What a function's body does happens when it is called, so it is kept with the function.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dagbook.preflight.doings import Act, Body, Doings, Event
from dagbook.preflight.syntax_nodes import (
    arguments,
    asks_for_names,
    assigned,
    catches_names,
    declared_global,
    declared_nonlocal,
    dotted,
    is_main_test,
    makes_names,
    own_nodes,
    target_names,
    type_parameters,
    walrus_names,
    yields,
)

#: Inside a function these say nothing of the notebook's names.
_OWN_NAMES = frozenset({"locals", "vars"})


def doings_of(module: ast.Module) -> Doings:
    """Everything that running a cell does with the notebook's names."""
    walk = _Walk([])
    walk.statements(module.body)
    return Doings(tuple(walk.events), tuple(walk.deferred))


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
            certain = certain and not any(isinstance(n, ast.Return) for n in own_nodes(statements))
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
        if is_main_test(node.test):
            self.statements(node.body)
            return
        # What asks for a name's existence knows that it may be missing.
        asks = any(asks_for_names(n) for n in ast.walk(node.test))
        self._branch(node.body, node.orelse, guarded=asks)

    def _try(self, node: ast.Try) -> None:
        before = self.guarded
        self.guarded = before or any(catches_names(handler) for handler in node.handlers)
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
        own = {arg.arg for arg in arguments(node.args)} | type_parameters(node)
        globals_ = declared_global(node.body)
        own |= assigned(node.body) - globals_ - declared_nonlocal(node.body)
        body.is_plain = body.is_plain and not yields(node.body)
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
            [*self.scopes, _Scope(type_parameters(node) | {"__qualname__", "__module__"}, True)],
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
            if makes_names(node):
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
                [*self.scopes, _Scope({arg.arg for arg in arguments(node.args)})], certain=False
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
                if not (isinstance(operator, ast.In | ast.NotIn) and asks_for_names(other)):
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
        if makes_names(node) and not (self.scopes and dotted(node.func)[-1] in _OWN_NAMES):
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
        own = {name for generator in node.generators for name in target_names(generator.target)}
        inner = _Walk([*self.scopes, _Scope(own)], certain=self.certain)
        inner.guarded = self.guarded
        for generator in node.generators:
            if generator is not first:
                inner.expression(generator.iter)
            for condition in generator.ifs:
                inner.expression(condition)
        for part in [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]:
            inner.expression(part)
        for name in walrus_names(node):
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
