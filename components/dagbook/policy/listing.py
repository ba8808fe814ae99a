"""A platform as its file would say it, with everything that nobody wrote down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dagbook.policy.connection_listing import (
    connection_values,
    kernel_process_values,
    options_shown,
    resource_values,
)
from dagbook.policy.platform import (
    DEFAULT_PER_CELL,
    DEFAULT_PER_NOTEBOOK,
    Budget,
    Platform,
    Rules,
    Wanted,
)
from dagbook.policy.sizes import Size
from dagbook.policy.units import bytes_text, seconds_text

DEFAULT = "default"
#: More of a value is cut off where it is one of many.
LONGEST = 60


@dataclass(frozen=True)
class Row:
    """One value in force."""

    key: str
    value: Any
    """As the file has it; None: nothing is said, and nothing is limited"""
    origin: str
    """``dagbook-platform.yaml:12``, or `DEFAULT`"""

    @property
    def text(self) -> str:
        """The value in one short line."""
        text = self._text()
        return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"

    def _text(self) -> str:
        if isinstance(self.value, bool):
            return "yes" if self.value else "no"
        if isinstance(self.value, list):
            return ", ".join(map(str, self.value)) or "none"
        if isinstance(self.value, float):
            return f"{self.value:,.10g}"
        return "-" if self.value is None else str(self.value)


def rows_of(platform: Platform) -> Iterator[Row]:
    """Every value in force, in the order of the file's keys, with where each comes from."""
    yield from _rows(platform, platform_values(platform), "")


def platform_values(platform: Platform) -> dict[str, Any]:
    """Everything in force in the shape of the file; None where nothing is said.

    What is not None, written as YAML, is a platform file that says the same.
    """
    rules = platform.rules
    return {
        "contact": platform.contact,
        "currency": platform.currency,
        "compute_sizes": {
            name: _size(size, default=name == platform.default_size)
            for name, size in platform.sizes.items()
        },
        "teams": [
            _given(folder=team.folder, team=team.team, contact=team.contact)
            for team in platform.teams
        ],
        "rules": _rules(rules),
        "budgets": {
            "per_run": _budget(platform.budgets.per_run),
            "per_team": {t: _budget(b) for t, b in platform.budgets.per_team.items()},
        },
        "approvals": [
            _given(
                asset=approval.asset,
                size=approval.size,
                budget=approval.budget,
                until=approval.until.isoformat(),
                by=approval.by,
                reason=approval.reason or None,
            )
            for approval in platform.approvals
        ],
        "output_limits": {
            "per_cell": bytes_text(platform.outputs.per_cell or DEFAULT_PER_CELL),
            "per_notebook": bytes_text(platform.outputs.per_notebook or DEFAULT_PER_NOTEBOOK),
        },
        "tracking": {
            "tracking_uri": platform.tracking.tracking_uri,
            "allowed_uris": _flat(platform.tracking.allowed_uris),
            "experiment_prefix": platform.tracking.experiment_prefix or None,
            "connection": platform.tracking.connection,
        },
        "connections": {n: connection_values(c) for n, c in platform.connections.items()},
        "resources": {key: resource_values(r) for key, r in platform.resources.items()},
        "providers": {n: options_shown(n, told) for n, told in platform.providers.items()},
        "kernel_process": kernel_process_values(platform.kernels),
        "defaults": dict(platform.defaults),
        "bounds": {
            name: {"minimum": bound.minimum, "maximum": bound.maximum}
            for name, bound in platform.bounds.items()
        },
    }


def without_nothing(value: Any) -> Any:
    """Values without what is None or empty, as a file would be written."""
    if isinstance(value, dict):
        inner = {key: without_nothing(item) for key, item in value.items()}
        return {key: item for key, item in inner.items() if item not in (None, {}, [])}
    return [without_nothing(item) for item in value] if isinstance(value, list) else value


def _size(size: Size, *, default: bool) -> dict[str, Any]:
    return {
        "cpus": size.cpus,
        "memory": bytes_text(size.memory_bytes),
        "max_run_time": seconds_text(size.max_runtime_seconds),
        "gpus": size.gpus,
        "grace_seconds": size.grace_seconds,
        "price_per_hour": size.price_per_hour,
        "description": size.description or None,
        "teams": None if size.teams is None else sorted(size.teams),
        "default": default,
    }


def _rules(rules: Rules) -> dict[str, Any]:
    interval = rules.minimum_schedule_interval_seconds
    return {
        "required_metadata": {
            key: _wanted([w for w in rules.required_metadata if w.key == key])
            for key in dict.fromkeys(wanted.key for wanted in rules.required_metadata)
        },
        "key_pattern": " and ".join(rules.key_patterns) or None,
        "minimum_schedule_interval": seconds_text(interval) if interval else None,
        "kernels": None if rules.kernels is None else sorted(rules.kernels),
        "folders": _flat(rules.folders),
        "component_types": None if rules.component_types is None else sorted(rules.component_types),
        "required_checks": list(rules.required_checks) or None,
        "maximum_retries": rules.maximum_retries,
        "require_trial": rules.require_trial,
        "environment": sorted(rules.environment),
        "template_names": sorted(rules.template_names),
        "template_vars_modules": sorted(rules.template_vars_modules),
        "post_processing": rules.post_processing,
        "python_below_defs": rules.python_below_defs,
    }


def _budget(budget: Budget) -> dict[str, Any]:
    return {"warn_at": budget.warn_at, "stop_at": budget.stop_at}


def _wanted(all_of: list[Wanted]) -> Any:
    pattern = " and ".join(w.pattern for w in all_of if w.pattern is not None)
    help_ = next((w.help for w in all_of if w.help is not None), None)
    if help_ is None:
        return pattern or True
    return {"pattern": pattern or None, "help": help_}


def _flat(groups: tuple[tuple[str, ...], ...]) -> list[str] | None:
    return [pattern for group in groups for pattern in group] or None


def _given(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _rows(platform: Platform, value: Any, key: str) -> Iterator[Row]:
    if isinstance(value, Mapping) and value and key != "defaults":
        for name, item in value.items():
            yield from _rows(platform, item, f"{key}.{name}" if key else str(name))
    elif key == "defaults" and value:
        for name, item in value.items():
            yield Row(f"defaults.{name}", item, _origin(platform, f"defaults.{name}"))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for number, item in enumerate(value):
            yield from _rows(platform, item, f"{key}.{number}")
    else:
        yield Row(key, None if value == {} else value, _origin(platform, key))


def _origin(platform: Platform, key: str) -> str:
    return platform.origin_of(key) or DEFAULT
