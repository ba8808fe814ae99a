"""What the last runs of all assets have used, read at once: for whoever looks at a whole project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import func, select

from dagbook.ledger.budgets import use_of
from dagbook.ledger.database import Ledger
from dagbook.ledger.tables import LAUNCHES
from dagbook.policy.advice import RUNS_LOOKED_AT, Use


@dataclass(frozen=True)
class History:
    """The last runs of each asset on each size, the last first."""

    _uses: Mapping[tuple[str, str], list[Use]] = field(default_factory=dict)

    def of(self, asset: str, size: str) -> list[Use]:
        """What an asset's last runs on a size have used."""
        return self._uses.get((asset, size), [])


def read_history(ledger: Ledger) -> History:
    """Read the history of every asset.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    with ledger.read() as connection:
        if connection is None:
            return History()
        place = func.row_number().over(
            partition_by=(LAUNCHES.c.asset, LAUNCHES.c.size), order_by=LAUNCHES.c.started.desc()
        )
        numbered = (
            select(LAUNCHES, place.label("place"))
            .where(LAUNCHES.c.asset != "", LAUNCHES.c.seconds.is_not(None))
            .subquery()
        )
        last = (
            select(numbered)
            .where(numbered.c.place <= 2 * RUNS_LOOKED_AT)
            .order_by(numbered.c.asset, numbered.c.place)
        )
        found: dict[tuple[str, str], list[Use]] = {}
        for row in connection.execute(last):
            found.setdefault((row.asset, row.size), []).append(use_of(row))
    return History(found)
