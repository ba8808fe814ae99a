"""What is known of a run whose process vanished: killed, or its machine stopped."""

from __future__ import annotations

from pathlib import Path

from dagbook.execution.result import MetricPoint, RunStatus
from dagbook.sinks.spool import End, Head, Spool


def find_vanished_end(spool: Spool, head: Head) -> tuple[End | None, list[MetricPoint]]:
    """How it ended, and everything it had measured; None while its journal is being recovered.

    Whoever looks first recovers it: this, the next run of the notebook, anybody.
    """
    if spool.result is None:
        # Brings the kernel's client libraries along, and is seldom needed.
        from dagbook.execution.place import is_left_in
        from dagbook.execution.recovery import recover_runs

        folder = Path(head.output_folder)
        recover_runs(folder)
        if spool.result is None and is_left_in(folder, spool.result_file):
            return None, []
    result = spool.result
    if result is None:
        # It had not come to its first cell.
        return End(RunStatus.KILLED, spool.folder.stat().st_mtime), []
    points = [
        MetricPoint(point["name"], float(point["value"]), point["step"], point["timestamp"])
        for point in result["metrics"]
    ]
    files = (result["executed_notebook"], result["executed_html"])
    end = End(
        RunStatus(result["status"]),
        result["started_at"] + result["duration_seconds"],
        parameters={name: str(value) for name, value in result["parameters"].items()},
        files=[file for file in files if file is not None],
    )
    return end, points
