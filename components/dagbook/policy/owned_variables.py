"""The environment variables that a run sets itself, and that no connection may set."""

from __future__ import annotations

#: What begins so logs in to the tracking server: the runner keeps it, a kernel never sees it.
TRACKING_PREFIX = "MLFLOW_TRACKING_"

#: The machine's, the kernel's, and those by which a program loads other code than it was to.
_NAMES = frozenset(
    [
        "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TERM", "HOSTNAME",
        "TMPDIR", "TMP", "TEMP", "PWD", "VIRTUAL_ENV", "MPLBACKEND", "MPLCONFIGDIR", "IPYTHONDIR",
        "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "JAVA_HOME",
        "JAVA_TOOL_OPTIONS", "JULIA_DEPOT_PATH", "SPARK_HOME", "SPARK_LOCAL_IP", "PYSPARK_PYTHON",
        "PYSPARK_DRIVER_PYTHON", "HADOOP_CONF_DIR", "OMP_NUM_THREADS", "MKL_NUM_THREADS",
        "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "BASH_ENV", "ENV", "IFS", "GLIBC_TUNABLES",
        "NODE_OPTIONS", "PERL5OPT", "PERL5LIB", "RUBYOPT", "GIT_SSH_COMMAND", "KERNEL_ID",
        "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID",
        "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_CONTEXT",
    ]
)  # fmt: skip
_PREFIXES = (
    "DAGBOOK_", "DAGSTER_", "JPY_", "JUPYTER_", "PYTHON", "PYDEVD_", "LD_", "DYLD_", "LC_", "XDG_",
    "CONDA_", "NVIDIA_", "CUDA_", "R_HOME", "R_LIBS", "R_PROFILE", "R_ENVIRON", "MLFLOW_HTTP_",
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
