"""Asks a kernel's interpreter which of some names it can import, without starting the kernel."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Collection
from pathlib import Path

from dagbook.execution.environment import kernel_environment
from dagbook.execution.kernelspec import KernelSpec

#: Longer than this nobody waits for an answer; nothing is then said of imports.
ASK_SECONDS = 5.0

# Looking for a top-level name imports nothing. Its own folder is not searched: what lies where
# we happen to be started is not installed.
# So also not for what this code itself imports.
_CODE = """
import sys
sys.path = [folder for folder in sys.path if folder]
import importlib.util, json
found = []
for name in json.loads(sys.argv[1]):
    try:
        known = name in sys.modules or importlib.util.find_spec(name) is not None
    except Exception:
        known = True
    if known:
        found.append(name)
print("\\n" + json.dumps(found))
"""
_PYTHON = re.compile(r"(?:python|pypy)[\d.]*t?(?:\.exe)?")

# What was found stays installed as long as we live, or nearly; what was not is asked for again.
_known: dict[tuple[str, ...], set[str]] = {}
_lock = threading.Lock()


def importable_names(
    spec: KernelSpec, names: Collection[str], *, seconds: float = ASK_SECONDS
) -> frozenset[str] | None:
    """Which top-level names a kernel's interpreter finds, among those asked for.

    Args:
        spec: a kernel for Python.
        names: of modules, without dots.
        seconds: how long its answer may take.

    Returns:
        The names it can import; None where it cannot be asked, or does not answer in time.
    """
    command = interpreter_of(spec)
    if command is None:
        return None
    with _lock:
        known = frozenset(_known.get(command, ()))
    asked = sorted(name for name in set(names) - known if name.isidentifier())
    if not asked:
        return known
    found = _ask(command, asked, spec, seconds)
    if found is None:
        return None
    with _lock:
        _known.setdefault(command, set()).update(found)
    return known | found


def interpreter_of(spec: KernelSpec) -> tuple[str, ...] | None:
    """The command that starts a kernel's interpreter, as far as its options; None if not plain."""
    for number, word in enumerate(spec.argv):
        if word.startswith("{"):
            return None
        if _PYTHON.fullmatch(Path(word).name):
            # As Jupyter does: a kernel.json that says "python" means the interpreter that has it.
            major, minor = sys.version_info[:2]
            means_ours = word in ("python", f"python{major}", f"python{major}.{minor}")
            return (sys.executable,) if means_ours and not number else spec.argv[: number + 1]
    return None


def _ask(
    command: tuple[str, ...], names: list[str], spec: KernelSpec, seconds: float
) -> frozenset[str] | None:
    environment = kernel_environment(os.environ, kernelspec=spec.env, extra={}, project_root=None)
    try:
        done = subprocess.run(
            [*command, "-c", _CODE, json.dumps(names)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=seconds,
            check=True,
        )
        # Whatever its start-up files print stands above.
        found = json.loads(done.stdout.decode().splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None
    return frozenset(name for name in found if isinstance(name, str)) & frozenset(names)
