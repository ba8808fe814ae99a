"""What a notebook tells its run: measurements, from any of its threads and processes.

Each report is one line appended to a file in the run's private folder, so nothing a notebook does
with its own output (`%%capture`, `clear_output()`) can swallow it.
"""

from __future__ import annotations

import json
import math
import operator
import os
import stat
import sys
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

#: Names the private folder the runner shares with the kernel, for one run.
RUN_FOLDER_VARIABLE = "DAGBOOK_RUN_DIR"
REPORTS_FILE_NAME = "reports.jsonl"
#: Says where in what a kernel was given its credentials stand; see `dagbook.masking.in_kernel`.
MASKED_VARIABLE = "DAGBOOK_MASKED"

#: The longest name MLflow takes.
LONGEST_NAME = 250
#: Outside a run the last reports are kept, and no more: a session in Lab may last for weeks.
MOST_RECORDED = 100_000
#: How much of a file `read_reports` takes in at once, in bytes.
MOST_READ = 16 * 1024 * 1024

_STEP_LIMIT = 2**63
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)


class MetricReport(NamedTuple):
    """One reported measurement. `timestamp` is Unix time in seconds."""

    name: str
    value: float
    step: int | None
    timestamp: float


def log_metric(name: str, value: Any, step: int | None = None) -> None:
    """Report one measurement of this run: ``dagbook.log_metric("loss", 0.1, step=3)``.

    It may be called from threads and child processes, as often as a training loop likes. NaN and
    infinity are kept. Outside a run, in Lab for example, nothing is stored.

    Args:
        name: what is measured, at most 250 characters.
        value: int, float, a numpy number, or an array or tensor without dimensions.
        step: where in a series of the same name this value stands, such as the epoch.

    Raises:
        DagbookError: the value is no number, or name or step cannot be used.
    """
    key = _names.get(name) if type(name) is str else None
    if key is None:
        key = _checked_name(name)
    number = value if type(value) is float else _number(name, value)
    position = step if step is None or type(step) is int else _step(name, step)
    if position is not None and not -_STEP_LIMIT <= position < _STEP_LIMIT:
        _refuse_step(name, step)
    now = time.time()
    folder = os.environ.get(RUN_FOLDER_VARIABLE)
    if folder:
        _append(folder, _line(key, number, position, now))
    else:
        _recorded.append(MetricReport(name, number, position, now))


def log_metrics(metrics: Mapping[str, Any], step: int | None = None) -> None:
    """Report several measurements at once: ``dagbook.log_metrics({"loss": 0.1, "acc": 0.9})``.

    Either all are reported or, when one of them is refused, none.

    Args:
        metrics: each name with its value, as `log_metric` takes them.
        step: where in their series these values stand, such as the epoch.

    Raises:
        DagbookError: a value is no number, or a name or the step cannot be used.
    """
    if not isinstance(metrics, Mapping):
        _refuse(f"log_metrics takes a dict of names and values, not {_kind(metrics)}")
    position = None if step is None else _step("", step)
    numbers = [(_checked_name(name), name, _number(name, v)) for name, v in metrics.items()]
    if not numbers:
        return
    now = time.time()
    folder = os.environ.get(RUN_FOLDER_VARIABLE)
    if folder:
        _append(folder, b"".join(_line(key, n, position, now) for key, _, n in numbers))
    else:
        _recorded.extend(MetricReport(name, n, position, now) for _, name, n in numbers)


def recorded() -> list[MetricReport]:
    """What this process reported outside a run, the last 100,000 of it."""
    return list(_recorded)


def read_reports(path: Path, offset: int = 0) -> tuple[list[MetricReport], int]:
    """Read the reports appended to a file since `offset`, a few megabytes at a time.

    Lines still being written are left for the next call; lines that are no report are skipped.

    Args:
        path: the file the notebook's processes append to; it need not exist yet.
        offset: where to go on, in bytes: what the last call returned.

    Returns:
        The reports, and the offset for the next call. An offset that did not move means that
        everything complete has been read.
    """
    data = _read_from(path, offset)
    end = data.rfind(b"\n") + 1
    if not end and len(data) == MOST_READ:
        # No line of ours is that long. Passing over it keeps one from stopping all others.
        end = len(data)
    reports = [_parsed(line) for line in data[:end].split(b"\n") if line]
    return [report for report in reports if report is not None], offset + end


# Name -> its JSON text. A training loop uses a handful of names a million times.
_names: dict[str, str] = {}
_MOST_NAMES = 1_000

_recorded: deque[MetricReport] = deque(maxlen=MOST_RECORDED)
_has_warned = False
_line_is_torn = False


def _line(key: str, value: float, step: int | None, now: float) -> bytes:
    position = "null" if step is None else step
    return f'{{"m": {key}, "v": "{value!r}", "s": {position}, "t": {now:.6f}}}\n'.encode("ascii")


def _append(folder: str, lines: bytes) -> None:
    # One write of whole lines to a file opened for appending: threads and processes cannot mix
    # their lines. The file is opened each time (3 microseconds): a descriptor kept open would be
    # wrong after a fork that closes all of them, and could by then belong to somebody else's file.
    global _line_is_torn
    try:
        descriptor = os.open(f"{folder}/{REPORTS_FILE_NAME}", _APPEND, 0o600)
        try:
            if _line_is_torn:
                lines = b"\n" + lines
            # A full disk takes a part: end that line before the next one.
            _line_is_torn = os.write(descriptor, lines) != len(lines)
        finally:
            os.close(descriptor)
    except OSError as error:
        _warn_once(error)
    else:
        if _line_is_torn:
            _warn_once(OSError(0, "the disk is full"))


def _warn_once(error: OSError) -> None:
    # Hours of training must not end because a measurement could not be stored, so this neither
    # raises nor uses `warnings`, which can be told to raise.
    global _has_warned
    if _has_warned:
        return
    _has_warned = True
    try:
        print(
            "dagbook: measurements of this run cannot be stored "
            f"({error.strerror or type(error).__name__}); the notebook goes on without them",
            file=sys.stderr,
        )
    except Exception:
        # Whatever stands in for stderr here may be closed.
        pass


def _checked_name(name: Any) -> str:
    if not isinstance(name, str):
        _refuse(f"the name of a metric must be text, not {_kind(name)}")
    known = _names.get(name)
    if known is not None:
        return known
    if not name.strip():
        _refuse("the name of a metric must not be empty")
    if len(name) > LONGEST_NAME:
        _refuse(
            f"the name of a metric has at most {LONGEST_NAME} characters, "
            f"`{name[:40]}…` has {len(name)}"
        )
    if not name.isprintable():
        _refuse(f"the name of a metric must be printable text, not {name!r}")
    if len(_names) >= _MOST_NAMES:
        _names.clear()
    text = _names[name] = json.dumps(_masked(str(name)))
    return text


def _masked(name: str) -> str:
    """A name without the values of the run's credentials, as far as this process knows them."""
    if MASKED_VARIABLE not in os.environ:
        return name
    # Not needed by a run without credentials.
    from dagbook.masking.in_kernel import masker_of

    return masker_of().name(name)[:LONGEST_NAME]


def _number(name: str, value: Any) -> float:
    kind = type(value)
    if isinstance(value, float):
        return float(value)
    dtype = str(getattr(value, "dtype", ""))
    if getattr(value, "ndim", 0) != 0:
        shape = "×".join(map(str, getattr(value, "shape", ())))
        _refuse(
            f"metric `{name}` must be one number, not {_kind(value)} of shape {shape}: report "
            "its mean, or each value with its step"
        )
    # Text and truth would pass through float(), and a graph of them would mean nothing.
    is_number = not isinstance(value, str | bytes | bytearray | bool | complex) and not any(
        word in dtype for word in ("bool", "complex", "datetime", "timedelta")
    )
    if is_number and (hasattr(kind, "__float__") or hasattr(kind, "__index__")):
        try:
            # A tensor that is part of a graph warns on its way to a float.
            return float(value.detach() if hasattr(kind, "detach") else value)
        except OverflowError:
            _refuse(f"metric `{name}` is too large for a float: {_kind(value)}")
        except (TypeError, ValueError):
            pass
    hint = ": report int(…) of it" if kind is bool or "bool" in dtype else ""
    _refuse(
        f"metric `{name}` must be a number (int, float, a numpy number, an array without "
        f"dimensions), not {_kind(value)}{hint}"
    )


def _step(name: str, step: Any) -> int:
    if isinstance(step, float) and step.is_integer():
        step = int(step)
    try:
        position = operator.index(step)
    except TypeError:
        _refuse_step(name, step)
    if isinstance(step, bool) or not -_STEP_LIMIT <= position < _STEP_LIMIT:
        _refuse_step(name, step)
    return position


def _refuse_step(name: str, step: Any) -> NoReturn:
    whose = f"the step of metric `{name}`" if name else "the step"
    shown = repr(step) if isinstance(step, int | float) else _kind(step)
    _refuse(f"{whose} must be a whole number of 64 bits, not {shown}")


def _kind(value: Any) -> str:
    kind = type(value)
    text = kind.__qualname__
    if kind.__module__ not in ("builtins", "__main__"):
        text = f"{kind.__module__.split('.')[0]}.{text}"
    return "None" if value is None else text


def _refuse(text: str) -> NoReturn:
    # Loaded here because it brings a text comparison along that a report does not need.
    from dagbook.errors import DagbookError

    raise DagbookError(text) from None


def _read_from(path: Path, offset: int) -> bytes:
    # The notebook's processes own this file: what stands in its place may be a link or a pipe.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
    except OSError:
        return b""
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return b""
        return os.pread(descriptor, MOST_READ, offset)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def _parsed(line: bytes) -> MetricReport | None:
    try:
        record = json.loads(line)
        name, value, step, timestamp = record["m"], record["v"], record["s"], record["t"]
        if not (isinstance(name, str) and isinstance(value, str)):
            return None
        if not 0 < len(name) <= LONGEST_NAME or type(step) not in (int, type(None)):
            return None
        if type(timestamp) not in (int, float) or not math.isfinite(timestamp):
            return None
        return MetricReport(name, float(value), step, float(timestamp))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
