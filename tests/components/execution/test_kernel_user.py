"""With root and `run_as` a kernel has a user of its own, who reads nothing of the runner's."""

from __future__ import annotations

import json
import os
import pwd
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from tests.components.execution.conftest import ruled
from tests.plain_user import ONE, environment, folder_of, plain_python, run_as

from dagbook.credentials.delivery import Delivery, Secret, SecretFile
from dagbook.errors import DagbookError
from dagbook.execution import RunStatus, run_notebook
from dagbook.execution.kernel_user import find_kernel_user, of_user
from dagbook.execution.recovery import recover_runs

NOBODY = "nobody"
DELIVERY = Delivery(
    {"DB_PASSWORD": "in-the-kernel"},
    (SecretFile("DB_KEY_FILE", "client.key", b"a key of theirs"),),
    secrets=(Secret("in-the-kernel", "x"), Secret("a key of theirs", "x")),
)
LOOK = """
import json, os, stat
from pathlib import Path
import dagbook
def tried(action):
    try:
        return action()
    except OSError as error:
        return type(error).__name__
key = Path(os.environ["DB_KEY_FILE"])
dagbook.log_metric("loss", 0.25)
(Path.home() / "mine").touch()
status = dict(line.split(":\\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
Path("told.json").write_text(json.dumps({
    "ids": [os.getresuid(), os.getresgid(), os.getgroups()],
    "status": [status["NoNewPrivs"], int(status["CapEff"], 16), int(status["CapPrm"], 16)],
    "names": [os.environ[n] for n in ("USER", "LOGNAME")], "home": str(Path.home()),
    "key": key.read_text(), "password": os.environ["DB_PASSWORD"],
    "owner": [key.stat().st_uid, oct(stat.S_IMODE(key.stat().st_mode)), oct(stat.S_IMODE(key.parent.parent.stat().st_mode))],
    "context": dagbook.context.notebook.endswith("look.ipynb"),
    "runs": tried(lambda: os.listdir(os.environ["RUNNERS"] + "/runs")),
    "whole": tried(lambda: os.listdir(key.parent.parent.parent)),
    "beside": tried(lambda: (key.parent.parent.parent / "x").touch()),
    "swap": tried(lambda: key.parent.parent.rename(key.parent.parent.parent / "y")),
    "platform": tried(lambda: Path("/proc/1/environ").read_text() and None),
    "stdout": tried(lambda: open("/proc/self/fd/1", "w").close()),
    "folder": [key.parent.parent.parent.as_posix(), os.environ["DAGBOOK_RUN_DIR"]],
}))
"""
CAN_WRITE = "import os\nfrom pathlib import Path\nPath('made').touch()"


@pytest.fixture
def theirs(monkeypatch) -> Iterator[Path]:
    """A notebook's folder that nobody owns, and a kernel that nobody can start."""
    python = plain_python()
    with folder_of(ONE) as folder, folder_of(ONE) as kernels:
        spec = {
            "argv": [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            "display_name": "Plain", "language": "python",
            "env": {"PYTHONPATH": environment()["PYTHONPATH"]},
        }  # fmt: skip
        (kernels / "kernels" / "plain").mkdir(parents=True)
        (kernels / "kernels" / "plain" / "kernel.json").write_text(json.dumps(spec))
        monkeypatch.setenv("JUPYTER_PATH", str(kernels))
        yield folder


@pytest.fixture
def ours() -> Iterator[Path]:
    """A folder of the runner's, which others may look into."""
    with folder_of(0) as folder:
        folder.chmod(0o755)
        yield folder


def make(folder: Path, source: str, name: str = "look.ipynb") -> Path:
    cells = [nbformat.v4.new_code_cell(source)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / name)
    return folder / name


@pytest.mark.needs("plain-user")
@pytest.mark.parametrize("means", ["", "cgroups,namespaces"])
def test_the_kernel_is_that_user_and_nothing_else_is_open_to_it(theirs, ours, monkeypatch, means):
    monkeypatch.setenv("DAGBOOK_WITHOUT", means)
    result = run_notebook(
        make(theirs, LOOK),
        kernel="plain",
        credentials=DELIVERY,
        allowance=ruled(run_as=NOBODY, own_home=True),
        environment={"RUNNERS": str(ours)},
        output_folder=ours / "runs" / "look",
        html=True,
    )
    assert (result.status, result.reason) == (RunStatus.SUCCEEDED, "")
    assert result.last_metrics == {"loss": 0.25}
    told = json.loads((theirs / "told.json").read_text("utf-8"))
    nobody = pwd.getpwnam(NOBODY)
    uid, gid = nobody.pw_uid, nobody.pw_gid
    folders = told.pop("folder")
    home = told.pop("home")
    assert told == {
        "ids": [[uid] * 3, [gid] * 3, sorted({*os.getgrouplist(NOBODY, gid)} - {gid})],
        "status": ["1", 0, 0], "names": [NOBODY, NOBODY],
        "key": "a key of theirs", "password": "in-the-kernel",
        "owner": [uid, "0o600", "0o700"], "context": True,
        "runs": "PermissionError", "whole": "PermissionError",
        "beside": "PermissionError", "swap": "PermissionError",
        "platform": "PermissionError", "stdout": None,
    }  # fmt: skip
    for path in (*folders, home):
        assert not Path(path).exists()
    # What the runner wrote is the runner's.
    stored = [result.executed_notebook, result.executed_html]
    for path in stored:
        assert path is not None
        found = path.stat()
        assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (0, 0o600)
    assert (theirs / "told.json").stat().st_uid == uid


@pytest.mark.needs("plain-user")
def test_it_is_killed_like_any_other(theirs, ours):
    notebook = make(theirs, "import os, time\nos.fork() or os.setsid()\ntime.sleep(300)")
    result = run_notebook(
        notebook, kernel="plain", allowance=ruled(run_as=NOBODY), timeout=3, output_folder=ours
    )
    assert result.status is RunStatus.TIMED_OUT
    assert not _processes_of(ONE, str(theirs))


def _processes_of(uid: int, folder: str) -> list[str]:
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and process.stat().st_uid == uid:
                found += [process.name] * ((process / "cwd").readlink() == Path(folder))
        except OSError:
            continue
    return found


@pytest.mark.needs("plain-user")
def test_a_folder_that_user_may_not_enter_is_told_in_one_line(theirs, ours):
    notebook = make(theirs, "1")
    theirs.chmod(0o700)
    os.chown(theirs, 0, 0)
    with pytest.raises(DagbookError) as refused:
        run_notebook(notebook, kernel="plain", allowance=ruled(run_as=NOBODY), output_folder=ours)
    assert str(refused.value) == (
        f"kernel 'plain' ended while starting (exit code 127): user {ONE} may not enter {theirs}: "
        "Permission denied"
    )
    assert [p.name for p in (*theirs.iterdir(), *ours.iterdir())] == ["look.ipynb"]


@pytest.mark.needs("plain-user")
def test_a_python_that_user_may_not_start_is_told_in_one_line(theirs, ours, monkeypatch):
    # As where the environment lies in root's home.
    python = ours / "bin" / "python"
    python.parent.mkdir(mode=0o700)
    python.symlink_to(sys.executable)
    spec = {"argv": [str(python), "{connection_file}"], "language": "python"}
    (ours / "kernels" / "closed").mkdir(parents=True)
    (ours / "kernels" / "closed" / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(ours))
    notebook = make(theirs, "1")
    with pytest.raises(DagbookError) as refused:
        run_notebook(notebook, kernel="closed", allowance=ruled(run_as=NOBODY), output_folder=ours)
    assert str(refused.value) == (
        f"kernel 'closed' ended while starting (exit code 127): cannot start {python} as user "
        f"{ONE}: Permission denied"
    )


@pytest.mark.needs("plain-user")
def test_root_writes_nothing_where_that_user_could_put_a_link(theirs, ours):
    (ours / "link").symlink_to(theirs)
    for place in (theirs / "runs" / "look", ours / "link" / "runs"):
        with pytest.raises(DagbookError) as refused:
            run_notebook(
                make(theirs, "1"),
                kernel="plain",
                allowance=ruled(run_as=NOBODY),
                output_folder=place,
            )
        assert str(refused.value) == (
            f"{place}: executed notebooks are written there by root, and user 'nobody', whom the "
            f"notebook runs as, may change {theirs}. Have root own it, or choose another place."
        )
    assert [p.name for p in theirs.iterdir()] == ["look.ipynb"]


@pytest.mark.needs("plain-user")
def test_reports_of_a_run_that_vanished_are_found(theirs, ours, monkeypatch):
    monkeypatch.setenv("DAGBOOK_WITHOUT", "cgroups,namespaces")
    code = (
        "import sys\nfrom pathlib import Path\nfrom tests.components.execution.conftest import ruled\n"
        "from dagbook.execution import run_notebook\n"
        "run_notebook(sys.argv[1], kernel='plain', allowance=ruled(run_as='nobody'), "
        "output_folder=Path(sys.argv[2]))"
    )
    source = (
        "import dagbook, os, time\nfrom pathlib import Path\n"
        "Path('told').write_text(os.environ['DAGBOOK_RUN_DIR'])\n"
        "while not Path('stopped').exists(): time.sleep(0.02)\n"
        "dagbook.log_metric('late', 7)\nPath('done').touch()\ntime.sleep(300)"
    )
    notebook = make(theirs, source)
    runner = subprocess.Popen(
        [sys.executable, "-c", code, str(notebook), str(ours)],
        cwd=Path(__file__).parents[3],
        start_new_session=True,
    )
    try:
        _wait_for(theirs / "told")
        runner.send_signal(signal.SIGSTOP)
        (theirs / "stopped").touch()
        _wait_for(theirs / "done")
    finally:
        runner.kill()
        runner.wait()
    shared = Path((theirs / "told").read_text("utf-8"))
    [left] = ours.glob(".*.running")
    [written] = recover_runs(left.parent)
    assert nbformat.read(written, as_version=4).metadata.dagbook.metrics == {"late": "7.0"}
    assert not shared.parent.exists()


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.needs("other-uid")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "nobody-of-that-name",
            "kernel_process.run_as: this machine has no user 'nobody-of-that-name'. Make it, or name "
            "another one in the platform file.",
        ),
        (
            "root",
            "kernel_process.run_as: 'root' is root, from whom nothing is kept. Name an ordinary user in "
            "the platform file.",
        ),
    ],
)
def test_a_user_that_cannot_be_is_refused(make_notebook, name, said):
    with pytest.raises(DagbookError) as refused:
        run_notebook(make_notebook("1"), allowance=ruled(run_as=name))
    assert str(refused.value) == said


@pytest.mark.needs("plain-user")
def test_only_root_can_run_a_notebook_as_somebody_else():
    code = (
        "from dagbook.execution.kernel_user import find_kernel_user\n"
        "print(find_kernel_user('nobody'))\n"
        "try: find_kernel_user('daemon')\nexcept Exception as error: print(error)"
    )
    with folder_of(ONE) as folder:
        assert run_as(ONE, code, folder=folder).splitlines() == [
            "None",  # that is who runs it already
            "kernel_process.run_as: only root can run a notebook as 'daemon', and the runner is user "
            "65534. Run Dagster as root or as 'daemon', or take `run_as` out of the platform file.",
        ]


@pytest.mark.needs("other-uid")
def test_nothing_of_the_runners_home_is_in_its_environment(tmp_path):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o1777)
    (tmp_path / "closed").mkdir(mode=0o700)
    before = {
        "HOME": "/root", "USER": "root", "SHELL": "/bin/zsh", "XDG_RUNTIME_DIR": "/run/user/0",
        "IPYTHONDIR": "/root/.ipython", "PYTHONUSERBASE": "/root/.local", "PATH": "/bin",
        "TMPDIR": str(tmp_path / "closed"), "TEMP": str(tmp_path / "open"),
    }  # fmt: skip
    nobody = find_kernel_user(NOBODY)
    assert of_user(before, nobody) == {
        "HOME": nobody.home, "USER": NOBODY, "LOGNAME": NOBODY, "SHELL": nobody.shell,
        "PATH": "/bin", "TEMP": str(tmp_path / "open"),
    }  # fmt: skip


#: add_key and keyctl of this machine, which libc has no functions for.
KEYS = "add_key, keyctl = {'x86_64': (248, 250), 'aarch64': (217, 219)}[os.uname().machine]\n"
IN_KEYRING = """
import ctypes, os, sys
from pathlib import Path
from tests.components.execution.conftest import ruled
from dagbook.execution import run_notebook
KEYS
libc = ctypes.CDLL(None)
if libc.syscall(keyctl, 1, None, 0, 0, 0) <= 0:
    sys.exit(77)
assert libc.syscall(add_key, b"user", b"dagbook-test", b"of-the-runner", 13, -3) > 0
assert libc.syscall(keyctl, 10, -3, b"user", b"dagbook-test", 0) > 0
result = run_notebook(sys.argv[1], kernel="plain", output_folder=Path(sys.argv[2]), allowance=ruled(run_as="nobody"))
print(result.status, result.reason)
"""
LOOK_INTO_KEYRING = """
import ctypes, os
from pathlib import Path
KEYS
found = ctypes.CDLL(None).syscall(keyctl, 10, -3, b"user", b"dagbook-test", 0)
Path("found").write_text(str(found))
"""


@pytest.mark.needs("plain-user")
@pytest.mark.skipif(os.uname().machine not in ("x86_64", "aarch64"), reason="other numbers")
def test_it_has_no_key_of_the_runners_session(theirs, ours):
    """Where tickets and tokens of the one who logged in are kept."""
    notebook = make(theirs, LOOK_INTO_KEYRING.replace("KEYS", KEYS))
    done = subprocess.run(
        [sys.executable, "-c", IN_KEYRING.replace("KEYS", KEYS), str(notebook), str(ours)],
        cwd=Path(__file__).parents[3], capture_output=True, text=True,
    )  # fmt: skip
    # Said by the system when it is asked for a keyring, and by nothing else.
    if done.returncode == 77:
        pytest.skip("this system keeps no keys")
    assert done.stdout == "succeeded \n"
    assert (theirs / "found").read_text("utf-8") == "-1"
