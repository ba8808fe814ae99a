"""What a run will probably cost, and how long it may go on for a sum of money.

Where the size has no price there is no cost: every function then answers None, and nothing about
money is shown anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from dagbook.policy.sizes import HOUR, Size

#: Of how many of an asset's last good runs the expected run time is the median.
RUNS_LOOKED_AT = 10

#: Smaller sums are said to be below this one.
LEAST_SHOWN = 0.0001


@dataclass(frozen=True)
class Expected:
    """How long a run will probably take, and what it will cost.

    Attributes:
        seconds: the expected run time.
        runs: of how many earlier runs that is the median; 0: it is the longest a run may take.
        cost: in `currency`; None where the size has no price.
        currency: the platform's.
    """

    seconds: float
    runs: int
    cost: float | None
    currency: str

    def of_runs(self, count: int) -> float | None:
        """What so many runs will cost together: of a backfill, one for each partition."""
        return None if self.cost is None else self.cost * count

    def words(self, count: int = 1) -> str | None:
        """The cost in words for whoever is about to launch; None where the size has no price."""
        cost = self.of_runs(count)
        if self.cost is None or cost is None:
            return None
        if not self.runs:
            of = f"at most {_in_time(self.seconds)}: it has not run well before"
        else:
            good = "the last good run" if self.runs == 1 else f"median of {self.runs} good runs"
            of = f"{_in_time(self.seconds)}, {good}"
        said = f"{in_money(self.cost, self.currency)} a run ({of})"
        if count == 1:
            return said
        return f"{in_money(cost, self.currency)} for {count} runs, {said}"


def expected_cost(
    size: Size,
    currency: str,
    *,
    good_runs: Sequence[float] = (),
    longest: float | None = None,
    run_budget: float | None = None,
) -> Expected:
    """What a run on a size will probably take and cost.

    Args:
        size: the size it runs on.
        currency: the platform's.
        good_runs: how long the asset's good runs on this size took, in seconds, the last first.
        longest: how long the run may take, in seconds, where that is less than the size's.
        run_budget: what the run may cost at most.
    """
    limits = [size.max_runtime_seconds, longest, seconds_for(run_budget, size)]
    most = min(limit for limit in limits if limit is not None)
    looked_at = list(good_runs)[:RUNS_LOOKED_AT]
    seconds = min(median(looked_at), most) if looked_at else most
    return Expected(seconds, len(looked_at), cost_of(seconds, size), currency)


def cost_of(seconds: float, size: Size) -> float | None:
    """What a size costs for some time; None where it has no price."""
    return None if size.price_per_hour is None else seconds / HOUR * size.price_per_hour


def seconds_for(money: float | None, size: Size) -> float | None:
    """How long a size may be used for some money; None: as long as one likes."""
    return None if money is None or not size.price_per_hour else money / size.price_per_hour * HOUR


def budget_reached(budget: float, currency: str) -> str:
    """Why a run ends at its budget, for the reader of the run."""
    return f"budget of {in_money(budget, currency)} per run reached"


def in_money(amount: float, currency: str) -> str:
    """``5.00 USD``; what is less than ten cents with what matters of it: ``0.0042 USD``."""
    if 0 < amount < LEAST_SHOWN:
        return f"<{LEAST_SHOWN} {currency}"  # not nothing: "0.0000" would say so
    return f"{amount:.4f} {currency}" if 0 < abs(amount) < 0.1 else f"{amount:.2f} {currency}"


def _in_time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{round(seconds, 1):g} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return " ".join([f"{hours} h"] * (hours > 0) + [f"{minutes} min"] * (minutes > 0))
