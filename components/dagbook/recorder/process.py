"""The recorder's process: ``python -m dagbook.recorder.process``, beside the worker.

A process of its own: it answers while the worker is busy, does not die of the kernel, and when the
worker is killed it goes on for the moment that the kernel still has.

One line of JSON on its standard input says what it is to do, see `Settings`. It answers with a line
that holds its port, and then with a line whenever what waits should be delivered now. Further lines
tell it of credentials that were fetched anew; `END`, or the end of its input, ends it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

from dagbook.recorder.bodies import hide_in
from dagbook.recorder.onward import Onward
from dagbook.recorder.passing import Behind, NothingBehind, Server
from dagbook.recorder.private_process import hide, leave_signals_to_the_worker
from dagbook.recorder.server import RecorderServer
from dagbook.recorder.settings import END, Settings
from dagbook.recorder.taking import Taking
from dagbook.recorder.uploads import Uploads

if TYPE_CHECKING:
    from dagbook.masking import Masker

#: How long it outlives a worker that vanished, in seconds: a guardian ends the kernel meanwhile.
LINGER_SECONDS = 2.0

_ROUND_SECONDS = 0.02


class _Masking:
    """What must not be seen, which may become more while the run lasts."""

    def __init__(self, secrets: list[tuple[str, str]]) -> None:
        self.masker: Masker | None = None
        self.learn(secrets)

    def learn(self, secrets: list[tuple[str, str]]) -> None:
        if not secrets:
            return  # a run without secrets need not load it
        from dagbook.credentials.delivery import Secret
        from dagbook.masking import Masker

        known = self.masker or Masker()
        known.add(Secret(value, label) for value, label in secrets)
        self.masker = known

    def hide(self, value: Any) -> Any:
        return hide_in(value, self.masker) if self.masker else value


def _behind(settings: Settings) -> Behind:
    scheme = settings.uri.partition(":")[0].partition("+")[0]
    if scheme in ("http", "https"):
        return Server(settings.uri, settings.variables)
    if scheme.startswith("databricks") or scheme == "uc":
        return NothingBehind(
            "only what a notebook tells MLflow can be taken here, for the tracking server is "
            f"{scheme}: nothing can be read back"
        )
    from dagbook.recorder.embedded import EmbeddedStore

    return EmbeddedStore(settings.uri, settings.artifacts)


class _Worker:
    """The other end of the pipes."""

    def __init__(self) -> None:
        # Whatever prints must not be taken for an answer.
        self._out = os.fdopen(os.dup(1), "w", buffering=1)
        os.dup2(2, 1)
        self._lock = Lock()
        self._parent = os.getppid()

    def say(self, message: Mapping[str, Any]) -> None:
        try:
            with self._lock:
                print(json.dumps(message), file=self._out)
        except OSError:
            pass  # it is gone

    def wait_for_end(self, learn: Callable[[dict[str, Any]], None]) -> bool:
        """Wait until it asks for the end; False when it vanished."""
        asked: list[bool] = []

        def read() -> None:
            for line in sys.stdin:
                if line == END:
                    asked.append(True)
                    return
                learn(json.loads(line))
                self.say({"learned": True})

        reader = Thread(target=read, daemon=True)
        reader.start()
        # After a fork another process may hold the other end of the pipe: so its parent, too.
        while reader.is_alive() and os.getppid() == self._parent:
            reader.join(1.0)
        return asked == [True]


def main() -> None:
    """Record one run."""
    hide()
    leave_signals_to_the_worker()
    worker = _Worker()
    settings = Settings(**json.loads(sys.stdin.readline()))
    folder = Path(settings.folder)
    masking = _Masking(settings.secrets)
    behind = _behind(settings)

    def learn(news: dict[str, Any]) -> None:
        masking.learn(news["secrets"])
        if isinstance(behind, Server):
            behind.log_in(settings.uri, news["variables"])

    taking = Taking(folder)
    taking.begin(settings.managed)
    uploads = Uploads(folder, lambda: masking.masker)
    onward = Onward(taking, behind, lambda: worker.say({"wake": True}), masking.hide)
    # Of one that this takes the place of.
    uploads.count(taking.records.files())
    server = RecorderServer(
        settings.token, taking, uploads, onward, masking.hide, port=settings.port
    )
    Thread(target=server.serve_forever, args=(0.5,), daemon=True).start()
    worker.say({"port": server.server_address[1]})
    if not worker.wait_for_end(learn):
        time.sleep(LINGER_SECONDS)
    # The kernel is gone: what only waits for the server's answer has nobody to tell.
    deadline = time.monotonic() + LINGER_SECONDS
    while not server.is_idle and time.monotonic() < deadline:
        time.sleep(_ROUND_SECONDS)
    # Threads that wait for the next call have nothing to lose: what was acknowledged is on disk.
    os._exit(0)


if __name__ == "__main__":
    main()
