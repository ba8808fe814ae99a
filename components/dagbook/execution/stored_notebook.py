"""The executed notebook as it is stored: the author's text, what came out, and a true account."""

from __future__ import annotations

import html
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dagbook.atomic_write import Replacement, write_atomically
from dagbook.errors import DagbookError
from dagbook.execution.journal import to_json
from dagbook.execution.last_good import Comparison
from dagbook.execution.outputs import CellOutputs
from dagbook.execution.result import Cause, CellResult, CellStatus, ExecutionResult, RunStatus
from dagbook.execution.stored_outputs import json_lines, outputs_json
from dagbook.execution.words import in_bytes, in_time
from dagbook.policy import BUILT_IN_SIZES, Size

BANNER_TAG = "dagbook-banner"
ANCHOR = "dagbook-ended-here"

_HEADLINES = {
    RunStatus.FAILED: "Failed",
    RunStatus.KILLED: "Killed",
    RunStatus.TIMED_OUT: "Timed out",
    RunStatus.CANCELLED: "Cancelled",
}


def complete_document(
    document: Any,
    outputs: Mapping[int, CellOutputs],
    result: ExecutionResult,
    *,
    stopped_at: int | None,
    size: Size | None,
    sizes: Sequence[Size] | None = None,
    fill: bool = True,
) -> None:
    """Fill an executed document in place: outputs, every cell's true state, the banner.

    Args:
        document: the notebook papermill prepared (nbformat 4).
        outputs: by position in `document`.
        stopped_at: position of the cell the run ended in, if it did not run through.
        size: what the run had, for the advice in the banner.
        sizes: those that it may have instead; by default the built-in ones.
        fill: put the outputs themselves in; not needed where they are ready to be stored.
    """
    complete_cells(document, outputs, result.cells, fill=fill)
    _complete_metadata(document, result)
    if not result.succeeded:
        _insert_banner(document, result, stopped_at, banner(result, size, sizes))


def complete_cells(
    document: Any, outputs: Mapping[int, CellOutputs], told: Iterable[CellResult], *, fill: bool
) -> None:
    """Fill the cells of an executed document in place; see `complete_document`.

    Args:
        told: how each has ended.
    """
    by_id = {cell.id: cell for cell in told}
    for position, cell in enumerate(document["cells"]):
        if cell["cell_type"] != "code":
            continue
        kept = outputs.get(position)
        cell["outputs"] = kept.finished() if kept is not None and fill else []
        if kept is None:
            cell["execution_count"] = None
        ended = by_id.get(cell.get("id", ""))
        if ended is not None:
            cell["metadata"]["dagbook"] = {"status": str(ended.status)}
            if ended.role is not None:
                cell["metadata"]["dagbook"]["role"] = ended.role
            # papermill's own field, read by its tools; papermill would call it completed.
            cell["metadata"].setdefault("papermill", {})["status"] = str(ended.status)


def _complete_metadata(document: Any, result: ExecutionResult) -> None:
    summary = result.to_json()
    # The last value of each says enough here; the cells and the tracking server have the rest.
    summary["metrics"] = {name: repr(value) for name, value in result.last_metrics.items()}
    document["metadata"]["dagbook"] = summary
    papermill = document["metadata"].setdefault("papermill", {})
    papermill.update(
        start_time=_iso(result.started_at),
        end_time=_iso(result.started_at + result.duration_seconds),
        duration=result.duration_seconds,
        exception=not result.succeeded,
        input_path=None if result.notebook is None else str(result.notebook),
    )


def remove_banners(cells: list[Any]) -> list[Any]:
    """The cells without banners of an earlier run: an executed notebook may be run again."""
    return [cell for cell in cells if BANNER_TAG not in cell.get("metadata", {}).get("tags", [])]


def serialise(
    document: Mapping[str, Any], stored: Mapping[int, bytes] | None = None
) -> Iterator[bytes]:
    """The document as ``.ipynb``, cell by cell: it is never in memory twice.

    Sources are lines, as everywhere, and so is each output and each name of a cell or of the
    metadata: enough to read it and to compare two, and the layout takes no time.

    Args:
        document: a complete one.
        stored: of cells, by the identity of the cell, their outputs as `outputs_json` has made
            them: then what the cell itself has as outputs does not matter.
    """
    yield from _cells_json(document, stored or {})
    yield from _rest_json(document)


def _cells_json(document: Mapping[str, Any], stored: Mapping[int, bytes]) -> Iterator[bytes]:
    yield b'{\n "cells": ['
    for number, cell in enumerate(document["cells"]):
        yield b",\n  {" if number else b"\n  {"
        lines = cell["source"].splitlines(keepends=True)
        yield b'\n   "source": ' + json_lines(lines, indent=4)
        for name, value in cell.items():
            if name == "outputs":
                ready = stored.get(id(cell))
                yield b',\n   "outputs": '
                yield outputs_json(value) if ready is None else ready
            elif name != "source":
                yield b",\n   " + to_json(name) + b": " + to_json(value)
        yield b"\n  }"
    yield b"\n ]"


def _rest_json(document: Mapping[str, Any]) -> Iterator[bytes]:
    for name, value in document.items():
        if name == "metadata":
            yield b',\n "metadata": ' + _json_names(value)
        elif name != "cells":
            yield b",\n " + to_json(name) + b": " + to_json(value)
    yield b"\n}\n"


def _json_names(value: Mapping[str, Any]) -> bytes:
    if not value:
        return b"{}"
    names = (to_json(name) + b": " + to_json(part) for name, part in value.items())
    return b"{\n  " + b",\n  ".join(names) + b"\n }"


class WrittenAhead:
    """The notebook of a run that goes well, its cells written while the kernel ends.

    What they are is known then, and only the rest, above all what the kernel has used, is not.
    """

    def __init__(
        self,
        path: Path,
        document: Mapping[str, Any],
        outputs: Mapping[int, CellOutputs],
        stored: Mapping[int, bytes],
    ) -> None:
        """Write the cells; for the arguments see `complete_cells` and `serialise`.

        Raises:
            OSError: they cannot be written there.
        """
        self._path = path
        self._outputs = outputs
        self._versions = self._present_versions()
        self._replacement = Replacement(path, private=True)
        try:
            self._replacement.write(_cells_json(document, stored))
            self._replacement.start_writing_out()
        except BaseException:
            self._replacement.abandon()
            raise

    def is_good_for(self, path: Path) -> bool:
        """Whether this is what is to be stored in `path`: nothing more has come out since."""
        return path == self._path and self._versions == self._present_versions()

    def complete(self, document: Mapping[str, Any]) -> None:
        """Write the rest and put the notebook in its place.

        Raises:
            OSError: it cannot be written; what stood there is intact.
        """
        self._replacement.write(_rest_json(document))
        self._replacement.put_in_place()

    def abandon(self) -> None:
        """Remove it, if it is not in its place. Safe to call twice."""
        self._replacement.abandon()

    def _present_versions(self) -> dict[int, int]:
        return {position: kept.version for position, kept in self._outputs.items()}


def write_notebook(
    path: Path,
    document: Mapping[str, Any],
    *,
    journal: Path,
    stored: Mapping[int, bytes] | None = None,
    ahead: WrittenAhead | None = None,
) -> None:
    """Put the executed notebook in its place, in one step.

    Raises:
        DagbookError: it cannot be written; what stood there is intact, and `journal` is kept.
    """
    try:
        if ahead is not None and ahead.is_good_for(path):
            ahead.complete(document)
            return
        if ahead is not None:
            ahead.abandon()  # before its room is needed
        write_atomically(path, serialise(document, stored), private=True)
    except OSError as error:
        raise DagbookError(
            f"{path}: the executed notebook cannot be written ({error.strerror}). "
            f"What happened is kept in {journal}; the next run there makes a notebook of it."
        ) from None


def _insert_banner(
    document: Any, result: ExecutionResult, stopped_at: int | None, text: str
) -> None:
    position = 0 if stopped_at is None else stopped_at
    document["cells"].insert(
        position, _markdown("dagbook-banner", f'<a id="{ANCHOR}"></a>\n\n{text}')
    )
    if position > 0:
        headline = _HEADLINES[result.status]
        document["cells"].insert(
            0,
            _markdown(
                "dagbook-banner-top",
                f"**✕ {headline}:** {_escaped(result.reason)} — [go to the cell](#{ANCHOR})",
            ),
        )


def banner(result: ExecutionResult, size: Size | None, sizes: Sequence[Size] | None = None) -> str:
    """What happened, as Markdown: headline, reason, figures, and what would help."""
    used = result.resources
    figures = [f"ran {in_time(result.duration_seconds)}"]
    if used.peak_memory_bytes:
        figures.append(f"peak memory {in_bytes(used.peak_memory_bytes)}")
    if size is not None:
        figures.append(f"size {size.label}")
    lines = [
        f"### ✕ {_HEADLINES[result.status]}",
        _escaped(result.reason),
        " · ".join(figures),
    ]
    if size is not None and (advice := _larger_size(result, size, sizes)):
        lines.append(advice)
    if any(cell.status is CellStatus.NOT_RUN for cell in result.cells):
        count = sum(cell.status is CellStatus.NOT_RUN for cell in result.cells)
        lines.append(f"{count} cell{'s' if count != 1 else ''} below did not run.")
    if result.last_good_run is not None:
        lines.append(_compared(result.last_good_run, result.executed_notebook))
    return "\n\n".join(lines)


def _compared(last: Comparison, here: Path | None) -> str:
    """What is different from the last good run, with a link to it."""
    moment = _escaped(last.moment)
    # The run that is stored in this very file takes the good one's place.
    if here is not None and here != last.notebook:
        link = quote(os.path.relpath(last.notebook, here.parent).replace(os.sep, "/"))
        moment = f"[{moment}]({link})"
    if not last.differences:
        return f"Nothing known is different from the last good run, {moment}."
    listed = "\n".join(f"- {_escaped(line)}" for line in last.differences)
    return f"**Different from the last good run**, {moment}:\n\n{listed}"


def _larger_size(result: ExecutionResult, size: Size, sizes: Sequence[Size] | None) -> str | None:
    """The next size up, when more of it would have helped."""
    # A cell's own limit, or one that was set for the run, is not the size's.
    had_its_time = result.duration_seconds >= size.max_runtime_seconds
    if result.cause is not Cause.MEMORY and not (result.cause is Cause.TIME and had_its_time):
        return None
    larger = [
        other
        for other in (BUILT_IN_SIZES.values() if sizes is None else sizes)
        if other.gpus == size.gpus
        and other.memory_bytes > size.memory_bytes
        and other.max_runtime_seconds > size.max_runtime_seconds
    ]
    if not larger:
        return None
    return f"Next size up: {min(larger, key=lambda other: other.memory_bytes).label}."


def _markdown(cell_id: str, text: str) -> dict[str, Any]:
    return {
        "cell_type": "markdown",
        "id": cell_id,
        "metadata": {"tags": [BANNER_TAG]},
        "source": text,
    }


def _escaped(text: str) -> str:
    # Neither HTML nor Markdown of an exception's message may shape the banner.
    escaped = html.escape(text, quote=False)
    return "".join(f"\\{c}" if c in "\\`*_{}[]()#+!|~$" else c for c in escaped)


def _iso(timestamp: float) -> str:
    return datetime.fromtimestamp(timestamp, UTC).isoformat()
