"""A notebook that uses the recorder for what it is not meant for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Recording, Stranger

    Record = Callable[..., Recording]


@pytest.mark.parametrize(
    "location", ["http://{host}/x", "mlflow-artifacts://{host}/x", "file://{folder}/x"]
)
def test_a_notebook_does_not_choose_where_files_lie(
    record: Record, nowhere: str, stranger: Stranger, tmp_path: Path, location: str
) -> None:
    # Its login, and the rights of the user that runs it, go wherever files are brought.
    recording = record(nowhere)
    where = location.format(host=stranger.uri.removeprefix("http://"), folder=tmp_path)

    status, answer = recording.post(
        "/mlflow/experiments/create", {"name": "elsewhere", "artifact_location": where}
    )

    assert (status, answer["message"]) == (
        400,
        "a run does not choose where the files of an experiment lie: leave artifact_location out, "
        "and they lie where the tracking server keeps them",
    )
    assert len(recording.calls) == 1


def test_files_of_an_experiment_elsewhere_do_not_take_the_login_along(
    record: Record, stranger: Stranger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    from dagbook.sinks.mlflow import embedded_store

    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "secret-word")
    recording = record()
    recording.deliver()
    # Made by somebody who asks nobody: a database accepts any address, as older servers do.
    client = MlflowClient(tracking_uri=embedded_store(recording.spool.state_folder))
    experiment = client.create_experiment(tmp_path.name, artifact_location=f"{stranger.uri}/x")
    run_id = client.create_run(experiment).info.run_id
    # MLflow's client would go there itself, with the notebook's own login: none.
    where = f"/mlflow-artifacts/artifacts/dagbook/run/{run_id}/artifacts/a.txt"
    assert recording.post(where, b"hello", method="PUT") == (200, {})

    recording.end()
    delivery = recording.deliver()

    assert stranger.asked == []
    assert delivery.notes == [
        f"a file of the notebook's was not recorded: the experiment keeps its files at "
        f"{client.get_run(run_id).info.artifact_uri}, which is not the tracking server, so "
        "neither they nor the login are sent there: use another experiment"
    ]


@pytest.mark.parametrize(
    "path",
    [
        "/mlflow/traces/../experiments/delete",
        "/mlflow/traces/%2e%2e/experiments/delete",
        "/mlflow/traces/%252e%252e%252fexperiments/delete",
        "/mlflow/traces/..;/experiments/delete",
        "/mlflow/traces/..%5cexperiments/delete",
        "/mlflow-artifacts/artifacts/../../mlflow/experiments/delete",
    ],
)
def test_no_path_leads_to_what_is_refused(record: Record, stranger: Stranger, path: str) -> None:
    recording = record(stranger.uri, login={"MLFLOW_TRACKING_TOKEN": "secret-word"})
    (recording.spool.folder / "state.json").write_text('{"calls": 1000000}')

    status, answer = recording.post(path, {"experiment_id": "0"})

    assert (status, answer["error_code"]) == (404, "ENDPOINT_NOT_FOUND")
    assert answer["message"].endswith(": its path leads out of itself")
    assert stranger.asked == []


@pytest.mark.parametrize("form", ["hunter22/and more", "hunter22%2Fand%20more"])
def test_secrets_are_masked_in_what_is_asked_too(
    record: Record, stranger: Stranger, form: str
) -> None:
    recording = record(stranger.uri, masked=[("hunter22/and more", "DB")])
    (recording.spool.folder / "state.json").write_text('{"calls": 1000000}')
    asked = form.replace(" ", "+")

    recording.post(f"/mlflow/registered-models/get?name=x-{asked}", None, method="GET")
    recording.post(f"/mlflow/experiments/get-by-name?experiment_name={asked}", None, method="GET")
    recording.post(f"/mlflow-artifacts/artifacts/0/f/artifacts/{form.partition(' ')[0]}", b"x")
    recording.post("/mlflow/registered-models/create", {"name": "hunter22/and more"})

    told = "\n".join(f"{path} {headers} {body!r}" for _, path, headers, body in stranger.asked)
    assert "hunter22" not in told
    assert "***DB***" in told


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/mlflow/runs/log-metric", {"key": "a", "value": 10**400}),
        ("/mlflow/runs/log-inputs", {"datasets": [{"dataset": {"name": "d"}, "tags": [{}]}]}),
        ("/mlflow/runs/log-inputs", {"datasets": [{"dataset": {"name": "d"}}], "models": [{}]}),
        ("/mlflow/runs/outputs", {"models": [{"step": "x"}]}),
        ("/mlflow/runs/log-batch", {"tags": [{"key": "a", "value": {"b": 1}}]}),
        ("/mlflow/runs/log-batch", {"params": [{"key": "a", "value": "half \ud83d"}]}),
        ("/mlflow/runs/update", {"run_id": "../../x", "run_name": "a"}),
        ("/mlflow/runs/create", {"experiment_id": "0\n"}),
    ],
)
def test_what_nobody_could_deliver_is_refused(
    record: Record, nowhere: str, path: str, body: dict[str, Any]
) -> None:
    recording = record(nowhere)

    status, answer = recording.post(path, {"run_id": recording.run_id, **body})

    assert (status, answer["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert len(recording.calls) == 1


def test_a_server_that_does_not_speak_http_is_told_at_once(record: Record) -> None:
    import socket
    import threading

    listener = socket.create_server(("127.0.0.1", 0))

    def babble() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(b"what?\r\n\r\n")

    threading.Thread(target=babble, daemon=True).start()
    recording = record(f"http://127.0.0.1:{listener.getsockname()[1]}")
    (recording.spool.folder / "state.json").write_text('{"calls": 1000000}')

    status, answer = recording.post("/mlflow/runs/search", {"experiment_ids": ["0"]})
    listener.close()

    assert (status, answer["error_code"]) == (424, "TEMPORARILY_UNAVAILABLE")
    assert answer["message"] == "the MLflow server does not answer (BadStatusLine)"
