"""Masks what a kernel sends before anything of ours sees it: the one place it all passes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dagbook.execution.large_message import LEFT_OUT
from dagbook.execution.wire import TEXT_JSON, Message
from dagbook.masking import Masker, StreamMask, masked_bundle

OnMessage = Callable[[int, Message], None]


class MaskedMessages:
    """The messages of one conversation, without the values a run must not show.

    A value may come in pieces, message by message. So of each stream of each cell the end is held
    back that may be the beginning of one, until more of the stream comes or the cell ends. Of
    stdout and of stderr apart; what else a cell shows meanwhile comes to stand before it, unless
    it is a letter or three. At the cell's end as much of a value as is no coincidence is masked,
    and so is the rest of it, should a later cell go on with it.
    """

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._streams: dict[int, dict[str, StreamMask]] = {}
        self._latest: dict[str, StreamMask] = {}
        self._last: dict[tuple[int, str], Message] = {}

    def take(self, cell: int, message: Message, hand_on: OnMessage) -> None:
        """Hand on what may be seen of a message by now.

        Args:
            cell: the position of the cell it belongs to.
            message: what came; it is not changed.
            hand_on: gets it, or another in its place, or first what was held back before it.
        """
        content = message["content"]
        if message["msg_type"] == "stream":
            name, text = content.get("name"), content.get("text")
            if isinstance(name, str) and isinstance(text, str):
                self._take_text(cell, message, hand_on)
                return
        self._let_go(cell, "", hand_on)
        hand_on(cell, self.masked(message))

    def _take_text(self, cell: int, message: Message, hand_on: OnMessage) -> None:
        content = message["content"]
        name, text = content["name"], content["text"]
        self._let_go(cell, name, hand_on)
        streams = self._streams.setdefault(cell, {})
        stream = streams.get(name)
        if stream is None:
            stream = streams[name] = self._masker.stream(self._latest.get(name))
            self._latest[name] = stream
        held = stream.holds
        self._last[cell, name] = {**message, "content": {}}
        shown = stream.feed(text)
        if shown == text and not held:
            hand_on(cell, message)
        elif shown or LEFT_OUT in content:
            changed = {**content, "name": self._masker.text(name), "text": shown}
            changed.pop(TEXT_JSON, None)
            hand_on(cell, {**message, "content": changed})

    def pause(self, hand_on: OnMessage) -> None:
        """Hand on what is held back: a cell has ended, or the kernel has."""
        for cell, streams in self._streams.items():
            for name, stream in streams.items():
                if stream.holds:
                    self._hand_on(cell, name, stream.pause(), hand_on)

    def _let_go(self, cell: int, but: str, hand_on: OnMessage) -> None:
        """Hand on the few letters that are held back of the other streams of a cell."""
        for name, stream in self._streams.get(cell, {}).items():
            if name != but and stream.holds:
                self._hand_on(cell, name, stream.yield_few(), hand_on)

    def _hand_on(self, cell: int, name: str, text: str, hand_on: OnMessage) -> None:
        if text:
            content = {"name": self._masker.text(name), "text": text}
            hand_on(cell, {**self._last[cell, name], "content": content})

    def masked(self, message: Message) -> Message:
        """A whole message with every known value masked, in its names and buffers too."""
        content = message["content"]
        changed = {
            **message,
            "content": self.masked_content(content),
            "metadata": self._masker.value(message.get("metadata", {})),
        }
        if message.get("buffers"):
            changed["buffers"] = [self._masked_buffer(b) for b in message["buffers"]]
        return changed

    def masked_content(self, content: Mapping[str, Any]) -> Message:
        """The same of what is in a message, or in a reply."""
        masker = self._masker
        masked: Message = {}
        for name, value in content.items():
            if name == "data" and isinstance(value, Mapping):
                masked[name] = masked_bundle(masker, value)
            elif name == "user_expressions" and isinstance(value, Mapping):
                # Whoever asked looks his questions up by name.
                masked[name] = {
                    asked: self.masked_content(answer)
                    if isinstance(answer, Mapping)
                    else masker.value(answer)
                    for asked, answer in value.items()
                }
            elif name == "traceback" and isinstance(value, list):
                masked[name] = self._masked_lines(value)
            else:
                masked[name] = masker.value(value)
        return masked

    def _masked_lines(self, lines: list[Any]) -> list[Any]:
        # As they are shown: one below the other. A value may go from one to the next.
        if not all(isinstance(line, str) for line in lines):
            return [self._masker.value(line) for line in lines]
        text = "\n".join(lines)
        masked = self._masker.text(text)
        return lines if masked == text else masked.split("\n")

    def _masked_buffer(self, buffer: memoryview) -> memoryview:
        data = bytes(buffer)
        masked = self._masker.data(data)
        return buffer if masked is data else memoryview(masked)
