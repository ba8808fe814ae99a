"""Two users of one machine cannot read each other's runs, whether they go on or have ended."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import nbformat
import pytest
from tests.plain_user import ANOTHER, ONE, as_user, environment, folder_of, plain_python, run_as

#: It tells where everything of it lies, and waits until it may end.
NOTEBOOK = """
import json, os, time
from pathlib import Path
key = Path(os.environ["DB_KEY_FILE"])
connection = next(p for p in Path("/proc/self/cmdline").read_text().split("\\0") if p.endswith("connection.json"))
told = {"key": str(key), "connection": connection, "run": os.environ["DAGBOOK_RUN_DIR"], "pid": os.getpid(), "home": str(Path.home())}
Path("told.new").write_text(json.dumps(told))
Path("told.new").rename("told.json")
while not Path("end").exists():
    time.sleep(0.02)
"""
RUNNER = """
from dagbook.credentials.delivery import Delivery, Secret, SecretFile
from dagbook.execution import run_notebook
from tests.components.execution.conftest import ruled
given = Delivery({"DB_PASSWORD": "in-the-kernel"}, (SecretFile("DB_KEY_FILE", "client.key", b"a key of theirs"),))
result = run_notebook("look.ipynb", credentials=given, allowance=ruled(own_home=True))
print(result.status, result.executed_notebook)
"""
#: Everything below some folders, and files by their names, that can be opened.
SPY = """
import json, os, sys
from pathlib import Path
opened = []
for top in sys.argv[1:]:
    for path in [Path(top), *Path(top).rglob("*")] if os.access(top, os.R_OK) else [Path(top)]:
        try:
            (os.listdir if path.is_dir() else Path.read_bytes)(path)
            opened.append(str(path))
        except OSError:
            pass
print(json.dumps(opened))
"""


def spy(*paths: str | Path) -> list[str]:
    with folder_of(ANOTHER) as here:
        return json.loads(run_as(ANOTHER, SPY, *map(str, paths), folder=here))


@pytest.mark.needs("plain-user")
def test_another_user_reads_nothing_of_a_run():
    python = plain_python()
    assert python is not None
    with folder_of(ONE) as project:
        # Like a home on many machines: others may look in.
        project.chmod(0o755)
        cells = [nbformat.v4.new_code_cell(NOTEBOOK)]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), project / "look.ipynb")
        runner = subprocess.Popen(
            [*as_user(ONE), python, "-c", RUNNER],
            cwd=project,
            env=environment(HOME=str(project)),
            stdout=subprocess.PIPE,
            text=True,
            umask=0o002,
        )
        try:
            deadline = time.monotonic() + 60
            while not (project / "told.json").exists():
                assert runner.poll() is None and time.monotonic() < deadline
                time.sleep(0.02)
            told = json.loads((project / "told.json").read_text("utf-8"))
            [journal] = project.glob("runs/look/.*.running/journal.jsonl")
            pids = [told["pid"], runner.pid]
            secret = [
                told["key"], Path(told["key"]).parent.parent, told["connection"],
                Path(told["connection"]).parent, told["run"], journal, told["home"],
                project / "runs", *(f"/proc/{pid}/environ" for pid in pids),
            ]  # fmt: skip
            assert spy(*secret) == []
            # The spy can read what is there to be read.
            assert spy(project / "look.ipynb") == [str(project / "look.ipynb")]
        finally:
            (project / "end").touch()
            said, _ = runner.communicate(timeout=60)
        status, *stored = said.split()
        assert status == "succeeded"
        assert spy(*stored, project / "runs") == []
        assert [oct(Path(path).stat().st_mode & 0o777) for path in stored] == ["0o600"]
        for folder in (project / "runs", project / "runs" / "look"):
            assert folder.stat().st_mode & 0o777 == 0o700
