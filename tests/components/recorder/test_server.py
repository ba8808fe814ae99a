"""What the recorder takes and answers, asked by MLflow's own client and by others."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Recording, Stranger

    Record = Callable[..., Recording]


def _refusal(call: Callable[[], Any]) -> tuple[str, str]:
    """The code and the text that MLflow's client raises."""
    from mlflow.exceptions import MlflowException

    with pytest.raises(MlflowException) as raised:
        call()
    return raised.value.error_code, str(raised.value).removeprefix(f"{raised.value.error_code}: ")


def test_what_is_told_can_be_read_back_at_once(record: Record, nowhere: str) -> None:
    recording = record(nowhere)
    client, run_id = recording.client, recording.run_id

    client.log_param(run_id, "rate", 0.1)
    for step, value in enumerate([1.0, float("nan"), float("inf")]):
        client.log_metric(run_id, "loss", value, timestamp=step, step=step)
    client.log_metric(run_id, "loss", 9.0, timestamp=0, step=0)
    client.set_tag(run_id, "mine", "yes")
    client.set_tag(run_id, "gone", "x")
    client.delete_tag(run_id, "gone")
    client.log_text(run_id, "hello", "notes/a.txt")
    client.log_text(run_id, "", "empty.txt")

    run = client.get_run(run_id)
    assert (run.info.run_name, run.info.status) == ("2026-01-01", "RUNNING")
    assert run.data.params == {"rate": "0.1"}
    assert run.data.metrics == {"loss": float("inf")}
    assert run.data.tags == {"team": "growth", "mlflow.runName": "2026-01-01", "mine": "yes"}
    history = client.get_metric_history(run_id, "loss")
    assert [(m.step, repr(m.value)) for m in history] == [
        (0, "1.0"),
        (1, "nan"),
        (2, "inf"),
        (0, "9.0"),
    ]
    assert [(f.path, f.is_dir, f.file_size) for f in client.list_artifacts(run_id)] == [
        ("empty.txt", False, 0),
        ("notes", True, None),
    ]
    assert [f.path for f in client.list_artifacts(run_id, "notes")] == ["notes/a.txt"]
    assert Path(client.download_artifacts(run_id, "notes/a.txt")).read_text() == "hello"


def test_everything_is_on_disk_for_its_owner_alone(record: Record, nowhere: str) -> None:
    recording = record(nowhere)

    recording.client.log_metric(recording.run_id, "loss", 1.5, timestamp=7, step=3)
    recording.client.log_text(recording.run_id, "hello", "notes/a.txt")

    metric = {"key": "loss", "value": 1.5, "timestamp": 7, "step": 3}
    assert recording.calls[1]["metrics"] == [metric]
    folder = recording.spool.folder
    assert (folder / recording.calls[2]["file"]).read_text() == "hello"
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()}
    folders = {stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "artifacts")}
    assert (modes, folders) == ({0o600}, {0o700})


def test_a_parameter_keeps_its_value_and_the_answer_is_the_servers(
    record: Record, nowhere: str, mlflow_server: str
) -> None:
    from mlflow import MlflowClient
    from mlflow.entities import Param

    def change(client: MlflowClient, run_id: str) -> list[tuple[str, str]]:
        client.log_param(run_id, "rate", 1)
        client.log_param(run_id, "rate", 1)
        alone = _refusal(lambda: client.log_param(run_id, "rate", 2))
        many = [Param("rate", "3"), Param("new", "x")]
        together = _refusal(lambda: client.log_batch(run_id, params=many))
        return [(code, text.replace(run_id, "RUN")) for code, text in (alone, together)]

    own, real = record(nowhere), MlflowClient(tracking_uri=mlflow_server)

    assert change(own.client, own.run_id) == change(real, real.create_run("0").info.run_id)
    assert own.client.get_run(own.run_id).data.params == {"rate": "1"}


@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        (
            "log-metric",
            {"key": "a", "value": "many"},
            "Got invalid value 'many' for metric 'a' (timestamp=None). Please specify value as a "
            "valid double (64-bit floating point)",
        ),
        (
            "log-metric",
            {"key": "a/../b", "value": 1},
            "Invalid value 'a/../b' for parameter 'Metric name' supplied: Names may only contain "
            "alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and "
            "slashes (/).",
        ),
        ("log-metric", {"key": "a", "value": 1, "step": 1.5}, "step has to be a whole number"),
        ("log-batch", {"metrics": [1]}, "metrics has to be a list of objects"),
        (
            "log-batch",
            {"metrics": [{"key": "a", "value": 1}] * 1001},
            "A batch logging request can contain at most 1000 metrics. Got 1001 metrics. Please "
            "split up your request and try again.",
        ),
        (
            "update",
            {"status": "DONE"},
            "status has to be one of RUNNING, SCHEDULED, FINISHED, FAILED, KILLED",
        ),
        ("set-tag", {"value": "x"}, "Missing value for required parameter 'key'."),
    ],
)
def test_what_mlflow_would_not_take_is_refused_and_not_kept(
    record: Record, nowhere: str, path: str, body: dict[str, Any], text: str
) -> None:
    recording = record(nowhere)

    status, answer = recording.post(f"/mlflow/runs/{path}", {"run_id": recording.run_id, **body})

    assert (status, answer) == (400, {"error_code": "INVALID_PARAMETER_VALUE", "message": text})
    assert len(recording.calls) == 1


@pytest.mark.parametrize("body", [b"{", b"[1]", b"\xff", b"[" * 100_000], ids=repr)
def test_a_body_that_is_no_object_is_refused(record: Record, nowhere: str, body: bytes) -> None:
    status, answer = record(nowhere).post("/mlflow/runs/log-metric", body)

    text = "the body of a call has to be a JSON object"
    assert (status, answer) == (400, {"error_code": "BAD_REQUEST", "message": text})


def test_who_does_not_know_the_token_is_not_heard(record: Record, nowhere: str) -> None:
    recording = record(nowhere)
    root = recording.recorder.uri.rpartition("/")[0]

    for path in ("", "/wrong", f"/{'x' * 32}"):
        url = f"{root}{path}/api/2.0/mlflow/runs/get?run_id={recording.run_id}"
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(url, timeout=10)
        assert refused.value.code == 403
        assert json.loads(refused.value.read())["message"] == (
            "this is the MLflow recorder of somebody else's run"
        )


def test_it_listens_on_this_machine_only(record: Record, nowhere: str) -> None:
    import psutil

    recording = record(nowhere)

    process = psutil.Process(recording.recorder.process_id)
    listening = [c.laddr.ip for c in process.net_connections() if c.status == "LISTEN"]
    assert listening == ["127.0.0.1"]


@pytest.mark.parametrize("path", ["../up.txt", "a/../../up.txt", "a//b", "/etc/x", "a/."])
def test_a_file_goes_nowhere_else(record: Record, nowhere: str, path: str) -> None:
    recording = record(nowhere)
    where = f"/mlflow-artifacts/artifacts/dagbook/run/{recording.run_id}/artifacts/{path}"

    status, answer = recording.post(where.replace("..", "%2e%2e"), b"x", method="PUT")

    assert status in (400, 404, 424), answer
    assert len(recording.calls) == 1
    assert not (recording.spool.folder / "artifacts").exists()


def test_secrets_are_masked_before_they_are_written(record: Record, nowhere: str) -> None:
    secret = "hunter22-and-more"
    recording = record(nowhere, masked=[(secret, "DB")])
    client, run_id = recording.client, recording.run_id

    client.log_param(run_id, "connection", f"postgres://me:{secret}@db")
    client.log_metric(run_id, f"loss-{secret}", 1.0)
    client.set_tag(run_id, secret, secret)
    client.update_run(run_id, name=f"run {secret}")
    client.log_text(run_id, "x" * (2**20 - 5) + secret + "y" * 100, "long.txt")
    client.log_text(run_id, "x", f"{secret}.txt")
    client.create_run("0", tags={"a": secret}, run_name=secret)

    written = b"".join(p.read_bytes() for p in recording.spool.folder.rglob("*") if p.is_file())
    names = [str(path) for path in recording.spool.folder.rglob("*")]
    assert secret.encode() not in written
    assert not [name for name in names if secret in name]
    assert b"***DB***" in written
    # MLflow takes no stars in names.
    assert "loss-___DB___" in client.get_run(run_id).data.metrics


def test_a_binary_file_stays_as_it_is(record: Record, nowhere: str, tmp_path: Path) -> None:
    recording = record(nowhere, masked=[("hunter22", "DB")])
    data = bytes(range(256)) * 10_000 + b"hunter22"
    (tmp_path / "model.bin").write_bytes(data)

    recording.client.log_artifact(recording.run_id, str(tmp_path / "model.bin"))

    assert (recording.spool.folder / recording.calls[-1]["file"]).read_bytes() == data


def test_a_file_that_is_too_large_is_refused_with_the_limit(record: Record, nowhere: str) -> None:
    recording = record(nowhere)
    host, _, rest = recording.recorder.uri.removeprefix("http://").partition("/")
    path = f"/{rest}/api/2.0/mlflow-artifacts/artifacts/dagbook/run/{recording.run_id}/artifacts/a"

    with socket.create_connection(host.split(":"), timeout=10) as connection:
        length = 21 * 1024**3
        head = f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
        connection.sendall(head.encode())
        answer = connection.makefile("rb").read().decode()

    assert answer.startswith("HTTP/1.1 413 ")
    assert "a run may give MLflow 20 GiB of files, and with this one it would be more" in answer


def test_an_upload_that_breaks_off_leaves_nothing(record: Record, nowhere: str) -> None:
    recording = record(nowhere)
    host, _, rest = recording.recorder.uri.removeprefix("http://").partition("/")
    path = f"/{rest}/api/2.0/mlflow-artifacts/artifacts/dagbook/run/{recording.run_id}/artifacts/a"

    with socket.create_connection(host.split(":"), timeout=10) as connection:
        connection.sendall(
            f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nxx".encode()
        )
    recording.client.log_metric(recording.run_id, "still", 1)
    recording.recorder.end()

    assert [call["call"] for call in recording.calls] == ["managed", "log"]
    assert list((recording.spool.folder / "artifacts").iterdir()) == []


# What only the server knows


def test_a_question_is_passed_on_with_the_servers_own_login(
    record: Record, stranger: Stranger
) -> None:
    login = {"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": "secret-word"}
    recording = record(stranger.uri, login=login)
    (recording.spool.folder / "state.json").write_text('{"calls": 1000000}')
    stranger.answer = (200, {}, b'{"experiments": []}')

    assert recording.client.search_experiments() == []

    ((method, path, headers, body),) = stranger.asked
    assert (method, path) == ("POST", "/api/2.0/mlflow/experiments/search")
    assert headers["authorization"] == "Basic bWU6c2VjcmV0LXdvcmQ="
    assert recording.recorder.uri.rpartition("/")[2] not in f"{headers}{body!r}"


def test_credentials_that_were_fetched_anew_are_used_and_masked(
    record: Record, stranger: Stranger
) -> None:
    recording = record(stranger.uri, login={"MLFLOW_TRACKING_TOKEN": "first-word"})
    (recording.spool.folder / "state.json").write_text('{"calls": 1000000}')
    stranger.answer = (200, {}, b'{"experiments": []}')
    recording.client.set_tag(recording.run_id, "a", "second-word")

    recording.recorder.learn([("second-word", "DB")], {"MLFLOW_TRACKING_TOKEN": "second-word"})
    recording.client.set_tag(recording.run_id, "b", "second-word")
    recording.client.search_experiments()

    assert [call.get("tags") for call in recording.calls[1:]] == [
        {"a": "second-word"},
        {"b": "***DB***"},
    ]
    assert stranger.asked[0][2]["authorization"] == "Bearer second-word"


def test_a_redirection_is_not_followed(record: Record, stranger: Stranger) -> None:
    recording = record(stranger.uri, login={"MLFLOW_TRACKING_TOKEN": "secret-word"})
    (recording.spool.folder / "state.json").write_text('{"calls": 1000000}')
    stranger.answer = (302, {"Location": f"{stranger.uri}/elsewhere"}, b"")

    assert _refusal(recording.client.search_experiments) == (
        "TEMPORARILY_UNAVAILABLE",
        "the MLflow server sends the call elsewhere, which is not followed",
    )
    assert [path for _, path, _, _ in stranger.asked] == ["/api/2.0/mlflow/experiments/search"]


@pytest.mark.parametrize(
    ("answer", "code", "text"),
    [
        (500, "TEMPORARILY_UNAVAILABLE", "the MLflow server answers 500"),
        (429, "TEMPORARILY_UNAVAILABLE", "the MLflow server answers 429"),
        (401, "PERMISSION_DENIED", "the MLflow server does not take the run's login"),
    ],
)
def test_an_answer_that_the_client_would_ask_for_again_is_final(
    record: Record, stranger: Stranger, answer: int, code: str, text: str
) -> None:
    recording = record(stranger.uri)
    (recording.spool.folder / "state.json").write_text('{"calls": 1000000}')
    stranger.answer = (answer, {"Content-Type": "text/html"}, b"<html>")

    assert _refusal(recording.client.search_experiments) == (code, text)
    assert len(stranger.asked) == 1


def test_with_the_server_down_a_question_is_answered_clearly(record: Record, nowhere: str) -> None:
    recording = record(nowhere)
    (recording.spool.folder / "state.json").write_text('{"problem": "connection refused"}')
    client = recording.client

    assert _refusal(client.search_experiments) == (
        "TEMPORARILY_UNAVAILABLE",
        "the MLflow server does not answer (connection refused)",
    )
    assert _refusal(lambda: client.search_runs([recording.experiment_id])) == (
        "TEMPORARILY_UNAVAILABLE",
        "MLflow does not answer, so it does not have yet what this notebook told it, and cannot be "
        "asked about it: try again later, or use what you have in memory",
    )
    assert client.get_experiment_by_name("another") is None
    made = client.create_experiment("another")
    assert client.get_experiment_by_name("another").experiment_id == made


def test_what_waits_is_delivered_before_a_question_about_it(
    record: Record, stranger: Stranger
) -> None:
    recording = record(stranger.uri)
    recording.client.log_metric(recording.run_id, "loss", 1)
    stranger.answer = (200, {}, b'{"runs": []}')

    def deliver() -> None:
        assert recording.woken.wait(30)
        done = {"calls": (recording.spool.folder / "calls.jsonl").stat().st_size}
        names = {recording.run_id: "f" * 32, recording.experiment_id: "7"}
        (recording.spool.folder / "ids.jsonl").write_text(json.dumps(names) + "\n")
        (recording.spool.folder / "state.json").write_text(json.dumps(done))

    import threading

    thread = threading.Thread(target=deliver)
    thread.start()
    recording.client.search_runs(
        [recording.experiment_id], filter_string=f"tags.a = '{recording.run_id}'"
    )
    thread.join()

    asked = json.loads(stranger.asked[0][3])
    assert asked["experiment_ids"] == ["7"]
    assert asked["filter"] == f"tags.a = '{'f' * 32}'"


def test_what_is_not_known_is_refused_with_its_name(record: Record, nowhere: str) -> None:
    status, answer = record(nowhere).post("/mlflow/experiments/delete", {"experiment_id": "0"})

    assert (status, answer["message"]) == (
        404,
        "the MLflow recorder of this run does not take POST /api/2.0/mlflow/experiments/delete: "
        "a run deletes no experiments",
    )


# The process


def test_the_login_is_in_no_environment_command_line_or_file(
    record: Record, stranger: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "secret-word")
    recording = record(stranger.uri, login={"MLFLOW_TRACKING_TOKEN": "secret-word"})
    recording.client.log_metric(recording.run_id, "loss", 1)

    process = Path(f"/proc/{recording.recorder.process_id}")
    told = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
    files = b"".join(p.read_bytes() for p in recording.spool.folder.rglob("*") if p.is_file())
    token = recording.recorder.uri.rpartition("/")[2].encode()
    assert b"secret-word" not in told + files
    assert token not in told + files


@pytest.mark.needs("other-uid")
def test_a_kernel_of_the_same_user_does_not_look_into_it() -> None:
    keep_reading = "-all,+dac_read_search"  # the interpreter may lie in root's home
    as_nobody = [
        "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
        f"--bounding-set={keep_reading}", f"--inh-caps={keep_reading}",
        f"--ambient-caps={keep_reading}",
    ]  # fmt: skip
    code = (
        "import subprocess, sys\n"
        "p = subprocess.Popen([sys.executable, '-c', sys.argv[1]], stdout=subprocess.PIPE)\n"
        "p.stdout.readline()\n"
        "try:\n"
        "    open(f'/proc/{p.pid}/environ', 'rb').read(); print('read')\n"
        "except PermissionError: print('refused')\n"
        "p.kill()\n"
    )
    hidden = "from dagbook.recorder.private_process import hide\nhide()\n" + _WAITS
    told = {}
    for name, inner in {"hidden": hidden, "open": _WAITS}.items():
        command = [*as_nobody, sys.executable, "-c", code, inner]
        done = subprocess.run(command, capture_output=True, text=True, cwd="/")
        told[name] = done.stdout.strip() or done.stderr

    assert told == {"hidden": "refused", "open": "read"}


_WAITS = "import time\nprint('up', flush=True)\ntime.sleep(60)\n"


def test_it_does_not_die_of_its_worker_at_once(record: Record, tmp_path: Path) -> None:
    # The kernel of a worker that was killed has another moment, and what it says then is kept.
    folder = tmp_path / "run"
    folder.mkdir()
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from dagbook.recorder.start import Recorder\n"
        "recorder = Recorder()\n"
        "managed = dict(run='r'*32, experiment='1'*18, experiment_name='e', name='n', user='',"
        " tags={}, time=0)\n"
        "recorder.begin(Path(sys.argv[1]), managed=managed, uri='http://127.0.0.1:9',"
        " artifacts=None, variables={}, masked=[], wake=print)\n"
        "print(recorder.uri, recorder.process_id, flush=True)\n"
        "time.sleep(600)\n"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert worker.stdout is not None
    uri, pid = worker.stdout.readline().split()
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    worker.stdout.close()
    body = json.dumps({"run_id": "r" * 32, "key": "last", "value": 1}).encode()
    url = f"{uri}/api/2.0/mlflow/runs/log-metric"
    with urllib.request.urlopen(urllib.request.Request(url, body), timeout=10) as answer:
        assert answer.status == 200

    assert b'"last"' in (folder / "calls.jsonl").read_bytes()
    deadline = time.monotonic() + 30
    while _is_alive(int(pid)):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_another_takes_its_place_when_it_is_killed(record: Record, nowhere: str) -> None:
    recording = record(nowhere)
    recording.recorder.learn([("second-word", "DB")], {})
    client, run_id, uri = recording.client, recording.run_id, recording.recorder.uri
    client.log_param(run_id, "before", 1)
    client.log_text(run_id, "one", "a.txt")

    os.kill(recording.recorder.process_id, signal.SIGKILL)
    client.log_metric(run_id, "after", 2)
    client.log_text(run_id, "two", "b.txt")
    client.set_tag(run_id, "a", "second-word")

    assert recording.recorder.uri == uri
    run = client.get_run(run_id)
    assert (run.data.params, run.data.metrics) == ({"before": "1"}, {"after": 2.0})
    assert run.data.tags["a"] == "***DB***"
    texts = {n: Path(client.download_artifacts(run_id, n)).read_text() for n in ("a.txt", "b.txt")}
    assert texts == {"a.txt": "one", "b.txt": "two"}


def test_the_run_is_owned_as_long_as_its_recorder_takes_calls(record: Record, nowhere: str) -> None:
    recording = record(nowhere)
    owner = recording.spool.owner
    assert owner is not None
    os.close(os.dup(owner))

    recording.recorder._process.stdin.flush()  # type: ignore[union-attr]
    os.close(owner)
    recording.spool._owner = None
    assert recording.spool.is_owned

    recording.recorder.end()
    assert not recording.spool.is_owned


def test_a_run_without_secrets_loads_neither_the_masker_nor_mlflow() -> None:
    code = (
        "import sys, dagbook.recorder.process, dagbook.recorder.start\n"
        "print(sorted({m for m in sys.modules if m.startswith(('mlflow', 'dagbook.masking',"
        " 'dagbook.execution', 'requests', 'numpy', 'pydantic', 'dagster'))}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
