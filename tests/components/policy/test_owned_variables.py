"""What a run sets itself belongs to no connection."""

from __future__ import annotations

import pytest

from dagbook.credentials import delivery
from dagbook.environment_names import ALLOWED_NAMES, ALLOWED_PREFIXES, PROXY_NAMES
from dagbook.execution.environment import MLFLOW_PATIENCE, kernel_environment
from dagbook.policy.owned_variables import TRACKING_PREFIX, is_owned_by_run, variable_problem


def test_what_reaches_a_kernel_from_the_machine_is_the_runs() -> None:
    names = [*ALLOWED_NAMES, *(f"{prefix}X" for prefix in ALLOWED_PREFIXES), *MLFLOW_PATIENCE]
    assert [name for name in names if not is_owned_by_run(name)] == []
    given = kernel_environment(
        dict.fromkeys(ALLOWED_NAMES, "x"), kernelspec={}, extra={}, project_root=None
    )
    assert [name for name in given if not is_owned_by_run(name)] == []


def test_a_login_to_a_proxy_may_come_from_a_connection() -> None:
    assert not any(map(is_owned_by_run, PROXY_NAMES))


@pytest.mark.parametrize(
    "name",
    ["DAGBOOK_CONTEXT", "DAGSTER_HOME", "JPY_PARENT_PID", "JUPYTER_TOKEN", "PYTHONSTARTUP",
     "LD_AUDIT", "BASH_ENV", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME", "R_PROFILE_USER"],
)  # fmt: skip
def test_what_a_run_sets_or_what_loads_other_code_is_the_runs(name: str) -> None:
    assert variable_problem(name) == f"`{name}` is set by the run itself: take another name"


@pytest.mark.parametrize(
    "name",
    ["DB_PASSWORD", "AWS_ACCESS_KEY_ID", "GOOGLE_APPLICATION_CREDENTIALS", "PGHOST", "HF_TOKEN",
     "OPENAI_API_KEY", "MLFLOW_TRACKING_TOKEN", "MLFLOW_S3_ENDPOINT_URL", "R_TOKEN", "path"],
)  # fmt: skip
def test_what_notebooks_usually_read_may_come_from_a_connection(name: str) -> None:
    assert variable_problem(name) is None


def test_a_login_to_the_tracking_server_begins_as_the_runner_knows_it() -> None:
    assert delivery.TRACKING_PREFIX == TRACKING_PREFIX
