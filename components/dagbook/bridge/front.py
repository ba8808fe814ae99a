"""The resident process: takes questions, answers the light ones, hands the others on."""

from __future__ import annotations

import platform
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import dagbook
from dagbook.bridge.answering import answer, error_json
from dagbook.bridge.dispatcher import Dispatcher
from dagbook.bridge.verbs import VERBS, Asked, Verb, Where
from dagbook.bridge_protocol import PROTOCOL, BridgeError, Code, line_of, message_of
from dagbook.errors import DagbookError, did_you_mean
from dagbook.trust import is_trusted

_THREADS = 8
#: How long a question waits before its owner is told what it waits for, in seconds.
_TOLD_AFTER = 1.0


@dataclass
class Question:
    """One request, until it was answered. `told` keeps the second answer from being sent."""

    id: Any
    verb: Verb
    arguments: Any
    began: float = field(default_factory=time.monotonic)
    is_over: bool = False


class Front:
    """Serves one folder; its questions may be answered in another order than they came."""

    def __init__(self, root: Path, output: TextIO, *, python_from: str = "") -> None:
        self.root = root
        self._output = output
        self._writing = threading.Lock()
        self._answering = threading.Lock()
        self._python_from = python_from
        self._open: dict[Any, Question] = {}
        self._pool = ThreadPoolExecutor(_THREADS, "front")
        self._dispatcher = Dispatcher(root, self)

    def serve(self, lines: Iterable[str]) -> None:
        """Answer until there are no more questions."""
        self._say({"hello": self._hello()})
        threading.Thread(target=self._tell_who_waits, daemon=True).start()
        for line in lines:
            if line.strip():
                self._take(line)

    def end(self) -> None:
        """End what was started."""
        self._dispatcher.end()

    def answer(self, question: Question, message: Mapping[str, Any]) -> None:
        """Send the answer, unless nobody waits for it any more."""
        with self._answering:
            if question.is_over:
                return
            question.is_over = True
            self._open.pop(question.id, None)
        self._say({"id": question.id, **message})

    def tell(self, question: Question, event: Mapping[str, Any]) -> None:
        """Say what happens on the way to an answer."""
        if not question.is_over:
            self._say({"id": question.id, "event": event})

    def _hello(self) -> dict[str, Any]:
        try:
            trusted = is_trusted(self.root)
        except DagbookError:
            trusted = False  # whoever asks for the project's code is told why
        return {
            "protocol": PROTOCOL,
            "dagbook": dagbook.__version__,
            "python": sys.executable,
            "python_version": platform.python_version(),
            "python_from": self._python_from,
            "folder": str(self.root),
            "trusted": trusted,
            "verbs": sorted(VERBS),
        }

    def _take(self, line: str) -> None:
        message = message_of(line)
        if message is None:
            error = BridgeError(Code.INVALID_REQUEST, "a line must be one JSON object")
            self._say({"id": None, "error": error.to_json()})
            return
        if "cancel" in message:
            self._cancel(message["cancel"])
            return
        number, name = message.get("id"), message.get("verb")
        try:
            if not isinstance(number, int | str) or number in self._open:
                raise BridgeError(
                    Code.INVALID_REQUEST, "`id` must be a number or a text that is not in use"
                )
            if not isinstance(name, str) or name not in VERBS:
                near = did_you_mean(str(name), VERBS)
                raise BridgeError(Code.INVALID_REQUEST, f"there is no verb `{name}`. {near}")
        except BridgeError as error:
            self._say({"id": number, "error": error.to_json()})
            return
        question = Question(number, VERBS[name], message.get("arguments"))
        self._open[number] = question
        if question.verb.where is Where.WORKER:
            self._dispatcher.put(question)
        elif question.verb.where is Where.RUN:
            threading.Thread(target=self._dispatcher.run, args=(question,), daemon=True).start()
        else:
            self._pool.submit(self._answer_here, question)

    def _answer_here(self, question: Question) -> None:
        try:
            asked = Asked(
                self.root, is_trusted(self.root), lambda event: self.tell(question, event)
            )
            told: dict[str, Any] = {"result": answer(question.verb, asked, question.arguments)}
        except DagbookError as error:
            told = {"error": error_json(_as_bridge_error(error))}
        except BaseException as error:
            told = {"error": error_json(error)}
        self.answer(question, told)

    def _cancel(self, number: Any) -> None:
        question = self._open.get(number) if isinstance(number, int | str) else None
        if question is None:
            return
        self._dispatcher.cancel(question)
        error = BridgeError(Code.CANCELLED, f"`{question.verb.name}` was cancelled")
        self.answer(question, {"error": error.to_json()})

    def _tell_who_waits(self) -> None:
        """Say to those who wait for somebody else's code what that is."""
        while True:
            time.sleep(_TOLD_AFTER)
            now = time.monotonic()
            for question in list(self._open.values()):
                doing = self._dispatcher.doing
                waits = question.verb.where is Where.WORKER and now - question.began > _TOLD_AFTER
                if waits and doing:
                    self.tell(question, {"waiting": doing})

    def _say(self, message: Mapping[str, Any]) -> None:
        line = line_of(message)
        with self._writing:
            try:
                self._output.write(line)
                self._output.flush()
            except (OSError, ValueError):
                pass  # the owner is gone, and the end of its questions follows


def _as_bridge_error(error: DagbookError) -> BridgeError:
    return error if isinstance(error, BridgeError) else BridgeError(Code.REFUSED, str(error))
