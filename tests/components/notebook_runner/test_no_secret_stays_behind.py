"""The proof: a notebook does everything wrong with a secret, and nothing of it stays anywhere."""

from __future__ import annotations

import base64
import html
import importlib.util
import json
import os
import secrets
import shlex
import sqlite3
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

from dagbook.credentials.delivery import Delivery, SecretFile
from dagbook.execution import run_notebook

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Workbench

    MakeBench = Callable[[Path], Workbench]

pytestmark = pytest.mark.early

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "everything_wrong_with_a_secret.ipynb"
ENDINGS = ("well", "error", "exit", "kill")
#: The author's own MLflow calls pass through the runner where it records them.
RECORDS_CALLS = importlib.util.find_spec("dagbook.recorder") is not None

PLATFORM = """
connections:
  proof_password: {provider: environment, key: KEPT_PASSWORD, variables: PROOF_PASSWORD}
  proof_key: {provider: environment, key: KEPT_KEY, files: {PROOF_KEY_FILE: key.pem}}
resources:
  password: {connections: [proof_password]}
  key: {connections: [proof_key]}
"""
DEFINITIONS = """
from pathlib import Path
from dagbook.location import load_project
from dagbook.project import find_project

defs = load_project(find_project(Path(__file__).parent / "work"))
"""
COMPONENT = """
notebook: proof.ipynb
parameters: {{ending: {ending}}}
resources: {{password: proof_password, key: proof_key}}
"""


def forms(value: str) -> Iterator[bytes]:
    """Everything a value may be found as, made without the code that masks it."""
    data = value.encode()
    yield data
    for shift in range(3):
        # What depends on the value alone, wherever it begins.
        first, last = -(-shift * 8 // 6), (shift + len(data)) * 8 // 6
        yield base64.b64encode(b"\0" * shift + data)[first:last]
        yield base64.urlsafe_b64encode(b"\0" * shift + data)[first:last]
    texts = [
        data.hex(),
        data.hex().upper(),
        data.hex(":"),
        data.hex(" ").upper(),
        urllib.parse.quote(value),
        urllib.parse.quote(value, safe=""),
        urllib.parse.quote_plus(value),
        "".join(f"%{byte:02x}" for byte in data),
        "".join(f"%{byte:02X}" for byte in data),
        html.escape(value),
        html.escape(value, quote=False),
        "".join(f"&#{ord(letter)};" for letter in value),
        "".join(f"&#x{ord(letter):x};" for letter in value),
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        json.dumps(json.dumps(value))[3:-3],
        json.dumps(value).replace("/", "\\/")[1:-1],
        "".join(f"\\u{ord(letter):04x}" for letter in value),
        "".join(f"\\x{byte:02x}" for byte in data),
        repr(value)[1:-1],
        repr(data)[2:-1],
        shlex.quote(value)[1:-1],
        html.escape(json.dumps(value)[1:-1]),
    ]
    yield from (text.encode() for text in texts)
    if value.isascii():
        yield value.encode("utf-16-le")
    for line in value.splitlines() if "\n" in value else ():
        if not line.startswith("-----"):
            yield line.encode()


@dataclass
class Secret:
    """What must not be found, and where it was."""

    password: str
    key: str

    def found_in(self, data: bytes) -> list[str]:
        """The forms that are in some bytes, told without what they are."""
        return [
            f"{name} as form {number}"
            for name, value in (("password", self.password), ("key", self.key))
            for number, form in enumerate(forms(value))
            if form in data
        ]


@pytest.fixture(scope="module")
def secret() -> Secret:
    lines = "\n".join(secrets.token_urlsafe(48) for _ in range(6))
    return Secret(
        # With what JSON, HTML, a URL, a shell and Python write otherwise, and what looks so.
        password=f"pa$$ \"w0rd'<%41\\n>&+/é{secrets.token_urlsafe(9)}",
        key=f"-----BEGIN PRIVATE KEY-----\n{lines}\n-----END PRIVATE KEY-----\n",
    )


@contextmanager
def command_lines() -> Iterator[set[bytes]]:
    """What stands on the command lines of the machine's processes meanwhile."""
    seen: set[bytes] = set()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.02):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(path.read_bytes())
                except OSError:
                    pass

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


@dataclass
class Launched:
    """A launch with each ending, and what it left."""

    root: Path
    said: bytes
    commands: set[bytes]

    def notebook(self, ending: str) -> nbformat.NotebookNode:
        (path,) = (self.root / "work" / "runs" / ending).glob("*.ipynb")
        return nbformat.read(path, as_version=4)


@pytest.fixture(scope="module")
def launched(
    secret: Secret, tmp_path_factory: pytest.TempPathFactory, make_bench: MakeBench
) -> Launched:
    """Dagster's own command, in a process of its own, with a database and logs on disk."""
    root = tmp_path_factory.mktemp("proof")
    bench = make_bench(root / "work")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    if not RECORDS_CALLS:
        notebook.cells = [c for c in notebook.cells if "mlflow" not in c.metadata.get("tags", [])]
    nbformat.write(notebook, bench.root / "proof.ipynb")
    for ending in ENDINGS:
        bench.component(ending, COMPONENT.format(ending=ending))
    bench.platform(PLATFORM)
    (root / "definitions.py").write_text(DEFINITIONS)
    home = root / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(home),
        "TMPDIR": str(tmp_path_factory.mktemp("t")),
        "MLFLOW_TRACKING_URI": f"sqlite:///{root / 'mlflow.db'}",
        "KEPT_PASSWORD": secret.password,
        "KEPT_KEY": secret.key,
    }
    with command_lines() as commands:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "dagster", "asset", "materialize"),
                *("-f", str(root / "definitions.py"), "--select", "*"),
            ],
            cwd=root,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=300,
        )
    for database in root.rglob("*.db"):
        with sqlite3.connect(database) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return Launched(root, done.stdout, commands)


def test_the_runs_were_given_the_secret_and_ended_as_they_should(
    launched: Launched, secret: Secret
) -> None:
    ended = {
        ending: sorted(path.stem.rpartition("-")[2] for path in folder.glob("*.ipynb"))
        for ending in ENDINGS
        for folder in [launched.root / "work" / "runs" / ending]
    }

    assert ended == {
        "well": ["succeeded"],
        "error": ["failed"],
        "exit": ["failed"],
        "kill": ["killed"],
    }
    assert any(secret.found_in(form) for form in forms(secret.password))  # the search finds


def test_nothing_of_it_is_in_any_file(launched: Launched, secret: Secret) -> None:
    files = [path for path in launched.root.rglob("*") if path.is_file()]
    found = {str(path): told for path in files if (told := secret.found_in(path.read_bytes()))}

    assert found == {}
    kinds = {path.suffix for path in files}
    assert {".ipynb", ".html", ".db", ".out", ".err"} <= kinds


def test_nothing_of_it_is_in_a_file_s_name(launched: Launched, secret: Secret) -> None:
    names = "\n".join(str(path) for path in launched.root.rglob("*"))

    assert secret.found_in(names.encode()) == []


def test_nothing_of_it_is_in_what_dagster_printed(launched: Launched, secret: Secret) -> None:
    assert secret.found_in(launched.said) == []
    assert b"***proof_password***" in launched.said


def test_nothing_of_it_was_on_a_command_line(launched: Launched, secret: Secret) -> None:
    ours = b"\n".join(launched.commands)

    assert b"ipykernel" in ours
    assert secret.found_in(ours) == []


def test_what_is_shown_says_which_connection_it_was(launched: Launched) -> None:
    text = nbformat.writes(launched.notebook("well"))

    assert text.count("***proof_password***") > 50
    assert text.count("***proof_key***") > 50


def test_a_kernel_s_last_words_are_masked(launched: Launched) -> None:
    notes = launched.notebook("kill").metadata["dagbook"]["notes"]

    assert any("fatal: ***proof_password*** ***proof_key***" in note for note in notes)


def test_without_a_mask_the_same_notebook_shows_it_in_every_form(
    secret: Secret, tmp_path: Path
) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    notebook.cells = [c for c in notebook.cells if "mlflow" not in c.metadata.get("tags", [])]
    nbformat.write(notebook, tmp_path / "proof.ipynb")
    unmasked = Delivery(
        environment={"PROOF_PASSWORD": secret.password},
        files=(SecretFile("PROOF_KEY_FILE", "key.pem", secret.key.encode()),),
    )

    result = run_notebook(
        tmp_path / "proof.ipynb", output_folder=tmp_path / "out", credentials=unmasked
    )

    # As texts, for the notebook's own JSON escapes them once more.
    shown = "\n".join(_texts(nbformat.read(result.executed_notebook, as_version=4))).encode()
    for value in (secret.password, secret.key):
        assert [n for n, form in enumerate(forms(value)) if form not in shown] == []


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
