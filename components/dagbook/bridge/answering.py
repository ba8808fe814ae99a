"""From a question to its answer: finds the function, checks what it is given, words what it raises."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
import threading
import traceback
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Union, get_args, get_origin

from dagbook.bridge.component_frames import is_component_code
from dagbook.bridge.verbs import Asked, Verb
from dagbook.bridge_protocol import BridgeError, Code
from dagbook.errors import DagbookError, did_you_mean
from dagbook.trust import untrusted_text

_importing = threading.Lock()

_NAMES = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "an object",
    list: "a list",
    type(None): "null",
}


def answer(verb: Verb, asked: Asked, arguments: Any) -> Any:
    """What a verb answers.

    Raises:
        BridgeError: there is no answer.
    """
    if verb.needs_trust and not asked.is_trusted:
        raise BridgeError(Code.UNTRUSTED, untrusted_text(asked.root))
    module, _, name = verb.function.partition(":")
    try:
        with _importing:
            # Threads that import large packages at once may find some half made.
            function = getattr(importlib.import_module(module), name)
        return function(asked, **_checked(verb.name, function, arguments))
    except BridgeError:
        raise
    except DagbookError as error:
        raise BridgeError(Code.REFUSED, str(error)) from None
    except ModuleNotFoundError as error:
        missing = (error.name or "dagbook").split(".")[0]
        if missing == "dagbook" or _in_component(error) is not None:
            raise _unexpected(verb, error) from error
        raise BridgeError(
            Code.REFUSED,
            f"`{verb.name}` needs {_wanted(missing)}, which is not installed in {sys.prefix}: "
            "pip install 'dagbook[dagster]'",
        ) from None
    except (Exception, SystemExit) as error:
        raise _unexpected(verb, error) from error


def _wanted(missing: str) -> str:
    """What to name to whoever lacks a module: Dagster, where all that comes with it is missing."""
    return missing if importlib.util.find_spec("dagster") else "Dagster"


def error_json(error: BaseException) -> dict[str, Any]:
    """What stands behind ``error`` in an answer."""
    if isinstance(error, BridgeError):
        return error.to_json()
    return BridgeError(Code.BUG, f"{type(error).__name__}: {_one_line(error)}").to_json()


def _unexpected(verb: Verb, error: BaseException) -> BridgeError:
    """Somebody's component that raised, or a mistake of ours."""
    said = f"{type(error).__name__}: {_one_line(error)}".rstrip(": ")
    foreign = _in_component(error)
    if foreign is not None:
        what = "left" if isinstance(error, SystemExit) else "raised"
        return BridgeError(
            Code.COMPONENT_CODE,
            f"`{foreign.name}` in {foreign.filename}:{foreign.lineno} {what} {said}",
            {"file": foreign.filename, "line": foreign.lineno, "function": foreign.name},
        )
    lines = "".join(traceback.format_exception(error)).splitlines()
    return BridgeError(Code.BUG, f"`{verb.name}`: {said}", last_words=lines[-20:])


def _in_component(error: BaseException) -> traceback.FrameSummary | None:
    """Where in a component's code something was raised; None when it was not."""
    frames = traceback.extract_tb(error.__traceback__)
    return next((f for f in reversed(frames) if is_component_code(f.filename)), None)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:500]


def _checked(verb: str, function: Callable[..., Any], arguments: Any) -> dict[str, Any]:
    """The arguments, if the function takes them.

    Raises:
        BridgeError: it does not.
    """
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, Mapping):
        raise BridgeError(Code.INVALID_REQUEST, f"`{verb}`: `arguments` must be an object")
    known = _parameters(function)
    for name, value in arguments.items():
        if name not in known:
            near = did_you_mean(str(name), known)
            raise BridgeError(Code.INVALID_REQUEST, f"`{verb}` takes no `{name}`. {near}")
        kinds = known[name][0]
        if not _fits(value, kinds):
            wanted = " or ".join(_NAMES[kind] for kind in kinds)
            raise BridgeError(Code.INVALID_REQUEST, f"`{verb}`: `{name}` must be {wanted}")
    for name, (_, is_required) in known.items():
        if is_required and name not in arguments:
            raise BridgeError(Code.INVALID_REQUEST, f"`{verb}` needs `{name}`")
    return dict(arguments)


def _parameters(function: Callable[..., Any]) -> dict[str, tuple[list[type], bool]]:
    """By name, which kinds of value it takes (none: any), and whether it must be given."""
    hints = typing.get_type_hints(function)
    found = {}
    for name, parameter in list(inspect.signature(function).parameters.items())[1:]:
        required = parameter.default is inspect.Parameter.empty
        found[name] = (_kinds(hints.get(name, Any)), required)
    return found


def _kinds(hint: Any) -> list[type]:
    if hint is Any:
        return []
    if get_origin(hint) in (Union, types.UnionType):
        return [kind for part in get_args(hint) for kind in _kinds(part)]
    origin = get_origin(hint) or hint
    return [origin] if origin in _NAMES else []


def _fits(value: Any, kinds: Sequence[type]) -> bool:
    if not kinds:
        return True
    if isinstance(value, bool):
        return bool in kinds
    if isinstance(value, int) and float in kinds:
        return True
    return isinstance(value, tuple(kinds))
