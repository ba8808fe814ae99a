"""Advice on a smaller size, from what an asset's runs have used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dagbook.policy.cost import in_money
from dagbook.policy.platform import Platform
from dagbook.policy.sizes import GIB, Size

#: How many runs have to be known before anything is advised, and how many are looked at.
RUNS_NEEDED = 10
RUNS_LOOKED_AT = 30
#: How much more than ever was needed a smaller size has to have.
HEADROOM = 1.3


@dataclass(frozen=True)
class Use:
    """What one run used. Bytes and seconds."""

    size: str
    succeeded: bool
    seconds: float
    peak_memory_bytes: int
    cpu_seconds: float
    needed_more: bool = False
    """Whether it ended because it needed more than its size has"""


def advise_size(
    platform: Platform, size: Size, team: str | None, uses: Sequence[Use]
) -> str | None:
    """Name a smaller size that would do, if there is one: ``1.8 of 16 GiB in 30 runs: …``.

    Args:
        platform: the sizes there are.
        size: the size in use.
        team: whose notebook it is; other teams' sizes are not advised.
        uses: what the asset's runs used, the last first.
    """
    looked_at = [use for use in uses if use.size == size.name][:RUNS_LOOKED_AT]
    good = [use for use in looked_at if use.succeeded]
    if len(good) < RUNS_NEEDED or any(use.needed_more for use in looked_at):
        return None
    peak = max(use.peak_memory_bytes for use in good)
    if not peak:
        return None
    would_do = [
        other
        for other in platform.sizes.values()
        if _is_less(other, size)
        and (other.teams is None or team in other.teams)
        and other.gpus == size.gpus
        and other.memory_bytes >= peak * HEADROOM
        and _is_fast_enough(other, good)
    ]
    if not would_do:
        return None
    best = min(would_do, key=lambda other: (other.price_per_hour or 0.0, other.memory_bytes))
    text = (
        f"{_in_gib(peak)} of {_in_gib(size.memory_bytes)} GiB in {len(good)} runs: "
        f"{best.name} would do"
    )
    if best.price_per_hour is None or size.price_per_hour is None:
        return text
    price = in_money(size.price_per_hour, platform.currency)
    return f"{text}, for {in_money(best.price_per_hour, platform.currency)} an hour and not {price}"


def _is_less(other: Size, size: Size) -> bool:
    if other.price_per_hour is not None and size.price_per_hour is not None:
        return other.price_per_hour < size.price_per_hour
    return other.memory_bytes < size.memory_bytes and other.cpus <= size.cpus


def _is_fast_enough(other: Size, good: Iterable[Use]) -> bool:
    """Whether runs that kept more CPUs busy than it has would still be in time."""
    for use in good:
        busy = use.cpu_seconds / use.seconds if use.seconds > 0 else 0.0
        slower = max(1.0, busy / other.cpus)
        if use.seconds * slower * HEADROOM > other.max_runtime_seconds:
            return False
    return True


def _in_gib(count: int) -> str:
    gib = count / GIB
    return f"{gib:.1f}".removesuffix(".0") if gib >= 0.1 else f"{gib:.2f}"
