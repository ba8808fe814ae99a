"""What a notebook's cells put out, kept small: head and tail stay, the middle is counted."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dagbook.execution.overwritten_text import collapse_overwritten

Output = dict[str, Any]

#: Below this a single cell may always put out, however full the notebook is: enough for an error.
FLOOR_BYTES = 16_384
#: So many outputs are kept of a cell, however little is in each.
MOST_OUTPUTS = 10_000
#: About what the JSON around an output takes.
FRAME_BYTES = 100
#: Pieces of a stream are joined as they come to so many, and never to more than so much.
JOINED_PIECES = 64
JOINED_BYTES = 8_192


@dataclass(frozen=True)
class OutputLimits:
    """How much output is kept, in bytes of text as stored."""

    per_cell: int = 1_000_000
    per_notebook: int = 50_000_000


class CellOutputs:
    """The outputs of one cell while it runs, about `cap` bytes of them at most.

    Up to half of the cap keeps the beginning, the rest slides along with the end; what falls
    between is counted and marked where it is missing.

    Attributes:
        version: another number after every change.
    """

    def __init__(self, cap: int) -> None:
        self.cap = cap
        self.version = 0
        self.left_out_bytes = 0
        self._clear_pending = False
        self._reset()

    def _reset(self) -> None:
        self.version += 1
        self._head: list[Output] = []
        self._tail: deque[Output] = deque()
        self._head_size = 0
        self._tail_size = 0
        self._dropped_bytes = 0
        self._dropped_outputs = 0
        self._displays: dict[str, list[Output]] = {}
        # By id: which display an output shows, and whether it stands in the head.
        self._shown: dict[int, tuple[str, bool]] = {}
        self._last_error: Output | None = None
        self._error_size = 0  # of that one, while it stands in the tail

    def add_stream(self, name: str, text: str, left_out: int = 0) -> None:
        """Add text of ``stdout`` or ``stderr``.

        Args:
            left_out: how many bytes of its middle `text` lacks; at least `cap` bytes of both its
                ends are there.
        """
        self._begin_change()
        room = self.cap // 2 - self._head_size
        if room > 0 and not self._tail and len(self._head) < MOST_OUTPUTS // 2:
            first, text = text[:room], text[room:]
            self._head_size += len(first)
            _append_stream(self._head, name, first)
        if text:
            self._tail_size += len(text)
            _append_stream(self._tail, name, text)
            self._trim()
        self._dropped_bytes += left_out
        self.left_out_bytes += left_out

    def add(self, output: Output, display_id: str | None = None, left_out: int = 0) -> None:
        """Add an output of any other kind; `display_id` lets later messages change it.

        Args:
            left_out: how many bytes of it `output` lacks.
        """
        self._begin_change()
        output, size = self._fitted(output, left_out, self._tail_room)
        has_room = (
            not self._tail
            and self._head_size + size <= self.cap // 2
            and len(self._head) < MOST_OUTPUTS // 2
        )
        in_head = has_room or (not self._head and not self._tail)
        if display_id:
            self._displays.setdefault(display_id, []).append(output)
            self._shown[id(output)] = (display_id, in_head)
        if output["output_type"] == "error":
            self._last_error, self._error_size = output, 0 if in_head else size
        if in_head:
            self._head.append(output)
            self._head_size += size
        else:
            self._tail.append(output)
            self._tail_size += size
            self._trim()

    def shows(self, display_id: str) -> bool:
        """Whether something is shown under `display_id` here."""
        return display_id in self._displays

    def update_display(self, display_id: str, output: Output, left_out: int = 0) -> None:
        """Replace what was displayed under `display_id`, wherever it still stands."""
        self.version += 1
        for place in self._displays.get(display_id, ()):
            in_head = self._shown[id(place)][1]
            before = output_size(place)
            room = self.cap - self._head_size + before if in_head else self._tail_room
            fitted, size = self._fitted(output, left_out, room)
            place["data"], place["metadata"] = fitted["data"], fitted["metadata"]
            if in_head:
                self._head_size += size - before
            else:
                self._tail_size += size - before
        self._trim()

    def display_ids(self, outputs: list[Output]) -> dict[str, list[int]]:
        """Under which names which of `outputs`, which are `finished` ones, are shown."""
        found: dict[str, list[int]] = {}
        for number, output in enumerate(outputs):
            if id(output) in self._shown:
                found.setdefault(self._shown[id(output)][0], []).append(number)
        return found

    def clear(self, wait: bool) -> None:
        """Forget all outputs, now or when the next one comes."""
        if wait:
            self._clear_pending = True
        else:
            self._reset()

    def replace(
        self, outputs: list[Output], displays: Mapping[str, Sequence[int]] | None = None
    ) -> None:
        """Put other outputs in the place of all there are.

        Args:
            displays: under which names which of them are shown, as `display_ids` says.
        """
        self._reset()
        self._head = outputs
        self._head_size = sum(map(output_size, outputs))
        for display_id, numbers in (displays or {}).items():
            self._displays[display_id] = [outputs[number] for number in numbers]
            for number in numbers:
                self._shown[id(outputs[number])] = (display_id, True)

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
        """About how many bytes what is kept at present takes."""
        frames = FRAME_BYTES * max(0, len(self._head) + len(self._tail) - 1)
        return self._head_size + self._tail_size + frames

    @property
    def is_clear_pending(self) -> bool:
        """Whether the next output takes the place of all there are."""
        return self._clear_pending

    @property
    def _tail_room(self) -> int:
        # However large the first output is: the last words of a cell matter most. The reason it
        # failed is kept beside them.
        return max(self.cap - self._head_size, self.cap // 8) + self._error_size

    def _begin_change(self) -> None:
        self.version += 1
        if self._clear_pending:
            self._clear_pending = False
            self._reset()

    def _trim(self) -> None:
        error = None
        while (excess := self._tail_size - self._tail_room) > 0 or self._is_full:
            if len(self._tail) > 1 and self._tail[0] is self._last_error:
                error = self._tail.popleft()
            first = self._tail[0]
            if first["output_type"] == "stream":
                self._cut_stream(first, self._tail_size if self._is_full else excess)
            elif len(self._tail) == 1:
                break
            else:
                self._drop(output_size(first))
                self._dropped_outputs += 1
                self._tail.popleft()
                self._forget(first)
            if not self._tail:
                break
        if error is not None:
            self._tail.appendleft(error)

    @property
    def _is_full(self) -> bool:
        return len(self._tail) > MOST_OUTPUTS // 2

    def _forget(self, output: Output) -> None:
        display_id, _ = self._shown.pop(id(output), ("", False))
        if display_id:
            self._displays[display_id] = [
                shown for shown in self._displays[display_id] if shown is not output
            ]
            if not self._displays[display_id]:
                del self._displays[display_id]

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

    def _fitted(self, output: Output, left_out: int, room: int) -> tuple[Output, int]:
        size = output_size(output) + left_out
        if output["output_type"] == "error":
            self.left_out_bytes += left_out
            output = _trimmed_error(output, max(self.cap // 2, FLOOR_BYTES))
            return output, output_size(output)
        if size <= room:
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
        pieces = last["_pieces"]
        pieces.append(text)
        if len(pieces) % JOINED_PIECES == 0:
            _join_small(pieces)
    elif text:
        outputs.append({"output_type": "stream", "name": name, "_pieces": deque([text])})


def _join_small(pieces: deque[str]) -> None:
    """Join the last pieces when they are small: a text of one letter takes fifty bytes."""
    small: list[str] = []
    size = 0
    while pieces and len(small) < JOINED_PIECES and size + len(pieces[-1]) <= JOINED_BYTES:
        size += len(pieces[-1])
        small.append(pieces.pop())
    if small:
        pieces.append("".join(reversed(small)))


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
