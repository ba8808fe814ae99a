"""Where a notebook's own `mlflow.*` calls go: to a recorder beside the run, which keeps them."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping, Sequence
from typing import Any

from dagbook.credentials.delivery import Secret
from dagbook.recorder.names import new_experiment_id, new_run_id
from dagbook.recorder.start import Recorder
from dagbook.sinks.sender import wake
from dagbook.sinks.spool import Head, OwnSpool

#: How long MLflow's client in the kernel waits for the recorder, in seconds: longer than that waits
#: for a server which is asked to read something back.
TIMEOUT_SECONDS = 60

_PROXIES = ("http_proxy", "https_proxy", "all_proxy")


class AuthorRecorder:
    """The recorder of one run, and what the kernel is told of it."""

    def __init__(self, spool: OwnSpool) -> None:
        """Start its process, which takes a moment.

        Raises:
            OSError: there can be no such process.
        """
        self._spool = spool
        self._recorder = Recorder(spool.owner)
        self._managed: dict[str, Any] = {}

    def begin(
        self,
        head: Head,
        state: Mapping[str, Any],
        *,
        uri: str,
        artifacts: str | None,
        login: Mapping[str, str],
        secrets: Sequence[Secret],
    ) -> None:
        """Have it record.

        Args:
            head: what the run is.
            state: what MLflow calls it, as far as that is known by now; names of our own serve
                until it is.
            uri: the server or store.
            artifacts: where a store without a server keeps files.
            login: the server's login, as `MLFLOW_TRACKING_…`.
            secrets: what is masked.

        Raises:
            OSError: it does not come up.
        """
        user = _user()
        self._managed = {
            "run": state.get("run_id") or new_run_id(),
            "experiment": state.get("experiment_id") or new_experiment_id(),
            "experiment_name": head.experiment,
            "name": head.run_name,
            "user": user,
            "tags": {**head.tags, "mlflow.source.name": head.notebook, "mlflow.user": user},
            "time": int(head.started_at * 1000),
        }
        self._recorder.begin(
            self._spool.folder,
            managed=self._managed,
            uri=uri,
            artifacts=artifacts,
            variables=login,
            masked=[(secret.value, secret.label) for secret in secrets],
            wake=wake,
        )

    def learn(self, secrets: Sequence[Secret], login: Mapping[str, str]) -> None:
        """Know credentials that were fetched anew, before the kernel does."""
        self._recorder.learn([(secret.value, secret.label) for secret in secrets], login)

    @property
    def experiment_id(self) -> str:
        """The experiment as the notebook knows it."""
        return str(self._managed["experiment"])

    @property
    def environment(self) -> dict[str, str]:
        """What makes `mlflow.*` calls in the notebook come here."""
        found = {
            "MLFLOW_TRACKING_URI": self._recorder.uri,
            "MLFLOW_RUN_ID": str(self._managed["run"]),
            "MLFLOW_EXPERIMENT_ID": self.experiment_id,
            # The link it prints would lead to the recorder, which is gone when somebody clicks.
            "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        }
        if "MLFLOW_HTTP_REQUEST_TIMEOUT" not in os.environ:
            found["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(TIMEOUT_SECONDS)
        return {**found, **_past_proxies()}

    def end(self) -> None:
        """Take no more; what it has acknowledged is in the spool."""
        self._recorder.end()


def _past_proxies() -> dict[str, str]:
    names = {name.lower() for name in os.environ}
    if names.isdisjoint(_PROXIES):
        return {}
    before = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    value = f"{before},127.0.0.1" if before else "127.0.0.1"
    return {"no_proxy": value, "NO_PROXY": value}


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""  # a number without a name, in a container
