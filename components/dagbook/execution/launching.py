"""Starts a run's kernel with all that is its alone: credentials, a folder to report in, limits."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dagbook.context import CONTEXT_FILE_NAME
from dagbook.execution.events import Warned
from dagbook.execution.guardian import remove_folders
from dagbook.execution.held_kernel import HeldKernel
from dagbook.execution.place import Place
from dagbook.execution.plan import Plan

if TYPE_CHECKING:
    from dagbook.credentials.delivery import Delivery
    from dagbook.execution.handover import Handover
    from dagbook.execution.kernel_user import KernelUser
    from dagbook.execution.private_folder import PrivateFolder
    from dagbook.execution.renewal import Renewal


class Launch:
    """A started kernel, and what was made for it; `close` ends and removes all of it.

    Attributes:
        held: the kernel; None before `start`, or where it could not be started.
        run_folder: what the kernel is told and reports lies here.
    """

    def __init__(self, plan: Plan, place: Place) -> None:
        self.held: HeldKernel | None = None
        self.run_folder: Path = place.journal.folder
        self._plan = plan
        self._place = place
        self._handover: Handover | None = None
        self._renewal: Renewal | None = None
        self._shared: PrivateFolder | None = None

    def start(self, on_exceeded: Callable[[str], None]) -> None:
        """Hand over what the run is given, and start the kernel.

        Args:
            on_exceeded: told, from another thread, why the kernel is over its size.

        Raises:
            DagbookError: it cannot be started.
        """
        plan, journal = self._plan, self._place.journal
        if plan.kernel_user is not None:
            self._share(plan.kernel_user)
        if plan.credentials is not None:
            self._hand_over(plan.credentials)
        self.held = HeldKernel(plan, self.run_folder, on_exceeded, self._handover)
        kernel = self.held.kernel
        # Whoever finds a vanished run's journal removes its sockets and control groups too.
        journal.event("sockets", str(kernel.scratch))
        if kernel.group_folders:
            journal.event("groups", kernel.group_folders)
        journal.flush()

    def _share(self, user: KernelUser) -> None:
        """Put what the notebook is told where its user can read it, and report back.

        What else the runner writes, the journal above all, is no business of that user's.
        """
        from dagbook.execution.private_folder import no_temporary_folder, socket_folder

        journal = self._place.journal
        self._shared = socket_folder(user)
        journal.event("shared", str(self._shared.whole))
        journal.flush()
        told = (journal.folder / CONTEXT_FILE_NAME).read_bytes()
        try:
            (self._shared.inside / CONTEXT_FILE_NAME).write_bytes(told)
            self._shared.open()
        except OSError as error:
            raise no_temporary_folder(error) from None
        self.run_folder = self._shared.inside

    def _hand_over(self, credentials: Delivery) -> None:
        from dagbook.execution.handover import Handover

        plan, journal = self._plan, self._place.journal
        self._handover = Handover(credentials, plan.kernel_user)
        if self._handover.folder is not None:
            # Whoever finds the journal removes it; so this is known before anything is in it.
            journal.event("private", str(self._handover.folder))
            journal.flush()
        self._handover.write()
        if credentials.expires_at is None:
            return
        from dagbook.execution.renewal import Renewal, said_of_end

        if credentials.renew is not None and credentials.files:
            self._renewal = Renewal(credentials, self._handover, plan.masker)
            return
        said = said_of_end(credentials, plan.run_seconds, time.time())
        if said is not None and plan.listener is not None:
            plan.listener(Warned(said))

    @property
    def should_stop(self) -> Callable[[], str | None] | None:
        """Asked several times a second, and by the thread that may speak to the listener."""
        return self._plan.should_stop if self._renewal is None else self._warn_and_ask

    def _warn_and_ask(self) -> str | None:
        assert self._renewal is not None
        if self._plan.listener is not None:
            # Straight to the listener: while the kernel is still being asked, there is nothing
            # else to note.
            for text in self._renewal.take_warnings():
                self._plan.listener(Warned(text))
        return None if self._plan.should_stop is None else self._plan.should_stop()

    @property
    def notes(self) -> list[str]:
        """What could not be renewed while the run lasted."""
        note = None if self._renewal is None else self._renewal.note
        return [] if note is None else [note]

    def close(self) -> None:
        """End the kernel and everything it started, and remove what was its alone.

        Safe to call twice.
        """
        if self._renewal is not None:
            self._renewal.stop()
        try:
            if self.held is not None:
                self.held.close()
        finally:
            if self._handover is not None:
                self._handover.remove()
            if self._shared is not None:
                remove_folders([str(self._shared.whole)])
