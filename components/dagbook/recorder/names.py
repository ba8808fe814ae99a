"""Names of ours for what the server will name itself, and addresses of artifacts."""

from __future__ import annotations

import re
import secrets

#: Where artifacts of ours lie, seen from MLflow's client: it sends them to the recorder.
ARTIFACT_SCHEME = "mlflow-artifacts:"
_ROOT = re.compile(r"/?dagbook/(run|model)/([^/]+)/artifacts(?:/(.*))?")


def new_run_id() -> str:
    """As MLflow's: 32 digits of 16."""
    return secrets.token_hex(16)


def new_model_id() -> str:
    """As MLflow's."""
    return f"m-{secrets.token_hex(16)}"


def new_experiment_id() -> str:
    """As MLflow's, a number, and long enough to stand nowhere else."""
    return str(10**17 + secrets.randbelow(9 * 10**17))


def artifact_root(kind: str, owner: str) -> str:
    """The address of the artifacts of a ``run`` or ``model``."""
    return f"{ARTIFACT_SCHEME}/dagbook/{kind}/{owner}/artifacts"


def owner_of(path: str) -> tuple[str, str, str] | None:
    """Of a path below the address of artifacts: kind, owner, and the path below theirs."""
    found = _ROOT.fullmatch(path)
    return None if found is None else (found[1], found[2], found[3] or "")
