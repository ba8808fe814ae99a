"""Credentials reach one kernel, by its environment and private files, and nothing of them stays."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dagbook.credentials.delivery import Delivery, Secret, SecretFile
from dagbook.errors import DagbookError
from dagbook.execution import RunStatus, run_notebook
from dagbook.execution.handover import MEMORY_FOLDER, Handover
from dagbook.execution.recovery import recover_runs
from dagbook.masking import Masker

VALUE = "hunter2-and-more"
IN_FILE = b"line one\nhunter3-and-more\n"
DELIVERY = Delivery(
    environment={"DB_PASSWORD": VALUE, "MLFLOW_TRACKING_TOKEN": "for-the-recorder"},
    files=(SecretFile("DB_KEY_FILE", "client.key", IN_FILE),),
    secrets=(Secret(VALUE, "analytics"),),
    connections=("analytics",),
)
TELL = """
import json, os, stat
from pathlib import Path
def told(**facts):
    Path("told.json").write_text(json.dumps(facts))
"""
LOOK = (
    TELL
    + """
path = Path(os.environ["DB_KEY_FILE"])
above, pid = [], os.getpid()
while pid > 1:
    pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    if pid:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode("latin-1")
        try:
            command += Path(f"/proc/{pid}/environ").read_bytes().decode("latin-1")
        except PermissionError:
            pass  # the system's own, or ours: it is not dumpable
        above.append(command)
told(
    password=os.environ["DB_PASSWORD"], token=os.environ.get("MLFLOW_TRACKING_TOKEN"),
    path=str(path), content=path.read_text(),
    modes=[oct(stat.S_IMODE(p.stat().st_mode)) for p in (path, path.parent, path.parent.parent)],
    above=above, command=Path("/proc/self/cmdline").read_text(),
    open=[os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{n}")],
    core=__import__("resource").getrlimit(__import__("resource").RLIMIT_CORE)[0],
)
"""
)
RUNNER = """
import sys
from dagbook.credentials.delivery import Delivery, SecretFile
from dagbook.execution import run_notebook
run_notebook(sys.argv[1], credentials=Delivery(files=(SecretFile("DB_KEY_FILE", "client.key", b"hunter3"),)))
"""
WAIT = TELL + 'import time; told(path=os.environ["DB_KEY_FILE"], pid=os.getppid()); time.sleep(300)'


def told(notebook: Path) -> dict:
    return json.loads((notebook.parent / "told.json").read_text("utf-8"))


def wait_for_told(notebook: Path) -> dict:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            return told(notebook)
        except (OSError, ValueError):
            time.sleep(0.05)
    raise AssertionError("the notebook did not come that far")


def is_gone(path: str, seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while Path(path).parent.parent.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return not Path(path).parent.parent.exists()


@pytest.mark.parametrize("means", ["", "cgroups,namespaces"])
def test_the_kernel_alone_has_them(make_notebook, monkeypatch, means):
    monkeypatch.setenv("DAGBOOK_WITHOUT", means)
    notebook = make_notebook(LOOK)
    result = run_notebook(notebook, credentials=DELIVERY)
    assert (result.status, result.reason) == (RunStatus.SUCCEEDED, "")
    seen = told(notebook)
    assert (seen["password"], seen["token"]) == (VALUE, None)
    assert seen["content"] == IN_FILE.decode()
    assert seen["modes"] == ["0o600", "0o700", "0o700"]
    assert seen["core"] == 0
    # In a namespace nobody is above it; without one there are the guardian, we and the rest.
    in_namespace = result.resources.means["processes"] == "pid namespace"
    assert in_namespace == (not seen["above"])
    assert in_namespace or len(seen["above"]) >= 3
    everybody = json.dumps(seen["above"]) + seen["command"]
    assert VALUE not in everybody
    assert "for-the-recorder" not in everybody
    assert not [name for name in seen["open"] if "memfd" in name]
    assert VALUE not in os.environ.values()


def test_files_lie_in_memory_where_there_is_such_a_folder(make_notebook):
    if not (MEMORY_FOLDER.is_dir() and os.access(MEMORY_FOLDER, os.W_OK)):
        pytest.skip("this machine has no /dev/shm")
    notebook = make_notebook(LOOK)
    run_notebook(notebook, credentials=DELIVERY)
    path = Path(told(notebook)["path"])
    assert path.is_relative_to(MEMORY_FOLDER)
    assert not path.parent.parent.exists()


def test_files_lie_in_the_temporary_folder_where_there_is_no_other(
    make_notebook, monkeypatch, tmp_path
):
    monkeypatch.setattr("dagbook.execution.handover.MEMORY_FOLDER", tmp_path / "nowhere")
    notebook = make_notebook(LOOK)
    result = run_notebook(notebook, credentials=DELIVERY)
    assert result.succeeded
    seen = told(notebook)
    assert seen["modes"] == ["0o600", "0o700", "0o700"]
    assert is_gone(seen["path"])


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        ("1 / 0", RunStatus.FAILED),
        ("os.kill(os.getpid(), 9)", RunStatus.KILLED),
        ("os.chmod(path.parent, 0o500); path.chmod(0o400)", RunStatus.SUCCEEDED),
        ("(path.parent / 'more').mkdir(mode=0)", RunStatus.SUCCEEDED),
    ],
)
def test_they_are_gone_however_the_notebook_ends(make_notebook, ending, status):
    notebook = make_notebook(LOOK, ending)
    assert run_notebook(notebook, credentials=DELIVERY).status is status
    assert is_gone(told(notebook)["path"], 0)


def test_they_are_gone_after_a_cancel(make_notebook):
    notebook = make_notebook(WAIT)
    started = time.monotonic()

    def should_stop() -> str | None:
        return "enough" if (notebook.parent / "told.json").exists() else None

    result = run_notebook(notebook, credentials=DELIVERY, should_stop=should_stop)
    assert result.status is RunStatus.CANCELLED
    assert time.monotonic() - started < 250
    assert is_gone(told(notebook)["path"], 0)


def start_runner(notebook: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", RUNNER, str(notebook)], start_new_session=True, cwd=notebook.parent
    )


@pytest.fixture
def runner(make_notebook):
    notebook = make_notebook(WAIT)
    process = start_runner(notebook)
    yield notebook, process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_the_guardian_removes_them_when_the_runner_is_killed(runner):
    notebook, process = runner
    seen = wait_for_told(notebook)
    process.kill()
    process.wait()
    assert is_gone(seen["path"])


def test_whoever_finds_the_journal_removes_them_when_the_guardian_is_killed_too(
    make_notebook, monkeypatch
):
    monkeypatch.setenv("DAGBOOK_WITHOUT", "cgroups,namespaces")
    notebook = make_notebook(WAIT)
    process = start_runner(notebook)
    seen = wait_for_told(notebook)
    process.send_signal(signal.SIGSTOP)
    os.kill(seen["pid"], signal.SIGKILL)  # the guardian is the kernel's parent
    process.kill()
    process.wait()
    assert Path(seen["path"]).exists()
    left = next(notebook.parent.rglob("*.running"))
    journal = (left / "journal.jsonl").read_text("utf-8")
    assert str(Path(seen["path"]).parent.parent) in journal
    assert "hunter3" not in journal
    assert [path.name for path in recover_runs(left.parent)]
    assert is_gone(seen["path"], 0)


def test_a_folder_that_is_not_a_runs_own_is_not_removed(tmp_path, make_notebook):
    """A journal may have been written by anybody."""
    from dagbook.execution.journal import Journal

    (precious := tmp_path / "precious").mkdir()
    journal = Journal(tmp_path / ".x.running")
    journal.event("private", str(precious))
    journal.event("shared", str(precious))
    journal.release()
    recover_runs(tmp_path)
    assert precious.exists()


def test_a_plan_shows_nothing_of_them(make_notebook):
    from dagbook.execution.plan import make_plan

    masker = Masker()
    plan = make_plan(make_notebook("1"), credentials=DELIVERY, masker=masker)
    assert VALUE not in repr(plan)
    assert plan.masker is masker
    assert masker.text(f"<{VALUE}>") != f"<{VALUE}>"


def test_without_any_there_is_nothing_to_hand_over(make_notebook):
    from dagbook.execution.plan import make_plan

    plan = make_plan(make_notebook("1"), credentials=Delivery(), masker=Masker())
    assert (plan.credentials, plan.masker) == (None, None)


@pytest.mark.parametrize(
    ("delivery", "said"),
    [
        (
            Delivery(files=(SecretFile("KEY", "../key", b"x"),)),
            "KEY: '../key' cannot be the name of a file in the run's folder. Give a plain name.",
        ),
        (
            Delivery(files=(SecretFile("../KEY", "key", b"x"),)),
            "../KEY: 'key' cannot be the name of a file in the run's folder. Give a plain name.",
        ),
        (
            Delivery({"KEY": "value"}, (SecretFile("KEY", "key", b"x"),)),
            "KEY: is given to the kernel twice",
        ),
        (
            Delivery({"KEY": "val\0ue"}),
            "KEY: cannot be an environment variable of the kernel (a zero byte, or no name). "
            "Deliver it as a file.",
        ),
    ],
)
def test_what_cannot_be_handed_over_is_refused(delivery, said):
    with pytest.raises(DagbookError) as refused:
        Handover(delivery)
    assert str(refused.value) == said


def test_a_file_is_replaced_in_one_step():
    handover = Handover(Delivery(files=(SecretFile("KEY", "key", b"one"),)))
    try:
        handover.write()
        path = Path(handover.environment["KEY"])
        with path.open("rb") as before:
            handover.renew(
                Delivery(files=(SecretFile("KEY", "key", b"two"), SecretFile("NEW", "new", b"3")))
            )
            assert before.read() == b"one"
        assert path.read_bytes() == b"two"
        assert [p.name for p in path.parent.iterdir()] == ["key"]
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        handover.remove()
    assert handover.folder is not None
    assert not handover.folder.exists()
    handover.renew(Delivery(files=(SecretFile("KEY", "key", b"three"),)))
    assert not handover.folder.exists()
