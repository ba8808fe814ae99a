"""A notebook's own `mlflow.*` calls: real kernels, MLflow's own client, a real server behind a gate."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from dagbook.sinks.mlflow import embedded_store
from dagbook.sinks.replay import replay_spools
from dagbook.sinks.spool import SPOOL_FOLDER, spools_in

if TYPE_CHECKING:
    from conftest import Ran, Workbench

pytestmark = pytest.mark.early


class Gate:
    """Stands before a server: lets calls through, late, or not at all, and asks for a login."""

    def __init__(self, behind: str) -> None:
        self.is_open: Callable[[], bool] = lambda: True
        self.seconds = 0.0
        self.login: str | None = None
        self.answered: list[str] = []
        gate, host = self, urlsplit(behind)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if not gate.is_open():
                    self.close_connection = True
                    self.connection.close()
                    return
                time.sleep(gate.seconds)
                length = int(self.headers.get("Content-Length", "0"))
                body = self.rfile.read(length) if length else None
                if gate.login and self.headers.get("Authorization") != gate.login:
                    self._send(401, "text/html", b"who are you?")
                    return
                assert host.hostname is not None
                onward = http.client.HTTPConnection(host.hostname, host.port, timeout=60)
                names = ("Content-Type", "Content-Length")
                headers = {n: self.headers[n] for n in names if n in self.headers}
                onward.request(self.command, self.path, body, headers)
                answer = onward.getresponse()
                self._send(answer.status, answer.headers["Content-Type"], answer.read())
                onward.close()
                gate.answered.append(self.path)

            def _send(self, status: int, kind: str, data: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind or "text/plain")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

            def log_message(self, *_: Any) -> None: ...

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None: ...

        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.uri = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def gate(mlflow_server: str, monkeypatch: pytest.MonkeyPatch, bench: Workbench) -> Iterator[Gate]:
    """The server of the deployment, behind a gate."""
    gate = Gate(mlflow_server)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", gate.uri)
    yield gate
    gate.is_open = lambda: False
    gate.server.shutdown()
    gate.server.server_close()


def _deliver(bench: Workbench, **options: Any) -> None:
    """Have what waits delivered, as the sensor does."""
    deadline = time.monotonic() + 180
    while list(spools_in(bench.project.state_folder)):
        assert time.monotonic() < deadline
        replay_spools(bench.root, at_once=True, **options)


def _run_of(uri: str, run_id: str) -> Any:
    """The MLflow run of a run of Dagster's; there is one and no more."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    experiments = [e.experiment_id for e in client.search_experiments()]
    (run,) = client.search_runs(experiments, filter_string=f"tags.`dagster.run_id` = '{run_id}'")
    return client, run


def _output(ran: Ran) -> str:
    document = json.loads(Path(ran.metadata["executed_notebook"]).read_text())
    texts = [o.get("text", "") for cell in document["cells"] for o in cell.get("outputs", [])]
    return "".join("".join(text) for text in texts)


_EVERYTHING = """
import json, pathlib
import mlflow
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
mlflow.sklearn.autolog()
mlflow.start_run()
X, y = make_classification(60, 4, random_state=0)
model = LogisticRegression(C=0.5).fit(X, y)
run = mlflow.active_run()
for step in range(3):
    mlflow.log_metric("loss", 1 / (step + 1), step=step)
mlflow.log_metrics({"gain": 2.0, "pain": 0.5})
mlflow.log_param("rate", 0.1)
mlflow.log_params({"depth": 3})
mlflow.set_tag("mine", "yes")
pathlib.Path("words.txt").write_text("hello")
mlflow.log_artifact("words.txt", "texts")
mlflow.log_dict({"a": 1}, "a.json")
with mlflow.start_run(nested=True, run_name="fold 1") as child:
    mlflow.log_metric("inner", 7)
info = mlflow.sklearn.log_model(model, name="churn_model")
assert list(mlflow.sklearn.load_model(info.model_uri).predict(X)) == list(model.predict(X))
assert mlflow.get_run(run.info.run_id).data.metrics["loss"] == 1 / 3
assert mlflow.get_run(child.info.run_id).data.metrics == {"inner": 7.0}
"""


def _check_everything(uri: str, run_id: str) -> None:
    client, run = _run_of(uri, run_id)
    assert run.info.status == "FINISHED"
    assert {"rate": "0.1", "depth": "3", "C": "0.5"}.items() <= run.data.params.items()
    assert run.data.metrics["gain"] == 2.0
    assert "training_score" in run.data.metrics
    losses = client.get_metric_history(run.info.run_id, "loss")
    assert [(m.step, m.value) for m in losses] == [(0, 1.0), (1, 0.5), (2, 1 / 3)]
    assert (run.data.tags["mine"], run.data.tags["estimator_name"]) == ("yes", "LogisticRegression")
    path = client.download_artifacts(run.info.run_id, "texts/words.txt")
    assert Path(path).read_text() == "hello"
    names = {Path(file.path).suffix for file in client.list_artifacts(run.info.run_id)}
    assert {".ipynb", ".json", ".png"} <= names
    parent = f"tags.`mlflow.parentRunId` = '{run.info.run_id}'"
    (child,) = client.search_runs([run.info.experiment_id], filter_string=parent)
    assert (child.info.run_name, child.info.status) == ("fold 1", "FINISHED")
    assert child.data.metrics == {"inner": 7.0}
    models = client.search_logged_models([run.info.experiment_id])
    own = {m.name: m for m in models if m.source_run_id == run.info.run_id}
    assert set(own) == {"model", "churn_model"}
    made = own["churn_model"]
    assert str(made.status) == "READY"
    assert {m.model_id for m in run.outputs.model_outputs} == {m.model_id for m in own.values()}
    _check_model(uri, made.model_id, run.info.run_id)


def _check_model(uri: str, model_id: str, run_id: str) -> None:
    """The model can be used from there, and its description names what the server knows."""
    code = (
        "import sys, mlflow\n"
        "mlflow.set_tracking_uri(sys.argv[1])\n"
        "uri = f'models:/{sys.argv[2]}'\n"
        "mlflow.sklearn.load_model(uri)\n"
        "found = mlflow.models.Model.load(uri)\n"
        "print(found.run_id, found.model_id)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, uri, model_id], capture_output=True, text=True
    )
    assert done.stdout.split() == [run_id, model_id], done.stderr


def test_everything_that_a_notebook_logs_arrives(bench: Workbench, gate: Gate) -> None:
    bench.notebook("n.ipynb", [_EVERYTHING])
    bench.component("n", "notebook: n.ipynb")

    ran = bench.run("n")

    assert ran.success, ran.failure
    _check_everything(gate.uri, ran.result.run_id)
    assert not list(spools_in(bench.project.state_folder))


def test_the_same_in_a_store_without_a_server(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    bench.notebook("n.ipynb", [_EVERYTHING])
    bench.component("n", "notebook: n.ipynb")

    ran = bench.run("n")

    assert ran.success, ran.failure
    _check_everything(embedded_store(bench.project.state_folder), ran.result.run_id)


def test_a_server_that_is_down_from_the_start_gets_everything_later(
    bench: Workbench, gate: Gate
) -> None:
    gate.is_open = lambda: False
    bench.notebook("n.ipynb", [_EVERYTHING])
    bench.component("n", "notebook: n.ipynb")

    ran = bench.run("n")

    assert ran.success, ran.failure
    assert gate.answered == []
    assert [line for line in bench.logs(ran) if line.startswith("MLflow does not answer")] == [
        "MLflow does not answer, and gets this run later: the MLflow server does not answer "
        "(RemoteDisconnected)"
    ]
    gate.is_open = lambda: True
    _deliver(bench)
    _check_everything(gate.uri, ran.result.run_id)


def test_a_server_that_goes_down_meanwhile_gets_the_rest_later(
    bench: Workbench, gate: Gate, tmp_path: Path
) -> None:
    down = tmp_path / "down"
    gate.is_open = lambda: not down.exists()
    bench.notebook(
        "n.ipynb",
        [
            "import time, pathlib\nimport mlflow\nmlflow.log_metric('before', 1)",
            f"time.sleep(3)\npathlib.Path({str(down)!r}).touch()",
            """
            mlflow.log_metric("after", 2)
            with mlflow.start_run(nested=True, run_name="late"):
                mlflow.log_param("who", "late")
            """,
        ],
    )
    bench.component("n", "notebook: n.ipynb")

    ran = bench.run("n")

    assert ran.success, ran.failure
    down.unlink()
    _deliver(bench)
    client, run = _run_of(gate.uri, ran.result.run_id)
    wanted = {"before": 1.0, "after": 2.0}
    assert wanted.items() <= run.data.metrics.items()
    assert run.info.status == "FINISHED"
    parent = f"tags.`mlflow.parentRunId` = '{run.info.run_id}'"
    (late,) = client.search_runs([run.info.experiment_id], filter_string=parent)
    assert late.data.params == {"who": "late"}


def test_a_server_that_hardly_answers_holds_no_notebook_up(bench: Workbench, gate: Gate) -> None:
    gate.seconds = 3600.0
    bench.notebook(
        "n.ipynb",
        [
            "import mlflow\nfor step in range(200): mlflow.log_metric('loss', step, step=step)",
            "with mlflow.start_run(nested=True): mlflow.log_text('hello', 'a.txt')",
        ],
    )
    bench.component("n", "notebook: n.ipynb")

    ran = bench.run("n")

    assert ran.success, ran.failure
    assert gate.answered == []


def test_nothing_acknowledged_is_lost_when_the_run_is_killed(
    bench: Workbench, mlflow_store: str, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    bench.notebook(
        "n.ipynb",
        [
            "import pathlib, time\nimport mlflow",
            """
            mlflow.log_param("who", "me")
            mlflow.log_text("kept", "notes.txt")
            for step in range(100_000):
                mlflow.log_metric("loss", step, step=step)
                # In one step: it may be killed at any moment.
                pathlib.Path(TOLD + ".new").write_text(str(step))
                pathlib.Path(TOLD + ".new").replace(TOLD)
            """.replace("TOLD", repr(str(told))),
        ],
    )
    bench.component("n", "notebook: n.ipynb")
    code = (
        "import sys, dagster as dg\n"
        "from pathlib import Path\n"
        "from dagbook.location import load_project\n"
        "from dagbook.project import find_project\n"
        "defs = load_project(find_project(Path(sys.argv[1])))\n"
        "job = defs.resolve_implicit_global_asset_job_def()\n"
        "job.execute_in_process(instance=dg.DagsterInstance.ephemeral(),"
        " asset_selection=[dg.AssetKey('n')])\n"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", code, str(bench.root)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not told.exists() or int(told.read_text() or 0) < 50:
        assert worker.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    (folder,) = (bench.project.state_folder / SPOOL_FOLDER).iterdir()
    run_id = folder.name.rpartition("-n-")[0]

    _deliver(bench)

    client, run = _run_of(mlflow_store, run_id)
    assert run.info.status == "KILLED"
    assert run.data.params["who"] == "me"
    acknowledged = int(told.read_text())
    steps = [m.step for m in client.get_metric_history(run.info.run_id, "loss")]
    assert steps == list(range(len(steps)))
    assert len(steps) > acknowledged
    path = client.download_artifacts(run.info.run_id, "notes.txt")
    assert Path(path).read_text() == "kept"


def test_the_servers_login_is_nowhere_that_the_notebook_sees(
    bench: Workbench, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = "me:a-word-for-the-server"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", gate.uri.replace("//", f"//{login}@"))
    gate.login = "Basic bWU6YS13b3JkLWZvci10aGUtc2VydmVy"
    bench.notebook(
        "n.ipynb",
        [
            "import mlflow\nmlflow.log_metric('loss', 1)\nmlflow.search_experiments()",
            """
            import os, pathlib
            def seen():
                yield repr(dict(os.environ))
                for path in pathlib.Path("/proc").glob("[0-9]*/*"):
                    if path.name in ("environ", "cmdline"):
                        try: yield path.read_bytes().decode("latin-1")
                        except OSError: pass
                for path in pathlib.Path(".dagbook").rglob("*"):
                    if path.is_file(): yield path.read_bytes().decode("latin-1")
            half = "a-word-for" + "-the-server"
            print("SEEN", sum(half in text for text in seen()))
            """,
        ],
    )
    bench.component("n", "notebook: n.ipynb")

    ran = bench.run("n")

    assert ran.success, ran.failure
    assert "SEEN 0" in _output(ran)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "me")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "a-word-for-the-server")
    _, run = _run_of(gate.uri, ran.result.run_id)
    assert run.data.metrics["loss"] == 1.0


_PLATFORM = """
tracking: {{tracking_uri: {uri}, connection: mlflow_prod}}
connections:
  mlflow_prod:
    provider: environment
    key: WORD_OF_THE_PLATFORM
    variables: MLFLOW_TRACKING_TOKEN
    hosts: ["127.0.0.1"]{more}
"""


def test_a_login_of_a_connection_is_fetched_anew_for_what_is_delivered_later(
    bench: Workbench, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    word = "a-token-for-the-server"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.setenv("WORD_OF_THE_PLATFORM", word)
    gate.login = f"Bearer {word}"
    gate.is_open = lambda: False
    bench.platform(_PLATFORM.format(uri=gate.uri, more=""))
    bench.notebook("n.ipynb", [f"import mlflow\nmlflow.log_metric('loss', 1)\nassert {word!r}"])
    bench.component("n", "notebook: n.ipynb")

    ran = bench.run("n")

    assert ran.success, ran.failure
    (spool,) = spools_in(bench.project.state_folder)
    written = b"".join(p.read_bytes() for p in spool.folder.rglob("*") if p.is_file())
    assert word.encode() not in written
    gate.is_open = lambda: True
    bench.platform(_PLATFORM.format(uri=gate.uri, more="\n    revoked: found in a notebook"))
    assert replay_spools(bench.root, at_once=True) == [
        f"{spool.folder.name}: waits for its login to MLflow: connection `mlflow_prod` is revoked: "
        "found in a notebook"
    ]
    bench.platform(_PLATFORM.format(uri=gate.uri, more=""))
    _deliver(bench)
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", word)
    _, run = _run_of(gate.uri, ran.result.run_id)
    assert run.data.metrics["loss"] == 1.0


def test_a_login_of_a_connection_reaches_the_server_and_not_the_kernel(
    bench: Workbench, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    word = "a-token-for-the-server"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.setenv("WORD_OF_THE_PLATFORM", word)
    gate.login = f"Bearer {word}"
    bench.platform(_PLATFORM.format(uri=gate.uri, more=""))
    bench.notebook("n.ipynb", ["import mlflow, os\nmlflow.log_metric('loss', 1)", _SEEN])
    bench.component("n", "notebook: n.ipynb")

    ran = bench.run("n")

    assert ran.success, ran.failure
    assert "SEEN 0" in _output(ran)
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", word)
    _, run = _run_of(gate.uri, ran.result.run_id)
    assert run.data.metrics["loss"] == 1.0


_SEEN = """
names = [name for name in os.environ if "WORD" in name or "TOKEN" in name or "PASS" in name]
print("SEEN", sum("token-for" + "-the-server" in value for value in os.environ.values()), names)
mlflow.search_experiments()
"""


def test_a_notebook_that_names_its_server_gets_no_login(
    bench: Workbench, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", gate.uri.replace("//", "//me:a-word@"))
    bench.notebook(
        "n.ipynb",
        [
            "import os\nprint(os.environ['MLFLOW_TRACKING_URI'])",
            "if False:\n    import mlflow\n    mlflow.set_tracking_uri('http://x')",
        ],
    )
    bench.component("n", "notebook: n.ipynb")

    assert _output(bench.run("n")) == f"{gate.uri}\n"


def test_a_notebook_that_does_not_speak_of_mlflow_has_no_recorder(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_recorder(*_: Any) -> None:
        raise AssertionError("started")

    monkeypatch.setattr("dagbook.notebook_runner.recording.AuthorRecorder", no_recorder)
    bench.notebook("n.ipynb", ["1"])
    bench.component("n", "notebook: n.ipynb")

    assert bench.run("n").success


def test_a_proxy_of_the_deployment_is_not_asked_for_the_recorder(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    bench.notebook("n.ipynb", ["import mlflow\nmlflow.log_metric('loss', 1)"])
    bench.component("n", "notebook: n.ipynb")

    assert bench.run("n").success


def test_no_process_of_a_recorder_is_left(bench: Workbench) -> None:
    bench.notebook("n.ipynb", ["import mlflow, os\nmlflow.log_metric('loss', 1)\n1 / 0"])
    bench.component("n", "notebook: n.ipynb")

    bench.run("n")

    own = [
        child
        for child in _children(os.getpid())
        if b"dagbook.recorder" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]
    assert own == []


def _children(pid: int) -> list[int]:
    told = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in told.split()]
