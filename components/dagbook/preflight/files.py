"""Rules: the files a notebook names are there at night, and inside the project."""

from __future__ import annotations

import ast
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from dagbook.preflight.edits import lines_edit
from dagbook.preflight.finding import Fix, NightFinding, Severity
from dagbook.preflight.paths import PathReader, PathUse, Way
from dagbook.preflight.project_files import is_mentioned
from dagbook.preflight.reading import CodeCell, Reading, quoted
from dagbook.preflight.situation import Situation

MISSING = "missing-file"
ABSOLUTE = "absolute-path"
OUTSIDE = "outside-project"

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:/|dbfs:|s3:|gs:")
_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_GLOB = re.compile(r"[*?\[]")
#: Whoever works on this machine has them; a colleague or a server has not.
_PERSONAL = ("/home/", "/Users/", "/root/")
_SYSTEM = ("/dev/", "/proc/", "/sys/", "/etc/", "/usr/", "/bin/", "/sbin/", "/lib")
_FETCHING = re.compile(
    r"\b(?:wget|curl|git (?:clone|pull)|unzip|tar|gunzip|gsutil|aws s3|azcopy|kaggle|dvc|cp|mv|touch)\b"
)
_FETCHERS = re.compile(
    r"\b(?:extractall|extract|unpack_archive|urlretrieve|hf_hub_download|snapshot_download"
    r"|download_file|download_to_filename|copyfile|copytree|copy2?|to_sql|symlink(?:_to)?"
    r"|rename|move|touch)\("
)


def file_findings(reading: Reading, situation: Situation) -> Iterator[NightFinding]:
    """Find paths that lead nowhere, out of the project, or to one machine only."""
    if reading.language != "python" or situation.folder is None:
        return
    yield from _Files(reading, situation, situation.folder).findings()


class _Files:
    def __init__(self, reading: Reading, situation: Situation, folder: Path) -> None:
        self.reading = reading
        self.folder = folder
        self.root = situation.project_root
        cells = [code for code in reading.at_night if code.module is not None]
        self.reader = PathReader(
            [code.module for code in cells if code.module is not None], reading.parameter_names
        )
        self.uses = [
            (code, use)
            for code in cells
            if code.module is not None and not code.has_error_tag
            for use in self.reader.uses(code.module)
        ]
        self.text = "\n".join(code.source for code in reading.at_night)
        self.fetches = bool(_FETCHERS.search(self.text)) or any(
            magic.sign == "!" and _FETCHING.search(magic.text) for _, magic in reading.magics()
        )
        self.told: set[str] = set()

    def findings(self) -> Iterator[NightFinding]:
        # What moves, and to where, is not followed: relative paths mean something else then.
        moves = [
            code.index
            for code in self.reading.at_night
            if any(sign in code.source for sign in ("%cd", "pushd", "chdir"))
        ]
        for code, use in self.uses:
            if use.path in self.told or (_URL.match(use.path) and not _WINDOWS.match(use.path)):
                continue
            # What stands in a function or a branch may be run later.
            moved = any(index <= code.index or not use.is_certain for index in moves)
            finding = self._finding(code, use, moved and use.way is not Way.FOLDER)
            if finding is not None:
                self.told.add(use.path)
                yield finding

    def _finding(self, code: CodeCell, use: PathUse, moved: bool) -> NightFinding | None:
        path = use.path
        if _WINDOWS.match(path):
            if os.name == "nt":
                return None
            text = f"`{quoted(path)}` is a path of Windows, which this machine does not know"
            severity = Severity.WILL_FAIL if self._must_exist(use) else Severity.MAY_SURPRISE
            return code.finding(ABSOLUTE, severity, use.line, f"{text}: name a file of the project")
        if path.startswith("~"):
            return self._personal(code, use, Path(os.path.expanduser(path)))  # noqa: PTH111 (of a text)
        if path.startswith("/"):
            return self._absolute(code, use, Path(path))
        return None if moved else self._relative(code, use)

    def _absolute(self, code: CodeCell, use: PathUse, path: Path) -> NightFinding | None:
        if str(path).startswith(_SYSTEM):
            return None
        root = self.root
        if root is not None and path.is_relative_to(root):
            relative = os.path.relpath(path, self.folder)
            text = (
                f"`{quoted(use.path)}` names this machine's folders, though it lies in the project: "
                f"write `{quoted(relative)}`, as seen from the notebook"
            )
            missing = self._missing(code, use, path)
            return missing or code.finding(
                ABSOLUTE, Severity.MAY_SURPRISE, use.line, text, _rewritten(code, use, relative)
            )
        if str(path).startswith(_PERSONAL):
            return self._personal(code, use, path)
        return self._missing(code, use, path)

    def _personal(self, code: CodeCell, use: PathUse, path: Path) -> NightFinding | None:
        missing = self._missing(code, use, path)
        if missing is not None:
            return missing
        text = (
            f"`{quoted(use.path)}` is a place of one user's on one machine, and no part of the project: "
            "a run as another user, or elsewhere, has it not"
        )
        return code.finding(OUTSIDE, Severity.MAY_SURPRISE, use.line, text)

    def _relative(self, code: CodeCell, use: PathUse) -> NightFinding | None:
        path = self.folder / use.path
        missing = self._missing(code, use, path)
        if missing is not None or self.root is None or use.way is Way.WRITE:
            return missing
        plain = Path(os.path.normpath(path))
        if plain.is_relative_to(self.root) or not plain.exists():
            return None
        if plain.resolve().is_relative_to(self.root.resolve()):
            return None  # one of the two leads through a link
        text = (
            f"`{quoted(use.path)}` leads out of the project {self.root.name}, so it is on this machine "
            "only: put it into the project"
        )
        return code.finding(OUTSIDE, Severity.MAY_SURPRISE, use.line, text)

    def _missing(self, code: CodeCell, use: PathUse, path: Path) -> NightFinding | None:
        if not self._must_exist(use):
            return None
        try:
            # What may not be looked at may be there.
            if path.exists() or not os.access(_nearest(path), os.X_OK):
                return None
        except (OSError, ValueError):
            return None
        if self._may_be_made(use):
            return None
        severity = Severity.WILL_FAIL if use.is_certain else Severity.MAY_SURPRISE
        what = "folder" if use.way is Way.FOLDER else "file"
        where = "" if use.path.startswith(("/", "~")) else ", as seen from the notebook's folder"
        text = (
            f"there is no {what} `{quoted(use.path)}`{where}: put it there, or name the right one"
        )
        return code.finding(MISSING, severity, use.line, text)

    def _must_exist(self, use: PathUse) -> bool:
        if _GLOB.search(use.path) or "{" in use.path:
            return False
        return use.way in (Way.READ, Way.FOLDER)

    def _may_be_made(self, use: PathUse) -> bool:
        """Whether the notebook, or another one of the project, seems to make the file."""
        name = PurePosixPath(use.path).name
        if self.fetches or not name or self.text.count(name) > 1:
            return True
        written = any(
            PurePosixPath(other.path).name == name
            for _, other in self.uses
            if other.way is Way.WRITE
        )
        if written:
            return True
        notebook = self.reading.notebook.path
        root = self.root
        return root is not None and is_mentioned(
            root, name, notebook.absolute() if notebook else None
        )


def _nearest(path: Path) -> Path:
    """The nearest folder above that exists."""
    return next((folder for folder in path.parents if folder.exists()), Path("/"))


def _rewritten(code: CodeCell, use: PathUse, relative: str) -> tuple[Fix, ...]:
    """The path written anew, where it stands as a plain text in one line."""
    literal = use.literal
    if literal is None or literal.end_lineno != literal.lineno or literal.end_col_offset is None:
        return ()
    line = code.lines[literal.lineno - 1]
    data = line.encode()
    written = data[literal.col_offset : literal.end_col_offset].decode("utf-8", "replace")
    try:
        # A margin that was taken away, or a magic's text, moves the columns.
        if ast.literal_eval(written) != use.path:
            return ()
    except (ValueError, SyntaxError):
        return ()
    new = (
        data[: literal.col_offset]
        + json.dumps(relative, ensure_ascii=False).encode()
        + data[literal.end_col_offset :]
    ).decode()
    edit = lines_edit(code.index, code.cell.id, literal.lineno, [line], [new])
    return (Fix("line", f"Write `{relative}`", {"edits": [edit]}),)
