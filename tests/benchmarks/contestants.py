"""Who is measured: how each executes a notebook, and the environment it lives in.

All have the same packages in the same versions, as far as they allow it. papermill and nbclient
live apart from dagbook because papermill imports every engine installed beside it, and would be
charged for ours. dagstermill, which holds jupyter-client and ipykernel back a major version, lives
in the environment that `make` tests our engine of that name in: there our engine costs it a
hundredth of a run.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements.lock"
DAGSTERMILL_ASSET = Path(__file__).with_name("dagstermill_asset.py")


@dataclass(frozen=True)
class Environment:
    """A virtual environment in `folder`.

    It holds all of requirements.lock; without `whole_lock` it is one that is there already.
    """

    folder: Path
    whole_lock: bool = False

    @property
    def bin(self) -> Path:
        """Where its commands lie."""
        return self.folder / "bin"

    def set_up(self) -> None:
        """Make it, unless it is there."""
        ready = self.bin / "ready"
        if ready.exists() or not self.whole_lock:
            return
        print(f"setting up {self.folder.name} …", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", self.folder], check=True)
        pip = [self.bin / "python", "-m", "pip", "--disable-pip-version-check", "--quiet"]
        exactly = ["--require-hashes", "--no-deps", "--only-binary", ":all:"]
        subprocess.run([*pip, "install", *exactly, "--requirement", LOCK], check=True)
        ready.touch()

    def versions(self, packages: Iterable[str]) -> dict[str, str]:
        """The installed versions of some packages."""
        code = "import sys, importlib.metadata as m; print(*map(m.version, sys.argv[1:]))"
        asked = [self.bin / "python", "-c", code, *packages]
        found = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.split()
        return dict(zip(packages, found, strict=True))


HERE = Environment(Path(sys.prefix))
OURS = Environment(ROOT / ".venv")
WITHOUT_US = Environment(ROOT / ".venv-bench", whole_lock=True)
DAGSTERMILL = Environment(ROOT / ".venv-dagstermill")


@dataclass(frozen=True)
class Contestant:
    """One way to execute a notebook.

    `command` may hold {bin}, {notebook}, {script} and {out}, the folder for all that it makes;
    `executed` is where in that folder the executed notebook lies, if it makes one. `parameter`
    is how it is given one, of {name} and {value}.
    """

    name: str
    title: str
    environment: Environment
    command: tuple[str, ...]
    executed: str | None
    packages: tuple[str, ...] = ()
    leaves_out: frozenset[str] = field(default_factory=frozenset)
    parameter: tuple[str, ...] = ()

    def command_for(
        self,
        notebook: Path,
        script: Path,
        out: Path,
        parameters: Iterable[tuple[str, str]] = (),
    ) -> list[str]:
        """The command line that executes a subject."""
        places = {
            "bin": self.environment.bin,
            "notebook": notebook,
            "script": script,
            "out": out,
        }
        given = [
            word.format(name=name, value=value)
            for name, value in parameters
            for word in self.parameter
        ]
        return [word.format(**places) for word in self.command] + given


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
            parameter=("-p", "{name}={value}"),
        ),
        Contestant(
            "papermill",
            "`papermill`",
            WITHOUT_US,
            ("{bin}/papermill", "{notebook}", "{out}/out.ipynb"),
            "out.ipynb",
            ("papermill", "nbclient", "jupyter-client", "ipykernel"),
            parameter=("-p", "{name}", "{value}"),
        ),
        Contestant(
            "nbclient",
            "`jupyter execute`",
            WITHOUT_US,
            ("{bin}/jupyter", "execute", "{notebook}", "--output={out}/out.ipynb"),
            "out.ipynb",
            ("nbclient", "jupyter-client", "ipykernel"),
            leaves_out=frozenset({"parameters"}),  # it has no way to give any
        ),
        Contestant(
            "dagstermill",
            "dagstermill's asset",
            DAGSTERMILL,
            ("{bin}/python", str(DAGSTERMILL_ASSET), "{notebook}", "{out}"),
            "subject.ipynb",
            ("dagstermill", "dagster", "papermill", "jupyter-client", "ipykernel"),
            leaves_out=frozenset({"parameters"}),  # it gives them in another way
        ),
        Contestant(
            "script",
            "`python script.py`",
            OURS,
            ("{bin}/python", "{script}"),
            None,
            leaves_out=frozenset({"parameters", "pictures", "tables"}),  # a script displays nothing
        ),
    )
}
