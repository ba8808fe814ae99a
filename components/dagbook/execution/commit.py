"""Which git commit a run's files belong to, and which of them differ from it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagbook.execution.environment import allowed

# Hooks, fsmonitor programs and index updates are nobody's business here.
_COMMAND = (
    "git", "--no-optional-locks", "--literal-pathspecs", "-c", "core.fsmonitor=false",
    "status", "--porcelain=v2", "--branch", "--no-ahead-behind", "-z",
    "--untracked-files=all", "--ignored=matching", "--no-renames", "--ignore-submodules=all",
    "--",
)  # fmt: skip
# How many words stand before the path of an entry, by its kind.
_WORDS_BEFORE = {"1": 8, "u": 10, "?": 1, "!": 1}


@dataclass(frozen=True)
class Commit:
    """A commit, and the run's files that are not as they are in it: changed, new, or ignored."""

    id: str
    differing: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"commit": self.id, "differing": list(self.differing)}


class CommitQuestion:
    """A question to git, answered in a process of its own while the kernel starts."""

    def __init__(self, folder: Path, files: Iterable[Path]) -> None:
        """Ask.

        Args:
            folder: the notebook's; the repository is the one it lies in.
            files: those that decide how the notebook runs.
        """
        self._process: subprocess.Popen[bytes] | None = None
        self._files: list[str] = []
        self._outside: list[str] = []
        top = _repository(folder.resolve())
        if top is None:
            return
        for file in sorted({file.resolve() for file in files}):
            if file.is_relative_to(top):
                self._files.append(file.relative_to(top).as_posix())
            else:
                self._outside.append(str(file))
        # A variable of git's, in a hook say, would lead it to another repository. And anybody of
        # our user may read the environment of git's process: it has no more than a kernel.
        environment = {name: value for name, value in os.environ.items() if allowed(name, value)}
        try:
            self._process = subprocess.Popen(
                [*_COMMAND, *self._files],
                cwd=top,
                env={**environment, "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError:
            pass  # no git here

    @property
    def is_open(self) -> bool:
        """Whether the answer is still to come."""
        return self._process is not None

    def wait(self, seconds: float) -> Commit | None:
        """The answer, if it comes within `seconds`; None without a repository or a commit."""
        if self._process is None:
            return None
        try:
            said, _ = self._process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            return None
        code, self._process = self._process.returncode, None
        return self._read(said.decode("utf-8", "replace")) if code == 0 else None

    def close(self) -> None:
        """Ask no longer. Safe to call twice."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _read(self, said: str) -> Commit | None:
        commit = ""
        changed: list[str] = []
        for entry in said.split("\0"):
            if entry.startswith("# branch.oid "):
                commit = entry.split(" ")[2]
            elif (words := _WORDS_BEFORE.get(entry[:1])) is not None:
                changed.append(entry.split(" ", words)[-1])
        if not commit or commit.startswith("("):
            return None  # "(initial)": a repository without a commit
        differing = [file for file in self._files if any(_covers(path, file) for path in changed)]
        return Commit(commit, (*differing, *self._outside))


def _covers(path: str, file: str) -> bool:
    # An ignored folder stands for everything in it.
    return path == file or (path.endswith("/") and file.startswith(path))


def _repository(folder: Path) -> Path | None:
    return next((f for f in (folder, *folder.parents) if (f / ".git").exists()), None)
