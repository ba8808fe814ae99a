"""Runs dagbook as an ordinary user of this machine, as whom it can read no more than others may."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree, which

from jupyter_core.paths import jupyter_path

#: Numbers that belong to nobody but these tests.
ONE, ANOTHER = 65534, 65533
_ROOT = str(Path(__file__).parents[1])


@functools.cache
def plain_python() -> str | None:
    """A Python of this version that everybody may run; the tests' own may lie in root's home."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, which(version, path="/usr/local/bin:/usr/bin")):
        if python is not None and _works(python):
            return python
    return None


def as_user(uid: int) -> list[str]:
    """What a command is put behind to be run as that user, without any right of root's."""
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--no-new-privs"]


def environment(**more: str) -> dict[str, str]:
    """An environment in which that Python finds what the tests import, and their kernels."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": os.pathsep.join(
            [_ROOT, *(path for path in sys.path if path.startswith("/"))]
        ),
        "JUPYTER_PATH": os.pathsep.join(jupyter_path()),
        "PYTHONDONTWRITEBYTECODE": "1",
        **more,
    }


@contextmanager
def folder_of(uid: int) -> Iterator[Path]:
    """A folder that user owns and can reach; pytest's own are root's."""
    folder = Path(tempfile.mkdtemp(prefix="dagbook-test-", dir="/tmp"))
    try:
        os.chown(folder, uid, uid)
        yield folder
    finally:
        rmtree(folder)


def run_as(uid: int, code: str, *arguments: str, folder: Path, **more: str) -> str:
    """Run some Python in a folder as that user; returns what it prints."""
    python = plain_python()
    assert python is not None
    done = subprocess.run(
        [*as_user(uid), python, "-c", code, *arguments],
        cwd=folder,
        env=environment(HOME=str(folder), **more),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _works(python: str) -> bool:
    # It has to start others as itself: who was root a moment ago may still read root's folders.
    code = "import subprocess, sys, zmq, ipykernel, dagbook; sys.exit(subprocess.call([sys.executable, '-c', 'import zmq']))"
    try:
        done = subprocess.run(
            [*as_user(ONE), python, "-c", code], capture_output=True, cwd="/", env=environment()
        )
    except OSError:
        return False
    return done.returncode == 0
