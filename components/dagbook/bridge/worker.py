"""``python -m dagbook.bridge.worker``: has Dagster and the components loaded, and answers."""

import contextlib
import faulthandler
import importlib
import os
import queue
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

from dagbook.bridge.answering import answer, error_json
from dagbook.bridge.code_watch import component_modules
from dagbook.bridge.verbs import VERBS, Asked
from dagbook.bridge_protocol import line_of, message_of
from dagbook.errors import DagbookError
from dagbook.trust import withhold_code


class Worker:
    """Answers the front's questions, one after the other."""

    def __init__(self, questions: TextIO, answers: TextIO) -> None:
        self._answers = answers
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._known: set[str] = set()
        first = message_of(questions.readline()) or {}
        self.root = Path(first["root"])
        self.trusted = bool(first["trusted"])
        self._left_out: dict[str, str] = first["left_out"]
        self._components: frozenset[str] = frozenset()
        # The end of the questions ends this process, whatever its code is at.
        threading.Thread(target=self._read, args=(questions,), daemon=True).start()

    def serve(self) -> None:
        """Answer until the front ends."""
        if not self.trusted:
            withhold_code()
        self._load()
        # Python tells stale bytecode by whole seconds: two edits within one would leave the first.
        sys.dont_write_bytecode = True
        self._known = set(sys.modules)
        self._components = frozenset(component_modules(self.root, trusted=self.trusted))
        sys.meta_path.insert(0, _Teller(self))
        self.say({"ready": True})
        while True:
            message = message_of(self._lines.get()) or {}
            self.say({**self._answer(message), "imported": sorted(self._imported())})

    def say(self, message: dict[str, Any]) -> None:
        """Send one message."""
        self._answers.write(line_of(message))
        self._answers.flush()

    def refuse_left_out(self, name: str) -> None:
        """Tell of an import, and refuse it where it is known to hang or crash.

        Raises:
            ImportError: it is.
        """
        if name in self._left_out:
            raise ImportError(f"left out, as {self._left_out[name]}", name=name)
        if name.split(".")[0] in self._components:
            self.say({"importing": name})

    def _answer(self, message: dict[str, Any]) -> dict[str, Any]:
        try:
            asked = Asked(self.root, self.trusted, lambda event: self.say({"event": event}))
            return {"result": answer(VERBS[message["verb"]], asked, message.get("arguments"))}
        except BaseException as error:
            return {"error": error_json(error)}

    def _load(self) -> None:
        """Load what every question needs, none of it a component's of somebody else."""
        import gc

        for name in (
            "dagster",
            "dagbook.notebook_runner.component",
            "dagbook.bridge.settings",
            "dagbook.bridge.checking",
        ):
            try:
                importlib.import_module(name)
            except ImportError:
                return  # whoever needs it says what is missing
        with contextlib.suppress(DagbookError):
            _ = Asked(self.root, self.trusted).index  # read now, the first answer is quick
        gc.freeze()

    def _imported(self) -> Iterator[str]:
        """Files of the project that were imported since the start."""
        top = f"{self.root}{os.sep}"
        for name in sys.modules.keys() - self._known:
            self._known.add(name)
            file = getattr(sys.modules.get(name), "__file__", None)
            if isinstance(file, str) and file.startswith(top) and "-packages/" not in file:
                yield file

    def _read(self, questions: TextIO) -> None:
        for line in questions:
            self._lines.put(line)
        os._exit(0)


class _Teller:
    """Sees every import before anybody finds the module; finds none itself."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def find_spec(self, name: str, path: object = None, target: ModuleType | None = None) -> None:
        """Tell of the import of a component's module.

        Raises:
            ImportError: the module is left out.
        """
        self._worker.refuse_left_out(name)


def main() -> None:
    """Serve the front that started this process."""
    _end_with(int(sys.argv[3]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Where code is when it hangs or crashes: written without the interpreter's help.
    faulthandler.enable(sys.stderr, all_threads=False)
    faulthandler.register(signal.SIGUSR1, sys.stderr, all_threads=False)
    questions = os.fdopen(int(sys.argv[1]), encoding="utf-8")
    answers = os.fdopen(int(sys.argv[2]), "w", encoding="utf-8", newline="\n")
    Worker(questions, answers).serve()


def _end_with(parent: int) -> None:
    """Have the system end this process when its parent is gone, as far as it can."""
    if sys.platform == "linux":
        import ctypes

        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


if __name__ == "__main__":
    main()
