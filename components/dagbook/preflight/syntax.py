"""Rule: every cell is Python that the notebook's kernel can read."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

from dagbook.cell_source import why_not_python
from dagbook.preflight.finding import NightFinding, Severity
from dagbook.preflight.reading import Reading
from dagbook.preflight.situation import Situation

SYNTAX = "not-python"


def syntax_findings(reading: Reading, situation: Situation) -> Iterator[NightFinding]:
    """Find cells that no Python can read, as far as ours can tell."""
    if reading.language != "python" or not _is_our_python(reading):
        return
    for code in reading.at_night:
        if code.module is not None or code.other_language is not None or code.has_error_tag:
            continue
        if code.cell_magics and code.cell_magics[0][0] not in ("time", "timeit", "capture"):
            continue  # below somebody's magic may stand anything
        line, reason = why_not_python(code.source)
        if line is None:
            continue
        text = f"is not valid Python ({reason}), so the run ends here: mend it"
        yield code.finding(SYNTAX, Severity.WILL_FAIL, line, text)


def _is_our_python(reading: Reading) -> bool:
    """Whether the kernel's Python reads what ours reads: neither 2 nor newer than ours."""
    if reading.is_python_2:
        return False
    info = reading.notebook.document["metadata"].get("language_info") or {}
    version = re.match(r"(\d+)\.(\d+)", str(info.get("version", "")))
    if version is None:
        return True
    return (3, 0) <= (int(version[1]), int(version[2])) <= sys.version_info[:2]
