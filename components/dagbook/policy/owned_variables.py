"""The environment variables that a run sets itself, and that no connection may set."""

from __future__ import annotations

from dagbook.environment_names import ALLOWED_NAMES, ALLOWED_PREFIXES

#: What begins so logs in to the tracking server: the runner keeps it, a kernel never sees it.
TRACKING_PREFIX = "MLFLOW_TRACKING_"

#: Besides what reaches a kernel from the machine: where its run is recorded, and by which programs
#: load other code than they were to.
_NAMES = ALLOWED_NAMES | {
    "PWD", "BASH_ENV", "ENV", "IFS", "GLIBC_TUNABLES", "JAVA_TOOL_OPTIONS", "NODE_OPTIONS",
    "PERL5OPT", "PERL5LIB", "RUBYOPT", "GIT_SSH_COMMAND", "MLFLOW_TRACKING_URI",
    "MLFLOW_REGISTRY_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME",
    "MLFLOW_RUN_CONTEXT",
}  # fmt: skip
_PREFIXES = (
    *ALLOWED_PREFIXES, "DAGBOOK_", "DAGSTER_", "JPY_", "JUPYTER_", "PYTHON", "PYDEVD_", "LD_",
    "DYLD_", "CUDA_", "R_LIBS", "R_PROFILE", "R_ENVIRON", "MLFLOW_HTTP_",
)  # fmt: skip


def is_owned_by_run(variable: str) -> bool:
    """Whether a run sets a variable itself, or it says which code a program loads."""
    return variable in _NAMES or variable.startswith(_PREFIXES)


def variable_problem(variable: str) -> str | None:
    """Why a connection may not set an environment variable; None when it may."""
    if variable == "MLFLOW_TRACKING_URI":
        return f"`{variable}` is set by the run itself: write the server as `tracking.tracking_uri`"
    if is_owned_by_run(variable):
        return f"`{variable}` is set by the run itself: take another name"
    return None
