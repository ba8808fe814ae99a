"""Asks a store that has no server: a database or a folder of files.

MLflow's own server answers, without a port: a process of its own, started when the first question
comes, calls it as a web server would. That is seconds of imports which most notebooks never need.

The one place that knows how MLflow's server is told its store; a test fails when that changes.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from io import BytesIO
from threading import Lock
from typing import Any

from dagbook.recorder.answers import not_now
from dagbook.recorder.passing import ANSWER_SECONDS, Passed


class EmbeddedStore:
    """A store in this machine's files, asked through a process beside this one."""

    def __init__(self, uri: str, artifacts: str | None) -> None:
        self._uri, self._artifacts = uri, artifacts
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = Lock()

    def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Any = None,
        seconds: float = ANSWER_SECONDS,
    ) -> Passed:
        """Ask it something; however long that takes, for it does answer.

        Raises:
            Refusal: it does not.
        """
        question = {
            "method": method,
            "path": path,
            "type": headers.get("content-type"),
            "body": base64.b64encode(body or b"").decode(),
        }
        with self._lock:
            try:
                process = self._running()
                assert process.stdin is not None and process.stdout is not None
                process.stdin.write(json.dumps(question).encode() + b"\n")
                process.stdin.flush()
                answer = json.loads(process.stdout.readline())
            except (OSError, ValueError):
                self._process = None
                raise not_now("the MLflow store cannot be read") from None
        data = base64.b64decode(answer["body"])
        if answer["status"] >= 500:
            raise not_now("the MLflow store cannot be read")
        return Passed(answer["status"], answer["type"], BytesIO(data), len(data))

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "dagbook.recorder.embedded"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            assert self._process.stdin is not None
            # A database's address may hold a login, which is in no process's environment from
            # outside: until that process hides, others of its user may read it.
            told = _server_variables(self._uri, self._artifacts)
            self._process.stdin.write(json.dumps(told).encode() + b"\n")
        return self._process


def _server_variables(uri: str, artifacts: str | None) -> dict[str, str]:
    # What `mlflow server` itself passes to the processes it starts.
    return {
        "_MLFLOW_SERVER_FILE_STORE": uri,
        "_MLFLOW_SERVER_REGISTRY_STORE": uri,
        **({"_MLFLOW_SERVER_ARTIFACT_ROOT": artifacts} if artifacts else {}),
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "false",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def _serve() -> None:
    # MLflow itself prints, and so may anything it loads.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    os.environ.update(json.loads(sys.stdin.readline()))
    from mlflow.server import app

    client = app.test_client()
    for line in sys.stdin:
        question = json.loads(line)
        answer = client.open(
            question["path"],
            method=question["method"],
            data=base64.b64decode(question["body"]) or None,
            content_type=question["type"],
            headers={"Host": "localhost"},
        )
        told = {
            "status": answer.status_code,
            "type": answer.content_type,
            "body": base64.b64encode(answer.get_data()).decode(),
        }
        out.write(json.dumps(told).encode() + b"\n")
        out.flush()


if __name__ == "__main__":
    from dagbook.recorder.private_process import hide, leave_signals_to_the_worker

    hide()
    leave_signals_to_the_worker()
    _serve()
