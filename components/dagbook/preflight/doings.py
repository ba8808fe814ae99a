"""What cells do with the names of their notebook, one thing after the other."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


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
