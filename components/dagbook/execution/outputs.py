"""What a notebook's cells put out, kept small: head and tail stay, the middle is counted."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Output = dict[str, Any]

_OVERWRITTEN_LINE = re.compile(r"[^\n]*\r+(?=[^\n\r])")
_BACKSPACE = re.compile(r"[^\n]\x08")
#: Below this a single cell may always put out, however full the notebook is: enough for an error.
FLOOR_BYTES = 16_384


@dataclass(frozen=True)
class OutputLimits:
    """How much output is kept, in bytes of text as stored."""

    per_cell: int = 1_000_000
    per_notebook: int = 50_000_000


class CellOutputs:
    """The outputs of one cell while it runs, about `cap` bytes of them at most.

    Up to half of the cap keeps the beginning, the rest slides along with the end; what falls
    between is counted and marked where it is missing.
    """

    def __init__(self, cap: int) -> None:
        self.cap = cap
        self.left_out_bytes = 0
        self._clear_pending = False
        self._reset()

    def _reset(self) -> None:
        self._head: list[Output] = []
        self._tail: deque[Output] = deque()
        self._head_size = 0
        self._tail_size = 0
        self._dropped_bytes = 0
        self._dropped_outputs = 0
        self._displays: dict[str, list[Output]] = {}

    def add_stream(self, name: str, text: str) -> None:
        """Add text of ``stdout`` or ``stderr``."""
        self._clear_if_pending()
        room = self.cap // 2 - self._head_size
        if room > 0 and not self._tail:
            first, text = text[:room], text[room:]
            self._head_size += len(first)
            _append_stream(self._head, name, first)
        if text:
            self._tail_size += len(text)
            _append_stream(self._tail, name, text)
            self._trim()

    def add(self, output: Output, display_id: str | None = None) -> None:
        """Add an output of any other kind; `display_id` lets later messages change it."""
        self._clear_if_pending()
        output, size = self._fitted(output)
        is_first = not self._head and not self._tail
        if is_first or (not self._tail and self._head_size + size <= self.cap // 2):
            self._head.append(output)
            self._head_size += size
        else:
            self._tail.append(output)
            self._tail_size += size
            self._trim()
        if display_id:
            self._displays.setdefault(display_id, []).append(output)

    def shows(self, display_id: str) -> bool:
        """Whether something is shown under `display_id` here."""
        return display_id in self._displays

    def update_display(self, display_id: str, output: Output) -> None:
        """Replace what was displayed under `display_id`, wherever it still stands."""
        shown = self._displays.get(display_id)
        if not shown:
            return
        output, _ = self._fitted(output)
        for place in shown:
            place["data"], place["metadata"] = output["data"], output["metadata"]

    def clear(self, wait: bool) -> None:
        """Forget all outputs, now or when the next one comes."""
        if wait:
            self._clear_pending = True
        else:
            self._reset()

    def replace(self, outputs: list[Output]) -> None:
        """Put other outputs in the place of all there are."""
        self._reset()
        self._head = outputs
        self._head_size = sum(map(output_size, outputs))

    def finished(self) -> list[Output]:
        """The outputs as they are stored, with a mark where something is missing."""
        outputs: list[Output] = []
        for output in self._head:
            _append_finished(outputs, output)
        if self._dropped_bytes:
            number = f" in {self._dropped_outputs} outputs" if self._dropped_outputs else ""
            outputs.append(
                _left_out(
                    f"\n[dagbook left out {self._dropped_bytes:,} bytes{number} here: "
                    f"a cell keeps {self.cap:,} bytes of output]\n"
                )
            )
        for output in self._tail:
            _append_finished(outputs, output)
        for output in outputs:
            if output["output_type"] == "stream":
                output["text"] = collapse_overwritten(output["text"])
        return outputs

    @property
    def size(self) -> int:
        """Bytes kept at present."""
        return self._head_size + self._tail_size

    @property
    def _tail_room(self) -> int:
        # However large the first output is: the last words of a cell matter most.
        return max(self.cap - self._head_size, self.cap // 8)

    def _clear_if_pending(self) -> None:
        if self._clear_pending:
            self._clear_pending = False
            self._reset()

    def _trim(self) -> None:
        excess = self._tail_size - self._tail_room
        while excess > 0:
            first = self._tail[0]
            if first["output_type"] == "stream":
                excess -= self._cut_stream(first, excess)
            elif first["output_type"] == "error" or len(self._tail) == 1:
                return  # the reason a cell failed is never what is left out
            else:
                size = output_size(first)
                self._drop(size)
                self._dropped_outputs += 1
                self._tail.popleft()
                excess -= size

    def _cut_stream(self, stream: Output, excess: int) -> int:
        """Take `excess` characters off the front of the tail's first stream, or all of it."""
        pieces: deque[str] = stream["_pieces"]
        removed = 0
        while pieces and removed < excess:
            if removed + len(pieces[0]) <= excess:
                removed += len(pieces.popleft())
            else:
                keep = pieces[0][excess - removed :]
                removed = excess
                pieces[0] = keep
        self._drop(removed)
        if not pieces:
            self._tail.popleft()
        return removed

    def _drop(self, size: int) -> None:
        self._tail_size -= size
        self._dropped_bytes += size
        self.left_out_bytes += size

    def _fitted(self, output: Output) -> tuple[Output, int]:
        size = output_size(output)
        if output["output_type"] == "error":
            return _trimmed_error(output, max(self.cap // 2, FLOOR_BYTES)), size
        if size <= self._tail_room:
            return output, size
        self.left_out_bytes += size
        kinds = ", ".join(sorted(output.get("data", {}))) or output["output_type"]
        note = {
            "output_type": "display_data",
            "data": {
                "text/plain": f"[dagbook left out an output of {size:,} bytes ({kinds}): "
                f"a cell keeps {self.cap:,} bytes of output]"
            },
            "metadata": {},
        }
        return note, output_size(note)


def _append_stream(outputs: list[Output] | deque[Output], name: str, text: str) -> None:
    last = outputs[-1] if outputs else None
    if last is not None and last["output_type"] == "stream" and last["name"] == name:
        # Pieces, joined once at the end: adding to a string would copy it for every print.
        if "_pieces" not in last:
            last["_pieces"] = deque([last.pop("text")])
        last["_pieces"].append(text)
    elif text:
        outputs.append({"output_type": "stream", "name": name, "_pieces": deque([text])})


def _append_finished(outputs: list[Output], output: Output) -> None:
    """Append a stream as a copy with its text whole, anything else as it is.

    Other outputs stay the same objects: a later update of a display must still reach them.
    """
    last = outputs[-1] if outputs else None
    if output["output_type"] != "stream":
        outputs.append(output)
    elif last is not None and last["output_type"] == "stream" and last["name"] == output["name"]:
        last["text"] += _text(output)
    else:
        outputs.append({"output_type": "stream", "name": output["name"], "text": _text(output)})


def _text(stream: Output) -> str:
    pieces: Iterable[str] | None = stream.get("_pieces")
    return stream["text"] if pieces is None else "".join(pieces)


def _left_out(text: str) -> Output:
    return {"output_type": "stream", "name": "stderr", "text": text}


def collapse_overwritten(text: str) -> str:
    """Keep of a progress bar what a terminal would still show: its last state."""
    if "\x08" in text:
        before = None
        while before != text:
            before, text = text, _BACKSPACE.sub("", text)
    if "\r" in text:
        text = _OVERWRITTEN_LINE.sub("", text.replace("\r\n", "\n"))
    return text


def output_size(output: Output) -> int:
    """About how many bytes an output takes as stored: characters of its texts."""
    if output["output_type"] == "stream":
        return len(_text(output))
    if output["output_type"] == "error":
        return sum(map(len, output["traceback"])) + len(output["evalue"])
    return sum(
        len(value) if isinstance(value, str) else len(json.dumps(value, default=str))
        for value in output.get("data", {}).values()
    )


def _trimmed_error(output: Output, cap: int) -> Output:
    """A failing cell's message may itself be huge (a repr of a data set): keep both ends."""

    def trimmed(text: str) -> str:
        return text if len(text) <= cap else f"{text[: cap // 2]}\n…\n{text[-cap // 2 :]}"

    traceback = output["traceback"]
    joined = "\n".join(traceback)
    return {
        **output,
        "evalue": trimmed(output["evalue"]),
        "traceback": traceback if len(joined) <= cap else trimmed(joined).split("\n"),
    }
