"""Who is measured: how each executes a notebook, and the environment it lives in.

Each has the environment that a user of it would have. papermill and nbclient live apart from
dagbook because papermill imports every engine installed beside it, and would be charged for ours;
dagstermill lives apart because it holds jupyter-client and ipykernel back by two major versions.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements.lock"
DAGSTERMILL_ASSET = Path(__file__).with_name("dagstermill_asset.py")


@dataclass(frozen=True)
class Environment:
    """A virtual environment. Without `packages` it is the project's own."""

    name: str
    packages: tuple[str, ...] = ()
    not_from_lock: tuple[str, ...] = ()

    @property
    def bin(self) -> Path:
        """Where its commands lie."""
        return ROOT / self.name / "bin"

    def set_up(self) -> None:
        """Make it with the versions of requirements.lock, unless it is there."""
        if not self.packages or (self.bin / "ready").exists():
            return
        print(f"setting up {self.name} …", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", ROOT / self.name], check=True)
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
            constraints.write("\n".join(self._pins()))
            constraints.flush()
            pip = [self.bin / "python", "-m", "pip", "--disable-pip-version-check", "--quiet"]
            asked = ["install", "--constraint", constraints.name, *self.packages]
            subprocess.run([*pip, *asked], check=True)
        (self.bin / "ready").touch()

    def _pins(self) -> Iterable[str]:
        for line in LOCK.read_text(encoding="utf-8").splitlines():
            if "==" in line and line.split("==")[0] not in self.not_from_lock:
                yield line.rstrip(" \\")

    def versions(self, packages: Iterable[str]) -> dict[str, str]:
        """The installed versions of some packages."""
        code = "import sys, importlib.metadata as m; print(*map(m.version, sys.argv[1:]))"
        asked = [self.bin / "python", "-c", code, *packages]
        found = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.split()
        return dict(zip(packages, found, strict=True))


KERNEL_PACKAGES = ("ipykernel", "pandas", "scikit-learn")
OURS = Environment(".venv")
PAPERMILL = Environment(".venv-bench", ("papermill", "nbclient", *KERNEL_PACKAGES))
DAGSTERMILL = Environment(
    ".venv-dagstermill",
    ("dagstermill>=0.29", "dagster", *KERNEL_PACKAGES),
    not_from_lock=("jupyter-client", "ipykernel"),
)


@dataclass(frozen=True)
class Contestant:
    """One way to execute a notebook.

    `command` may hold {bin}, {notebook}, {script} and {out}, the folder for all that it makes;
    `executed` is where in that folder the executed notebook lies, if it makes one.
    """

    name: str
    title: str
    environment: Environment
    command: tuple[str, ...]
    executed: str | None
    packages: tuple[str, ...] = ()
    leaves_out: frozenset[str] = field(default_factory=frozenset)

    def command_for(self, notebook: Path, script: Path, out: Path) -> list[str]:
        """The command line that executes a subject."""
        places = {
            "bin": self.environment.bin,
            "notebook": notebook,
            "script": script,
            "out": out,
        }
        return [word.format(**places) for word in self.command]


CONTESTANTS = {
    contestant.name: contestant
    for contestant in (
        Contestant(
            "dagbook",
            "`dagbook run`",
            OURS,
            ("{bin}/dagbook", "run", "{notebook}", "--output", "{out}/out.ipynb"),
            "out.ipynb",
            ("papermill", "nbclient", "jupyter-client", "ipykernel"),
        ),
        Contestant(
            "papermill",
            "`papermill`",
            PAPERMILL,
            ("{bin}/papermill", "{notebook}", "{out}/out.ipynb"),
            "out.ipynb",
            ("papermill", "nbclient", "jupyter-client", "ipykernel"),
        ),
        Contestant(
            "nbclient",
            "`jupyter execute`",
            PAPERMILL,
            ("{bin}/jupyter", "execute", "{notebook}", "--output={out}/out.ipynb"),
            "out.ipynb",
            ("nbclient", "jupyter-client", "ipykernel"),
        ),
        Contestant(
            "dagstermill",
            "dagstermill's asset",
            DAGSTERMILL,
            ("{bin}/python", str(DAGSTERMILL_ASSET), "{notebook}", "{out}"),
            "subject.ipynb",
            ("dagstermill", "dagster", "papermill", "jupyter-client", "ipykernel"),
        ),
        Contestant(
            "script",
            "`python script.py`",
            OURS,
            ("{bin}/python", "{script}"),
            None,
            leaves_out=frozenset({"pictures", "tables"}),  # a script displays nothing
        ),
    )
}
