"""The platform's defaults put into what a component's YAML leaves out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagbook.policy.connection_judges import is_plain_value
from dagbook.policy.connections import TRACKING_KEY
from dagbook.policy.platform import Platform

#: Attributes that may be written as one value, and the key that value is for.
_SHORT = {"retries": "max", "schedule": "cron"}
#: What is only there when the author asks for it.
_ONLY_IF_GIVEN = frozenset({"schedule"})


def with_defaults(attributes: Mapping[str, Any], platform: Platform) -> dict[str, Any]:
    """Attributes as they are with the platform's defaults: what is given stays as it is.

    A default inside `schedule` (its time zone) makes no schedule where there is none; where the
    author wrote one value for a whole (``retries: 2``) the defaults for the rest stand beside it.
    A server's address under ``resources: {mlflow: …}`` is `experiment.tracking_uri`.

    Args:
        attributes: what stands below ``attributes:`` in the YAML; not changed.
        platform: the policy in force.
    """
    filled = dict(attributes)
    if "compute_size" not in filled:
        filled["compute_size"] = platform.default_size
    server = _tracking_server(filled, platform)
    if server is not None:
        _fill(filled, ["experiment", "tracking_uri"], server)
    for name, value in platform.defaults.items():
        # A list of the platform's is nobody's to change.
        _fill(filled, name.split("."), list(value) if isinstance(value, list) else value)
    return filled


def _tracking_server(attributes: Mapping[str, Any], platform: Platform) -> str | None:
    resource, asked = platform.resources.get(TRACKING_KEY), attributes.get("resources")
    name = asked.get(TRACKING_KEY) if isinstance(asked, Mapping) else None
    is_server = resource is not None and isinstance(name, str) and is_plain_value(resource, name)
    return name if is_server else None


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
