"""Rules that can be read off the text of R, Julia and shell notebooks, line by line."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dagbook.notebook import Notebook
from dagbook.preflight.files import ABSOLUTE, MISSING
from dagbook.preflight.finding import NightFinding, Severity
from dagbook.preflight.interactive import KEYBOARD
from dagbook.preflight.project_files import is_mentioned
from dagbook.preflight.reading import CodeCell, Reading, quoted
from dagbook.preflight.situation import Situation

_READS = {
    "R": re.compile(
        r"\b(?:read\.csv2?|read\.table|read\.delim|read_csv2?|read_tsv|read_delim|read_excel"
        r"|read_rds|readRDS|read_parquet|read_feather|fread|load|source|setwd)\s*\(\s*"
        r"(?:file\s*=\s*|path\s*=\s*)?(?P<quote>[\"'])(?P<path>[^\"'\n]+)(?P=quote)"
    ),
    "julia": re.compile(
        r"\b(?:CSV\.read|CSV\.File|include|cd)\s*\(\s*(?P<quote>\")(?P<path>[^\"\n$]+)(?P=quote)"
    ),
}
# IRkernel waits for an answer to the one until the run's time is over, and fails with the other.
_ASKS_IN_R = re.compile(r"(?<![\w.$:])(?P<call>readline|file\.choose)\s*\(")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]+:")
_PERSONAL = ("/home/", "/Users/", "/root/", "~")
_BRANCH = re.compile(r"\b(?:if|while|function|tryCatch|try)\b")


def other_language_findings(reading: Reading, situation: Situation) -> Iterator[NightFinding]:
    """Find paths that are not there, or are one machine's, and questions at the keyboard."""
    if reading.language == "R":
        yield from _questions(reading)
    pattern = _READS.get(reading.language)
    if pattern is None or situation.folder is None:
        return
    text = "\n".join(code.source for code in reading.at_night)
    moved = "setwd(" in text or re.search(r"\bcd\(", text) is not None
    for code in reading.at_night:
        for number, line in enumerate(code.lines, 1):
            match = pattern.search(line.split("#")[0])
            if match is None or _BRANCH.search(line):
                continue
            finding = _finding(reading.notebook, code, number, match, text, situation, moved)
            if finding is not None:
                yield finding


def _questions(reading: Reading) -> Iterator[NightFinding]:
    for code in reading.at_night:
        for number, line in enumerate(code.lines, 1):
            match = _ASKS_IN_R.search(line.split("#")[0])
            if match is None or _BRANCH.search(line):
                continue
            text = (
                f"`{match['call']}()` asks at the keyboard, and at night nobody answers: make the "
                "value a parameter"
            )
            yield code.finding(KEYBOARD, _severity(line), number, text)


def _severity(line: str) -> Severity:
    """What an indented line does may be part of a branch or function."""
    return Severity.MAY_SURPRISE if line[:1].isspace() else Severity.WILL_FAIL


def _finding(
    notebook: Notebook,
    code: CodeCell,
    line: int,
    match: re.Match[str],
    text: str,
    situation: Situation,
    moved: bool,
) -> NightFinding | None:
    path = match["path"]
    if _URL.match(path) or set(path) & set("*?[") or situation.folder is None:
        return None
    if path.startswith(_PERSONAL):
        said = (
            f"`{quoted(path)}` is a place of one user's on one machine: name a file of the project, as "
            "seen from the notebook"
        )
        return code.finding(ABSOLUTE, Severity.MAY_SURPRISE, line, said)
    if path.startswith("/") or moved or text.count(path) > 1:
        return None
    name = path.rsplit("/", 1)[-1]
    if (situation.folder / path).exists() or text.count(name) > 1:
        return None
    own = None if notebook.path is None else notebook.path.absolute()
    root = situation.project_root
    if root is not None and is_mentioned(root, name, own):
        return None
    severity = _severity(code.lines[line - 1])
    said = (
        f"there is no file `{quoted(path)}`, as seen from the notebook's folder: put it there, or name "
        "the right one"
    )
    return code.finding(MISSING, severity, line, said)
