"""What is different from the last run that succeeded: the first thing to look at after a failure."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dagbook.execution.result import ExecutionResult

# What is read of a stored notebook, from its end, where its account stands: a notebook with
# 50 MB of outputs costs no more than a small one.
TAIL_BYTES = 4_000_000
#: Good runs of other notebooks that are passed over before the search is given up.
MAX_CANDIDATES = 10
#: Partitions that are looked into, those written to last first.
MAX_FOLDERS = 50
#: Of each kind of difference, how many are told one by one.
MAX_TOLD = 10
MAX_MATCHED_CELLS = 1_000
VALUE_LENGTH = 60

# At this indentation the notebook's own metadata stands, and no cell's: newlines in texts are
# escaped in JSON.
_ACCOUNT = b'\n  "dagbook": {'
GOOD_NAME = re.compile(r"(\d{8}T\d{6}Z)(?:\.(\d+))?.*-succeeded\.ipynb")


@dataclass(frozen=True)
class Comparison:
    """The last good run of the same notebook, and what is different from it, line by line."""

    notebook: Path
    started_at: float
    differences: list[str] = field(default_factory=list)

    @property
    def moment(self) -> str:
        """When that run began, for people."""
        return datetime.fromtimestamp(self.started_at, UTC).strftime("%Y-%m-%d %H:%M UTC")

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "executed_notebook": str(self.notebook),
            "started_at": self.started_at,
            "differences": self.differences,
        }


def compare_with_last_good(
    result: ExecutionResult, *, output: Path | None, folder: Path
) -> Comparison | None:
    """Compare a run with the last good one of its notebook; None when there is none.

    Args:
        result: with its provenance.
        output: the one file such runs are stored in, before it is replaced; or None.
        folder: else, where good runs lie: in it and in the folders directly below.
    """
    for path in [output] if output is not None else _good_runs(folder):
        account = read_account(path)
        if account is None or account.get("status") != "succeeded":
            continue
        if not _is_same_notebook(account.get("notebook"), result.notebook):
            continue
        try:
            return Comparison(path, float(account["started_at"]), _differences(account, result))
        except (KeyError, TypeError, ValueError, AttributeError, IndexError):
            continue  # somebody else's, or of a version that wrote it in another way
    return None


def _good_runs(folder: Path) -> Iterator[Path]:
    """The newest good runs first."""
    found: list[tuple[str, int, Path]] = []
    folders = [folder]
    try:
        with os.scandir(folder) as entries:
            below = [
                (entry.stat().st_mtime, entry.path)
                for entry in entries
                if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
            ]
        folders += [Path(path) for _, path in sorted(below, reverse=True)[:MAX_FOLDERS]]
        for place in folders:
            with os.scandir(place) as entries:
                # The second and third run of a second have a number.
                found += [
                    (name[1], int(name[2] or 1), Path(entry.path))
                    for entry in entries
                    if (name := GOOD_NAME.fullmatch(entry.name))
                ]
    except OSError:
        pass  # what was found until then is enough
    for _, _, path in sorted(found, reverse=True)[:MAX_CANDIDATES]:
        yield path


def read_account(path: Path) -> Mapping[str, Any] | None:
    """What a stored notebook says of its own run; None for a file that is none of ours."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            tail = file.read(TAIL_BYTES)
        start = tail.rindex(_ACCOUNT) + len(_ACCOUNT) - 1
        account, _ = json.JSONDecoder().raw_decode(tail[start:].decode("utf-8", "replace"))
    except (OSError, ValueError, RecursionError):
        return None
    return account if isinstance(account, dict) else None


def _is_same_notebook(then: Any, now: Path | None) -> bool:
    if not isinstance(then, str) or now is None:
        return then is None and now is None
    if Path(then) == now or _absolute(Path(then)) == _absolute(now):
        return True
    # A project that was moved, or is checked out anew for each run.
    return Path(then).name == now.name and not Path(then).exists()


def _absolute(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 (takes `..` out as well)


def _differences(then: Mapping[str, Any], now: ExecutionResult) -> list[str]:
    before = then.get("provenance") or {}
    after = {} if now.provenance is None else now.provenance.to_json()
    told = [
        *_parameters(then.get("parameters") or {}, now.to_json()["parameters"]),
        *_cells(before.get("cells") or [], after.get("cells") or []),
        *_files(before.get("files") or [], after.get("files") or []),
        *_packages(before.get("packages"), after.get("packages")),
        *_interpreter(before.get("interpreter") or {}, after.get("interpreter") or {}),
        *_changed("dagbook", before.get("dagbook"), after.get("dagbook")),
        *_commit(before.get("git"), after.get("git")),
        *_changed("size", then.get("size") or "none", now.size or "none"),
    ]
    return [" ".join(line.split()) for line in told]


def _parameters(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    names = [*now, *(name for name in then if name not in now)]
    return _capped(
        "parameters",
        [
            f"parameter {name}: {_value(then, name)} → {_value(now, name)}"
            for name in names
            if _value(then, name) != _value(now, name)
        ],
    )


def _value(values: Mapping[str, Any], name: str) -> str:
    if name not in values:
        return "the notebook's own"
    text = json.dumps(values[name], ensure_ascii=False)
    return text if len(text) <= VALUE_LENGTH else text[: VALUE_LENGTH - 1] + "…"


def _cells(then: Sequence[Any], now: Sequence[Any]) -> list[str]:
    old, new = [c[1] for c in then], [c[1] for c in now]
    if old == new or not then:
        return []
    if max(len(old), len(new)) > MAX_MATCHED_CELLS:
        return ["the notebook's cells changed"]
    told: list[str] = []
    for kind, i, i_end, j, j_end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        pairs = min(i_end - i, j_end - j)
        told += [f"cell {c[0]} changed{_line(c)}" for c in now[j : j + pairs]]
        told += [f"cell {c[0]} is new{_line(c)}" for c in now[j + pairs : j_end]]
        told += [f"cell {c[0]} of then is gone{_line(c)}" for c in then[i + pairs : i_end]]
    return _capped("cells", told)


def _line(cell: Sequence[Any]) -> str:
    return f": {cell[2]}" if cell[2] else ""


def _files(then: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> list[str]:
    # The notebook's own file changes with every output; its cells say what matters.
    old = {f["path"]: f["sha256"] for f in then if f["role"] != "notebook"}
    new = {f["path"]: f["sha256"] for f in now if f["role"] != "notebook"}
    told = []
    for path in sorted({*old, *new}):
        if path not in old:
            told.append(f"file {path} is new")
        elif path not in new:
            told.append(f"file {path} is no longer used")
        elif old[path] != new[path]:
            told.append(f"file {path} changed")
    return _capped("files", told)


def _packages(then: Mapping[str, str] | None, now: Mapping[str, str] | None) -> list[str]:
    if then is None or now is None:
        return []
    told = []
    for name in sorted({*then, *now}):
        if name not in then:
            told.append(f"package {name}: new, {now[name]}")
        elif name not in now:
            told.append(f"package {name}: {then[name]} → gone")
        elif then[name] != now[name]:
            told.append(f"package {name}: {then[name]} → {now[name]}")
    return _capped("packages", told)


def _interpreter(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    if not then or not now:
        return []
    language = now.get("language") or "language"
    return [
        *_changed("kernel", then.get("kernel"), now.get("kernel")),
        *_changed(language, then.get("version"), now.get("version")),
        *_changed("interpreter", then.get("path"), now.get("path")),
    ]


def _commit(then: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> list[str]:
    return _changed("commit", _commit_label(then), _commit_label(now))


def _commit_label(git: Mapping[str, Any] | None) -> str:
    if git is None:
        return "none"
    return str(git["commit"])[:12] + (" with changes" if git["differing"] else "")


def _changed(what: str, then: Any, now: Any) -> list[str]:
    return [] if then == now or then is None or now is None else [f"{what}: {then} → {now}"]


def _capped(what: str, told: list[str]) -> list[str]:
    if len(told) <= MAX_TOLD:
        return told
    return [*told[:MAX_TOLD], f"… and {len(told) - MAX_TOLD} more {what}"]
