"""The platform's defaults put into what a component's YAML leaves out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagbook.policy.platform import Platform

#: Attributes that may be written as one value, and the key that value is for.
_SHORT = {"retries": "max", "schedule": "cron"}
#: What is only there when the author asks for it.
_ONLY_IF_GIVEN = frozenset({"schedule"})


def with_defaults(attributes: Mapping[str, Any], platform: Platform) -> dict[str, Any]:
    """Attributes as they are with the platform's defaults: what is given stays as it is.

    A default inside `schedule` (its time zone) makes no schedule where there is none; where the
    author wrote one value for a whole (``retries: 2``) the defaults for the rest stand beside it.

    Args:
        attributes: what stands below ``attributes:`` in the YAML; not changed.
        platform: the policy in force.
    """
    filled = dict(attributes)
    if "compute_size" not in filled:
        filled["compute_size"] = platform.default_size
    for name, value in platform.defaults.items():
        # A list of the platform's is nobody's to change.
        _fill(filled, name.split("."), list(value) if isinstance(value, list) else value)
    return filled


def _fill(filled: dict[str, Any], parts: list[str], value: Any) -> None:
    first, rest = parts[0], parts[1:]
    if not rest:
        filled.setdefault(first, value)
        return
    inside = filled.get(first)
    if inside is None:
        if first in _ONLY_IF_GIVEN or first in filled:
            return
        inside = {}
    elif not isinstance(inside, Mapping):
        if first not in _SHORT or rest == [_SHORT[first]]:
            return
        inside = {_SHORT[first]: inside}
    inner = dict(inside)
    _fill(inner, rest, value)
    filled[first] = inner
