"""Fetches a run's credentials anew before they expire, as long as it lasts."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from dagbook.credentials.delivery import Delivery
from dagbook.errors import DagbookError
from dagbook.execution.words import in_time

if TYPE_CHECKING:
    from dagbook.execution.handover import Handover
    from dagbook.masking import Masker

#: How long before their end credentials are fetched anew, in seconds; of short-lived ones after
#: half of their life. AWS's SDKs ask for new ones from 15 minutes before the end.
BEFORE_THE_END = 1200.0
#: How soon a renewal that failed is tried again, in seconds; sooner where the end is near.
TRY_AGAIN = (1.0, 60.0)


class Renewal:
    """A thread that renews one run's credentials; of a run that needs none there is none.

    What went wrong is kept for `take_warnings`, for whoever may speak to the run's reader.
    """

    def __init__(self, delivery: Delivery, handover: Handover, masker: Masker | None) -> None:
        """`delivery` has an end, and can be renewed."""
        self._delivery = delivery
        self._handover = handover
        self._masker = masker
        self._warnings: deque[str] = deque()
        self._failed = 0
        self._why = ""
        self._stopped = threading.Event()
        self._thread = threading.Thread(
            target=self._renew_again_and_again, name="dagbook-renewal", daemon=True
        )
        self._thread.start()

    def take_warnings(self) -> list[str]:
        """One line for each renewal that failed since the last call."""
        taken = []
        while self._warnings:
            taken.append(self._warnings.popleft())
        return taken

    @property
    def note(self) -> str | None:
        """What is to be remembered of the run; None when all went well."""
        if not self._failed:
            return None
        times = "once" if self._failed == 1 else f"{self._failed} times"
        return self._masked(f"the run's credentials could not be renewed {times}: {self._why}")

    def stop(self) -> None:
        """Renew no more. One that is under way is not waited for, and changes nothing."""
        self._stopped.set()

    def _renew_again_and_again(self) -> None:
        while (wait := _seconds_to_wait(self._delivery.expires_at, time.time())) is not None:
            if self._stopped.wait(wait):
                return
            while not self._renew():
                left = (self._delivery.expires_at or 0) - time.time()
                pause = min(max(left / 4, TRY_AGAIN[0]), TRY_AGAIN[1])
                self._warn_about_next(pause)
                if self._stopped.wait(pause):
                    return

    def _renew(self) -> bool:
        before = self._delivery
        assert before.renew is not None
        try:
            fresh = before.renew()
            if self._stopped.is_set():
                return True
            # First of all, so that nothing can show a value that is not known yet.
            if self._masker is not None:
                self._masker.add(fresh.secrets)
            self._handover.renew(fresh)
        except DagbookError as error:
            self._why = str(error)
        except OSError as error:
            self._why = f"the run's private folder: {error.strerror or type(error).__name__}"
        except Exception as error:
            # Somebody else's text may hold anything.
            self._why = type(error).__name__
        else:
            if fresh.renew is None and fresh.expires_at is not None:
                fresh = _with_renew(fresh, before)
            self._delivery = fresh
            return True
        return False

    def _warn_about_next(self, pause: float) -> None:
        text = (
            f"The run's credentials ({', '.join(self._delivery.connections) or 'unnamed'}) could "
            f"not be renewed: {self._why}. Trying again in {in_time(pause)}."
        )
        self._failed += 1
        self._warnings.append(self._masked(text))

    def _masked(self, text: str) -> str:
        return text if self._masker is None else self._masker.text(text)


def _seconds_to_wait(expires_at: float | None, now: float) -> float | None:
    """Until the next renewal; None when there is no end to renew before."""
    if expires_at is None:
        return None
    left = expires_at - now
    return max(TRY_AGAIN[0], left / 2, left - BEFORE_THE_END)


def _with_renew(fresh: Delivery, before: Delivery) -> Delivery:
    import dataclasses

    return dataclasses.replace(fresh, renew=before.renew)
