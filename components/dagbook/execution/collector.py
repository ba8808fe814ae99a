"""Takes in what cells put out: into the outputs to be stored, and into the journal."""

from __future__ import annotations

from dagbook.execution.journal import Journal
from dagbook.execution.large_message import LEFT_OUT
from dagbook.execution.output_messages import (
    display_id,
    error_output,
    mime_bundle,
    rich_output,
    stream_text,
)
from dagbook.execution.outputs import FLOOR_BYTES, CellOutputs, Output, OutputLimits
from dagbook.execution.result import MetricPoint
from dagbook.execution.stored_outputs import StoredOutputs
from dagbook.execution.widgets import WidgetRecorder
from dagbook.execution.wire import TEXT_JSON, Message

CHECK_MIME = "application/vnd.dagbook.check+json"
METRICS_MIME = "application/vnd.dagbook.metrics+json"
RESULT_KEY = "dagbook_result"


class OutputCollector:
    """The outputs of all cells of one execution, by position in its document."""

    def __init__(self, journal: Journal, limits: OutputLimits, widgets: WidgetRecorder) -> None:
        self.outputs: dict[int, CellOutputs] = {}
        self.stored = StoredOutputs(self.outputs)
        self._journal = journal
        self._limits = limits
        self._widgets = widgets
        self._kept_bytes = 0

    def begin(self, position: int) -> None:
        """Make room for a cell's outputs: the cap of a cell, or what the notebook has left."""
        room = self._limits.per_notebook - self._kept_bytes
        cap = max(min(self._limits.per_cell, room), FLOOR_BYTES)
        self.outputs[position] = CellOutputs(cap)

    def end(self, position: int) -> None:
        """Note that a cell has ended."""
        if position in self.outputs:
            self._kept_bytes += self.outputs[position].size
            self.stored.end(position)

    def take(self, position: int, message: Message) -> None:
        """Take in one output message of the cell at `position`."""
        kind, content = message["msg_type"], message["content"]
        if kind.startswith("comm"):
            # Half a widget is none.
            if LEFT_OUT not in content:
                self._widgets.comm(position, message)
        elif kind == "update_display_data":
            if shown_as := display_id(content):
                self._update(shown_as, rich_output(kind, content), content.get(LEFT_OUT, 0))
        elif self._widgets.captures(position, message):
            pass
        elif kind == "stream":
            self._stream(
                position, *stream_text(content), content.get(LEFT_OUT, 0), content.get(TEXT_JSON)
            )
        elif kind == "clear_output":
            self.outputs[position].clear(bool(content.get("wait")))
            self._journal.clear(position, bool(content.get("wait")))
        elif kind == "error":
            self.add(position, error_output(content), left_out=content.get(LEFT_OUT, 0))
        elif kind in ("display_data", "execute_result"):
            output, shown_as = rich_output(kind, content), display_id(content)
            left_out = content.get(LEFT_OUT, 0)
            if shown_as:
                # Showing something again under its name changes what stood there before.
                self._update(shown_as, output, left_out)
            self.add(position, output, shown_as, left_out)

    def add(
        self, position: int, output: Output, display_id: str | None = None, left_out: int = 0
    ) -> None:
        """Add an output that is not a stream, and lacks `left_out` bytes of what it was."""
        outputs = self.outputs[position]
        outputs.add(output, display_id, left_out)
        if outputs.left_out_bytes:
            self._journal.crowded(position, outputs)
        else:
            self._journal.output(position, output, display_id)

    def _stream(
        self, position: int, name: str, text: str, left_out: int, as_json: memoryview | None
    ) -> None:
        outputs = self.outputs[position]
        outputs.add_stream(name, text, left_out)
        if outputs.left_out_bytes:
            self._journal.crowded(position, outputs)
        else:
            self._journal.stream(position, name, text, as_json)

    def _update(self, display_id: str, output: Output, left_out: int) -> None:
        shown = [(at, kept) for at, kept in self.outputs.items() if kept.shows(display_id)]
        for position, outputs in shown:
            outputs.update_display(display_id, output, left_out)
            if outputs.left_out_bytes:
                self._journal.crowded(position, outputs)
        if any(not outputs.left_out_bytes for _, outputs in shown):
            self._journal.update(display_id, output)

    def show_error(self, position: int, reply: Message) -> None:
        """Add the error of a reply where the kernel could not send it as an output."""
        shown = self.outputs[position].finished()
        if not any(output["output_type"] == "error" for output in shown):
            self.add(position, error_output(reply), left_out=reply.get(LEFT_OUT, 0))

    def note_check(self, position: int, name: str, said: str) -> None:
        """Show a noted check's error without its being an error of the run."""
        kept = self.outputs[position]
        outputs = [
            _as_noted(output, name, said) if output["output_type"] == "error" else output
            for output in kept.finished()
        ]
        kept.replace(outputs)
        self._journal.event("snapshot", position, outputs)

    def show_metrics(self, position: int, points: list[MetricPoint]) -> None:
        """Add one output with what a cell reported, however often it did."""
        if points and position in self.outputs:
            self.add(position, _metrics_output(points))

    def show_result(self, position: int, name: str, reply: Message) -> None:
        """Add a preview of a named result: what Jupyter would show of the variable."""
        answer = reply.get("user_expressions", {}).get(result_question(name), {})
        data = mime_bundle(answer.get("data")) if answer.get("status") == "ok" else {}
        plain = str(data.get("text/plain", "there is no such variable"))
        data["text/plain"] = f"Result {name}: {plain}"
        output: Output = {
            "output_type": "display_data",
            "data": data,
            "metadata": dict(answer.get("metadata", {})) | {RESULT_KEY: {"name": name}},
        }
        self.add(position, output, left_out=reply.get(LEFT_OUT, 0))


def result_question(name: str) -> str:
    """What a kernel's answer about the result `name` is called, beside those about metrics."""
    return f"result {name}"


def _metrics_output(points: list[MetricPoint]) -> Output:
    last: dict[str, MetricPoint] = {}
    count: dict[str, int] = {}
    for point in points:
        last[point.name] = point
        count[point.name] = count.get(point.name, 0) + 1
    texts = []
    for name, point in last.items():
        more = f" (last of {count[name]:,})" if count[name] > 1 else ""
        texts.append(f"{name} = {point.value:g}{more}")
    return {
        "output_type": "display_data",
        "data": {
            METRICS_MIME: {
                name: {"last": repr(point.value), "step": point.step, "count": count[name]}
                for name, point in last.items()
            },
            "text/plain": "Metrics: " + ", ".join(texts),
        },
        "metadata": {},
    }


def _as_noted(error: Output, name: str, said: str) -> Output:
    headline = f"Check {name} failed, noted only" + (f": {said}" if said else "")
    return {
        "output_type": "display_data",
        "data": {
            CHECK_MIME: {"name": name, "passed": False, "blocking": False, "message": said},
            "text/plain": "\n".join([headline, "", *error["traceback"]]),
        },
        "metadata": {},
    }
