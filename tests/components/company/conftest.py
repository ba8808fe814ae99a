"""A company's package, built as a wheel and installed into a Python environment of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import dagbook

EXAMPLE = Path(__file__).parents[3] / "examples" / "company_components"

#: The component as it was in 1.0.0.
FIRST_RELEASE = '''\
"""The company's notebook."""

from typing import Annotated

import dagster as dg
from dagbook import NotebookRunnerComponent


class CompanyNotebook(NotebookRunnerComponent):
    """Runs a notebook for a cost center."""

    cost_center: Annotated[str, dg.Resolver.default(description="Who pays.", examples=["rd-042"])]
    notify: Annotated[str | None, dg.Resolver.default(description="Whom to tell.")] = None
'''

_DG = """\
import contextlib, io, json, shlex, sys
from importlib.metadata import entry_points
(script,) = entry_points(group="console_scripts", name="dg")
main, printed = script.load(), []
for command in json.loads(sys.argv[1]):
    sys.argv, out = ["dg", *shlex.split(command)], io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        main()
    printed.append(out.getvalue())
print(json.dumps(printed))
"""

_COMMANDS = """\
import contextlib, io, json, shlex, sys
from dagbook.cli import main
printed = []
for command in json.loads(sys.argv[1]):
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        status = main(shlex.split(command))
    printed.append(out.getvalue())
print(json.dumps(printed))
sys.exit(status)
"""


@dataclass
class Environment:
    """A Python environment that sees what this one has, and what is installed into it."""

    root: Path

    @property
    def packages(self) -> Path:
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        return self.root / "lib" / version / "site-packages"

    def install(self, wheel: Path) -> None:
        """Install or upgrade, as `pip install` of a wheel does."""
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pip", "--python", str(self.root / "bin" / "python")),
                *("--disable-pip-version-check", "install", "--quiet", "--no-index", "--no-deps"),
                str(wheel),
            ],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def python(self, *words: str, cwd: Path, status: int | None = 0) -> str:
        """What a command of this environment's Python prints."""
        done = subprocess.run(
            [str(self.root / "bin" / "python"), *words],
            cwd=cwd,
            env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1", "DAGSTER_DISABLE_TELEMETRY": "1"},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        assert status is None or done.returncode == status, done.stdout + done.stderr
        return done.stdout

    def dagbook(self, *commands: str, cwd: Path, status: int = 0) -> list[str]:
        """What each command prints, with the status of the last; in one process, for speed."""
        printed = self.python("-c", _COMMANDS, json.dumps(commands), cwd=cwd, status=status)
        found: list[str] = json.loads(printed)
        return found

    def dg(self, *commands: str, cwd: Path) -> list[str]:
        """What each command of `dg` prints; in one process, for speed."""
        found: list[str] = json.loads(self.python("-c", _DG, json.dumps(commands), cwd=cwd))
        return found


def build_wheel(source: Path, target: Path) -> Path:
    """Build a wheel without the network, with the backend that is installed."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"),
            *("--no-index", "--no-deps", "--no-build-isolation", "-w", str(target), str(source)),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = target.glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both releases of the company's package."""
    folder = tmp_path_factory.mktemp("wheels")
    first = folder / "first"
    shutil.copytree(EXAMPLE, first)
    settings = (first / "pyproject.toml").read_text()
    (first / "pyproject.toml").write_text(settings.replace('"2.0.0"', '"1.0.0"'))
    package = first / "src" / "company_components"
    (package / "notebook.py").write_text(FIRST_RELEASE)
    (package / "ledger.py").unlink()
    return {
        "1.0.0": build_wheel(first, folder / "1"),
        "2.0.0": build_wheel(EXAMPLE, folder / "2"),
    }


@pytest.fixture(scope="session")
def make_environment(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Environment]:
    def make(name: str) -> Environment:
        root = tmp_path_factory.mktemp(name) / "venv"
        venv.create(root, symlinks=True)
        environment = Environment(root)
        # What this environment sees, and itself: `--system-site-packages` would show neither in a
        # virtual environment.
        ours = [str(Path(dagbook.__file__).parents[1]), *map(str, _site_packages())]
        (environment.packages / "ours.pth").write_text("\n".join(ours) + "\n")
        return environment

    return make


def _site_packages() -> list[Path]:
    found = [Path(sysconfig.get_path("purelib"))]
    found += [Path(entry) for entry in sys.path if Path(entry).name == "site-packages"]
    return list(dict.fromkeys(found))
