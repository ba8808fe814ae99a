"""Finds out where a run's result comes from, beside the run."""

from __future__ import annotations

import hashlib
import os
import pwd
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagbook.execution.commit import CommitQuestion
from dagbook.execution.interpreter import ask_kernel, describe_kernel, packages_hash
from dagbook.execution.provenance import Origin, Provenance
from dagbook.local_modules import local_modules
from dagbook.notebook import Notebook, code_version

if TYPE_CHECKING:
    from dagbook.execution.messages import Conversation
    from dagbook.execution.plan import Plan

#: How long the end of a run waits for git, which has had the whole run for its answer.
COMMIT_SECONDS = 1.0
#: More cells than this are not told apart afterwards.
MAX_CELLS = 5_000
LINE_LENGTH = 80


class Tracing:
    """Finds a run's provenance beside the run: nothing waits for it while cells are to run."""

    def __init__(self, plan: Plan) -> None:
        """Hash the files and ask git, while the kernel starts."""
        notebook = plan.notebook
        roots = [root for root in (plan.working_folder, plan.project_root) if root is not None]
        modules = local_modules(notebook, roots)
        component = plan.origin.component_file
        root = plan.project_root or plan.working_folder
        files: list[dict[str, str | None]] = []
        if notebook.path is not None:
            path = _name(notebook.path, root)
            # Of what was read: the file may have been saved again since.
            files.append({"role": "notebook", "path": path, "sha256": notebook.file_hash})
        for role, paths in (("component", [component] if component else []), ("module", modules)):
            files += [
                {"role": role, "path": _name(path, root), "sha256": file_hash(path)}
                for path in paths
            ]
        sources = [*([component] if component else []), *modules]
        self.provenance = Provenance(
            files=files,
            code_version=code_version(notebook, *sources),
            cells=outline(notebook),
            identity=_identity(plan.origin),
            limits=_limits(plan),
        )
        paths = sources if notebook.path is None else [notebook.path, *sources]
        self._commit = CommitQuestion(plan.working_folder, paths)
        self._has_news = False

    def ask(
        self,
        plan: Plan,
        info: Mapping[str, Any],
        conversation: Conversation,
        tick: Callable[[], None],
    ) -> None:
        """Ask the kernel, which has just come up.

        Args:
            info: the content of its ``kernel_info`` reply.
            tick: called while waiting.
        """
        known, packages = ask_kernel(conversation, describe_kernel(plan.kernelspec, info), tick)
        found = self.provenance
        found.interpreter = known.to_json()
        found.packages = packages
        found.packages_hash = None if packages is None else packages_hash(packages)
        self._has_news = True

    def news(self) -> Provenance | None:
        """What is known by now, if that is more than at the last call. Does not wait."""
        self._take_commit(0.0)
        if not self._has_news:
            return None
        self._has_news = False
        return self.provenance

    def complete(self) -> Provenance:
        """All there is to know, at the end of the run."""
        self._take_commit(COMMIT_SECONDS)
        self._commit.close()
        return self.provenance

    def close(self) -> None:
        """Ask no longer, for a run that ends without a result. Safe to call twice."""
        self._commit.close()

    def _take_commit(self, seconds: float) -> None:
        if self._commit.is_open and (commit := self._commit.wait(seconds)) is not None:
            self.provenance.git = commit.to_json()
            self._has_news = True


def outline(notebook: Notebook) -> list[list[Any]]:
    """Number, hash and first line of each code cell: what a later run is compared with."""
    found: list[list[Any]] = []
    for cell in notebook.cells[:MAX_CELLS]:
        if cell.cell_type != "code":
            continue
        text = f"{cell.role or ''}\n{cell.source}".encode("utf-8", "surrogatepass")
        line = next((line for line in cell.source.splitlines() if line.strip()), "").strip()
        found.append([cell.number, hashlib.sha256(text).hexdigest()[:16], line[:LINE_LENGTH]])
    return found


def _name(path: Path, root: Path) -> str:
    for candidate, top in ((path.absolute(), root), (path.resolve(), root.resolve())):
        if candidate.is_relative_to(top):
            return candidate.relative_to(top).as_posix()
    return str(path)


def file_hash(path: Path) -> str | None:
    """SHA-256 of a file, in hexadecimal; None when it is gone."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None  # it was there a moment ago


def _identity(origin: Origin) -> dict[str, str]:
    uid = os.geteuid()
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = str(uid)  # as in a container that was given a number only
    told = {name: value for name, value in origin.identity.items() if value}
    return {**told, "user": user, "uid": str(uid), "host": os.uname().nodename}


def _limits(plan: Plan) -> dict[str, Any]:
    size = plan.size
    return {
        "size": None if size is None else size.name,
        "memory_bytes": None if size is None else size.memory_bytes,
        "cpus": None if size is None else size.cpus,
        "gpus": None if size is None else size.gpus,
        "run_seconds": plan.run_seconds,
        "cell_seconds": plan.cell_seconds,
    }
