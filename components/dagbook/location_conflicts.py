"""Components that load one by one and not together: equal keys, equal names, circles."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import dagster as dg

from dagbook.location_faults import Fault, fault_from
from dagbook.project import component_file_in


@dataclass
class Unit:
    """One folder that is loaded as a whole, or the reason why it is not."""

    folder: Path
    defs: dg.Definitions | None
    fault: Fault | None = None

    @property
    def file(self) -> Path:
        """The file a reader would mend."""
        return component_file_in(self.folder) or self.folder

    @property
    def dependencies(self) -> dict[dg.AssetKey, set[dg.AssetKey]]:
        """Its assets, each with the assets that must come before."""
        found: dict[dg.AssetKey, set[dg.AssetKey]] = {}
        for asset in self._assets():
            if isinstance(asset, dg.AssetsDefinition):
                for key in asset.keys:
                    found[key] = set(asset.asset_deps[key])
            elif isinstance(asset, dg.AssetSpec):
                found[asset.key] = {dep.asset_key for dep in asset.deps}
        return found

    @property
    def partitions(self) -> dict[dg.AssetKey, dg.PartitionsDefinition[str]]:
        """Its assets that are partitioned, each with its partitions."""
        return {
            key: asset.partitions_def
            for asset in self._assets()
            if isinstance(asset, dg.AssetsDefinition) and asset.partitions_def is not None
            for key in asset.keys
        }

    def names(self) -> Iterator[tuple[str, str, Any]]:
        """What nobody else in the location may be called: kind, name, and the thing itself."""
        for asset in self._assets():
            if isinstance(asset, dg.AssetsDefinition):
                yield from (("asset key", key.to_user_string(), asset) for key in asset.keys)
                if asset.is_executable:
                    yield "op name", asset.op.name, asset
            elif isinstance(asset, dg.AssetSpec):
                yield "asset key", asset.key.to_user_string(), asset
        if self.defs is not None:
            for instigator in [*(self.defs.schedules or []), *(self.defs.sensors or [])]:
                yield "schedule or sensor", instigator.name, instigator
            for job in self.defs.jobs or []:
                yield "job", job.name, job

    def set_aside(self, reason: str) -> None:
        """Leave it out, for this reason."""
        self.defs, self.fault = None, Fault(self.file, reason)

    def _assets(self) -> Iterable[Any]:
        return (self.defs.assets or []) if self.defs is not None else []


def set_conflicts_aside(units: list[Unit], approved: Collection[str] = ()) -> None:
    """Set aside what would keep the others from loading. The first of two by path stays.

    Args:
        units: in the order of their paths.
        approved: asset keys for which somebody approved an exception. Of several units with such
            a key none stays: nobody knows whose the exception is.
    """
    _claims_to_approved_keys(units, approved)
    _equal_names(units)
    _circles(units)
    _unlike_partitions(units)


def _claims_to_approved_keys(units: list[Unit], approved: Collection[str]) -> None:
    claims: dict[str, list[Unit]] = {}
    for unit in units if approved else ():
        for name in {name for kind, name, _ in unit.names() if kind == "asset key"}:
            if name in approved:
                claims.setdefault(name, []).append(unit)
    for name, claiming in claims.items():
        for unit in claiming if len(claiming) > 1 else ():
            other = next(other for other in claiming if other is not unit)
            unit.set_aside(
                f"the asset key `{name}` is also that of {other.file}, and an exception is "
                "approved for it: give one of them another `key`"
            )


def _equal_names(units: list[Unit]) -> None:
    taken: dict[tuple[str, str], tuple[Unit, Any]] = {}
    for unit in units:
        own = {(kind, name): thing for kind, name, thing in unit.names()}
        for (kind, name), thing in own.items():
            first, other = taken.get((kind, name), (unit, thing))
            # One sensor that several components hand out is one sensor.
            if other is not thing:
                unit.set_aside(
                    f"the {kind} `{name}` is taken by {first.file}: give one of them another `key`"
                )
                break
        else:
            taken |= {name: (unit, thing) for name, thing in own.items()}


def _circles(units: list[Unit]) -> None:
    while True:
        graph: dict[dg.AssetKey, set[dg.AssetKey]] = {}
        owner: dict[dg.AssetKey, Unit] = {}
        for unit in units:
            for key, deps in unit.dependencies.items():
                graph[key] = deps
                owner[key] = unit
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            # Of a circle, each asset comes before the one that is listed ahead of it.
            circle: list[dg.AssetKey] = error.args[1]
            way = " needs ".join(f"`{key.to_user_string()}`" for key in reversed(circle))
            for unit in {id(owner[key]): owner[key] for key in circle}.values():
                unit.set_aside(f"its `deps` lead back to itself: {way}")
        else:
            return


def _unlike_partitions(units: list[Unit]) -> None:
    partitions = {key: of for unit in units for key, of in unit.partitions.items()}
    for unit in units:
        for key, deps in unit.dependencies.items():
            own = partitions.get(key)
            for dep in deps:
                other = partitions.get(dep)
                if own is None or other is None or own == other:
                    continue
                if not all(isinstance(p, dg.TimeWindowPartitionsDefinition) for p in (own, other)):
                    unit.set_aside(
                        f"deps: the partitions of `{dep.to_user_string()}` and of "
                        f"`{key.to_user_string()}` are lists of different values, or one is by "
                        "time: Dagster cannot tell which belongs to which. Give both the same "
                        "`partitions`, or take it out of `deps`"
                    )


def set_first_to_blame_aside(units: list[Unit]) -> None:
    """Set aside a unit with which the others do not load, for whatever reason Dagster has."""
    loaded = [unit for unit in units if unit.defs is not None]
    # The shortest beginning that does not load ends with one that is to blame.
    low, high = 1, len(loaded)
    while low < high:
        middle = (low + high) // 2
        if _error_of(loaded[:middle]) is None:
            low = middle + 1
        else:
            high = middle
    blamed = loaded[low - 1]
    error = _error_of(loaded[:low])
    blamed.defs = None
    blamed.fault = fault_from(error or Exception("it does not load"), blamed.file)


def _error_of(units: list[Unit]) -> Exception | None:
    try:
        merged = dg.Definitions.merge(*(unit.defs for unit in units if unit.defs is not None))
        dg.Definitions.validate_loadable(merged)
    except Exception as error:
        return error
    return None
