"""The environment a kernel gets: an allow-list, not the environment of the step."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from string import Template
from urllib.parse import urlsplit

from dagbook.environment_names import ALLOWED_NAMES, ALLOWED_PREFIXES, PROXY_NAMES

#: How long the author's own `mlflow.*` calls wait, unless somebody says otherwise: about half a
#: minute for a server that refuses, about two for one that never answers. MLflow itself would
#: take four, sixteen, or as long as a server asks it to.
MLFLOW_PATIENCE = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "4",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
}


def kernel_environment(
    step: Mapping[str, str],
    *,
    kernelspec: Mapping[str, str],
    extra: Mapping[str, str],
    project_root: Path | None,
) -> dict[str, str]:
    """Choose what of the step's environment a kernel gets, and add what the run gives it.

    Args:
        step: the environment of the process that runs the notebook.
        kernelspec: the ``env`` of the kernel's ``kernel.json``; ``${NAME}`` in it refers to
            the step's environment, as in Jupyter.
        extra: variables of this run; they win.
        project_root: made importable, after the notebook's own folder.
    """
    chosen = {name: value for name, value in step.items() if _allowed(name, value)}
    for name, value in kernelspec.items():
        chosen[name] = Template(value).safe_substitute(step)
    chosen.update(extra)
    if project_root is not None:
        before = chosen.get("PYTHONPATH")
        chosen["PYTHONPATH"] = (
            f"{before}{os.pathsep}{project_root}" if before else str(project_root)
        )
    # ipykernel and debugpy print advice about themselves into the kernel's log otherwise.
    chosen.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    for name, value in MLFLOW_PATIENCE.items():
        chosen.setdefault(name, value)
    return chosen


def _allowed(name: str, value: str) -> bool:
    if name in ALLOWED_NAMES or name.startswith(ALLOWED_PREFIXES):
        return True
    return name.upper() in PROXY_NAMES and not _has_login(value)


def _has_login(url: str) -> bool:
    try:
        return "@" in urlsplit(url if "//" in url else f"//{url}").netloc
    except ValueError:
        return True
