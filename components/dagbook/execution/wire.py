"""Jupyter's messages as frames on a socket, and back, at the least cost for each.

What most clients do with every message (dates made of texts, a check of each for repetition, an
adaptation to older protocols) is left out here, because nobody reads it: with a cell that prints
30,000 lines one by one it is most of the work. What is left is: find the delimiter, check the
signature where there is a key, read header, parent and content. A message of anybody else, or
damaged, is none.
"""

from __future__ import annotations

import hmac
import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dagbook.execution.large_message import LARGE_BYTES, read_large

if TYPE_CHECKING:
    import zmq

    from dagbook.masking import Masker

    Socket = zmq.Socket[bytes]

Message = dict[str, Any]
Frame = bytes | memoryview

#: Ends the identities a message begins with. After it: signature, header, parent, metadata,
#: content, then buffers.
DELIMITER = b"<IDS|MSG>"
PROTOCOL_VERSION = "5.3"
_DIGEST = "sha256"
_CONTENT = 5
_EMPTY = b"{}"
_decode = json.JSONDecoder().raw_decode

#: In the content of a stream message, where the text is long: its text as it stood there, in JSON
#: without the quotes. To make the same of it again takes five times as long as to read it.
TEXT_JSON = "dagbook_text_json"
_LONG_TEXT = 16_384
_STREAMS = {f'{{"name": "{name}", "text": "'.encode(): name for name in ("stdout", "stderr")}


class Wire:
    """Writes and reads the messages of one conversation.

    Args:
        key: what messages are signed with; empty for none.
        keep_bytes: how much of both ends of a text too large to be kept is wanted.
        masker: where a large text is cut, no part of a value that it knows is left.

    Attributes:
        received_bytes: how much content has come so far.
    """

    def __init__(
        self, key: bytes = b"", keep_bytes: int = LARGE_BYTES, masker: Masker | None = None
    ) -> None:
        self.session = os.urandom(16).hex()
        self.received_bytes = 0
        self._keep_bytes = keep_bytes
        self._masker = masker
        self._signer = hmac.new(key, digestmod=_DIGEST) if key else None
        self._user = os.environ.get("USER", "dagbook")
        self._sent = 0
        # Of a cell that prints a lot every message has the same parent.
        self._parent: tuple[bytes, Message] = (_EMPTY, {})

    def message(
        self,
        msg_type: str,
        content: Mapping[str, Any] | None = None,
        parent: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Message:
        """A new message to be sent."""
        self._sent += 1
        header = {
            "msg_id": f"{self.session}_{self._sent}",
            "msg_type": msg_type,
            "username": self._user,
            "session": self.session,
            "date": datetime.now(UTC).isoformat(),
            "version": PROTOCOL_VERSION,
        }
        return {
            "header": header,
            "msg_id": header["msg_id"],
            "msg_type": msg_type,
            "parent_header": dict(parent or {}),
            "content": dict(content or {}),
            "metadata": dict(metadata or {}),
        }

    def frames(self, message: Mapping[str, Any]) -> list[bytes]:
        """The frames of a message, to be sent in one piece."""
        parts = [
            _packed(message[name]) for name in ("header", "parent_header", "metadata", "content")
        ]
        return [DELIMITER, self._signature(parts), *parts]

    def receive(self, socket: Socket, flags: int) -> Message | None:
        """Take one message off a socket; None for what is no message of a kernel's.

        Raises:
            zmq.Again: there is none, and `flags` say not to wait.
        """
        return self.read(_received(socket, flags))

    def read(self, frames: list[Frame]) -> Message | None:
        """Read the frames of one message; None when they are none, or signed by another."""
        try:
            at = frames.index(DELIMITER) + 1
            parts = frames[at + 1 : at + _CONTENT]
            if self._signer is not None and not self._is_ours(frames[at], parts):
                return None
            header = _object(parts[0])
            kind = header["msg_type"]
            if not isinstance(kind, str):
                return None
            message: Message = {
                "header": header,
                "msg_id": header.get("msg_id"),
                "msg_type": kind,
                "parent_header": self._parent_of(parts[1]),
                "metadata": {} if parts[2] == _EMPTY else _object(parts[2]),
                "content": self._content(parts[3], kind),
                "buffers": [memoryview(buffer) for buffer in frames[at + _CONTENT :]],
            }
        except (ValueError, LookupError, RecursionError):
            return None
        version = header.get("version")
        if not isinstance(version, str) or not version.startswith("5"):
            return _of_today(message)
        return message

    def _parent_of(self, frame: Frame) -> Message:
        if frame != self._parent[0]:
            parent = _object(frame)
            if not isinstance(parent.get("msg_id", ""), str):
                raise ValueError("an id that is no text")
            self._parent = (bytes(frame), parent)
        return self._parent[1]

    def _content(self, frame: Frame, kind: str) -> Message:
        self.received_bytes += len(frame)
        if isinstance(frame, memoryview):
            if len(frame) > LARGE_BYTES:
                return read_large(frame, self._keep_bytes, self._masker)
            if kind == "stream" and (content := _long_stream(frame)):
                return content
        return _object(frame)

    def _signature(self, parts: list[Frame] | list[bytes]) -> bytes:
        if self._signer is None:
            return b""
        signer = self._signer.copy()
        for part in parts:
            signer.update(part)
        return signer.hexdigest().encode()

    def _is_ours(self, signature: Frame, parts: list[Frame]) -> bool:
        return hmac.compare_digest(bytes(signature), self._signature(parts))


def _received(socket: Socket, flags: int) -> list[Frame]:
    """The frames of one message; long content, and buffers, as a view of where it was received."""
    # Copied in one step, as most messages are small; the content, which may be long, is not.
    frames: list[Frame] = []
    content, more = sys.maxsize, True
    while more:
        frame = socket.recv(flags, copy=False)
        size = len(frame)
        if size > _LONG_TEXT and len(frames) >= content:
            frames.append(frame.buffer)
        else:
            frames.append(frame.bytes)
            if size == len(DELIMITER) and frames[-1] == DELIMITER and content == sys.maxsize:
                content = len(frames) + _CONTENT - 1
        more = frame.more
    return frames


def _object(frame: Frame) -> Message:
    """Read a JSON object.

    Raises:
        ValueError: it is none.
    """
    try:
        text = str(frame, "utf-8")
    except UnicodeDecodeError:
        # ipykernel sends the odd bytes of a file's name, say, as they are. The rest is text.
        text = str(frame, "utf-8", "replace")
    try:
        value, end = _decode(text)
        if end != len(text):
            raise ValueError("more than one value")
    except ValueError:
        value = json.loads(text)  # with space around it
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def _long_stream(frame: memoryview) -> Message | None:
    """Read the content of a stream message as ipykernel writes it; None for any other."""
    for begin, name in _STREAMS.items():
        if frame[: len(begin)] == begin:
            try:
                text = str(frame, "utf-8")
                value, end = _decode(text, len(begin) - 1)
            except ValueError:
                return None
            content = {"name": name, "text": value}
            # Where one letter may be an escape of six, it is not worth keeping so.
            if text[end:] == "}" and "\\u" not in text:
                return content | {TEXT_JSON: frame[len(begin) : -2]}
            return content if text[end:] == "}" else None
    return None


def _packed(value: Mapping[str, Any]) -> bytes:
    text = json.dumps(value, ensure_ascii=False, default=str)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, default=str).encode()


def _of_today(message: Message) -> Message | None:
    """A message of an older protocol as version 5 has it."""
    from jupyter_client.adapter import adapt

    try:
        adapted: Message = adapt(message)
    except Exception:  # whatever it stumbles over, it is no message then
        return None
    return adapted
