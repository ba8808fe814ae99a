"""The process that sends a worker's runs to MLflow, beside the worker.

A process of its own, because MLflow takes seconds to import, may hang for minutes in a call, and
takes its patience and its logins from the environment of the process. It also lives on for a
moment when the worker is killed, and then closes the run.

Lines of JSON on its standard input name the folders to deliver, with the environment and the
addresses to do so; any other line has it look at once. It ends with the worker.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any

from dagbook.recorder.private_process import hide, leave_signals_to_the_worker
from dagbook.sinks.delivery import Delivery
from dagbook.sinks.spool import Spool, spools_in

#: How often is looked for new points, in seconds.
ROUND_SECONDS = 2.0
#: How long it outlives the worker, in seconds, when something is left to be sent.
LINGER_SECONDS = 4.0

# MLflow's own patience is four minutes for each call; here a call is simply made again later.
# Nor is a redirection followed: a login is for the server that was named.
PATIENCE = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_ALLOW_HTTP_REDIRECTS": "false",
}

_SOON = 0.2


class SenderProcess:
    """Delivers what it is told to, in turns."""

    def __init__(self) -> None:
        self._inbox: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        self._own: dict[Path, Delivery] = {}
        self._old: dict[Path, Delivery] = {}
        self._environments: dict[Path, dict[str, str]] = {}
        self._end_of_input = Event()
        self._worker = os.getppid()
        self._worker_is_gone = False

    def run(self) -> None:
        """Deliver until the worker is gone, and a moment longer where something is left."""
        Thread(target=self._read, daemon=True).start()
        Thread(target=self._watch, daemon=True).start()
        while True:
            self._take_in()
            self._round(self._own)
            if self._worker_is_gone and not self._own:
                break
            if not self._worker_is_gone:
                self._round(self._old)

    def _read(self) -> None:
        for line in sys.stdin:
            try:
                self._inbox.put(json.loads(line))
            except ValueError:
                self._inbox.put({})
        self._end_of_input.set()

    def _watch(self) -> None:
        """Notice that the worker is gone, also while a call hangs, and end soon after it."""
        # Another process may hold the other end of the pipe, after a fork: so its parent, too.
        while os.getppid() == self._worker and not self._end_of_input.wait(ROUND_SECONDS):
            pass
        self._inbox.put(None)
        time.sleep(LINGER_SECONDS)
        # Half of a large file is of no use, and who sends it next begins anew.
        while any(delivery.is_uploading for delivery in list(self._own.values())):
            time.sleep(_SOON)
        os._exit(0)

    def _take_in(self) -> None:
        seconds = _SOON if self._worker_is_gone else ROUND_SECONDS
        try:
            message = self._inbox.get(timeout=seconds)
            while True:
                self._take(message)
                message = self._inbox.get_nowait()
        except Empty:
            pass

    def _take(self, message: dict[str, Any] | None) -> None:
        if message is None:
            if not self._worker_is_gone:
                self._worker_is_gone = True
                for delivery in self._own.values():
                    delivery.with_receipt = False
                # A moment for the guardian to end the kernel, which reports to the last.
                time.sleep(_SOON)
            return
        if "folder" not in message:
            return
        folder = Path(message["folder"])
        self._environments[folder] = message["environment"]
        if folder not in self._own:
            self._own[folder] = Delivery(Spool(folder), uris=message["uris"])
            self._own[folder].with_receipt = True
        for spool in spools_in(self._own[folder].spool.state_folder):
            if spool.folder not in self._own and spool.folder not in self._old:
                self._environments[spool.folder] = message["environment"]
                self._old[spool.folder] = Delivery(spool, uris=message["uris"])

    def _round(self, deliveries: dict[Path, Delivery]) -> None:
        for folder, delivery in list(deliveries.items()):
            if deliveries is self._old and self._has_trouble(delivery):
                continue
            os.environ.clear()
            os.environ.update({**PATIENCE, **self._environments[folder]})
            try:
                is_over = delivery.advance()
            except OSError:
                is_over = False  # a full disk: what was sent cannot be noted
            if is_over:
                del deliveries[folder], self._environments[folder]
            elif delivery.saw_end:
                # The worker waits for it no more: whoever else wants to try may.
                delivery.give_up_lock()

    def _has_trouble(self, old: Delivery) -> bool:
        """Whether what the runs of today are recorded on does not answer, or another run lives.

        What is old must not hold the worker's own runs up.
        """
        if old.spool.is_owned or any(own.problem for own in self._own.values()):
            return True
        head = old.spool.head
        heads = [own.spool.head for own in self._own.values()]
        # Nor has it another login than theirs.
        return head is None or any(
            h and (h.tracking_uri, h.login) != (head.tracking_uri, head.login) for h in heads
        )


if __name__ == "__main__":
    hide()
    leave_signals_to_the_worker()
    SenderProcess().run()
