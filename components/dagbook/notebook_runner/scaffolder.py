"""Writes the YAML for ``dg scaffold defs dagbook.NotebookRunnerComponent``."""

import sys
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import BaseModel, Field

from dagbook.errors import DagbookError
from dagbook.notebook_runner.versions import VERSION_KEY


class ScaffoldParams(BaseModel):
    """What ``dg scaffold`` asks for."""

    notebook: str = Field(description="The notebook to run, relative to the project.")
    schedule: str | None = Field(
        default=None, description='When to run, as a cron line: "0 6 * * *".'
    )
    timezone: str | None = Field(
        default=None, description="The time zone of the schedule, such as Europe/Berlin."
    )
    compute_size: str | None = Field(default=None, description="The size, such as medium.")


class NotebookRunnerScaffolder(dg.Scaffolder[ScaffoldParams]):
    """Writes a complete ``defs.yaml`` for one notebook."""

    @classmethod
    def get_scaffold_params(cls) -> type[ScaffoldParams]:
        """The options of ``dg scaffold defs``."""
        return ScaffoldParams

    def scaffold(self, request: dg.ScaffoldRequest[ScaffoldParams]) -> None:
        """Write the YAML.

        Raises:
            DagbookError: a time zone without a schedule.
        """
        params = request.params
        attributes: dict[str, Any] = {"notebook": _in_project(params.notebook, request)}
        if params.timezone is not None and params.schedule is None:
            raise DagbookError("a time zone needs a schedule: add --schedule")
        if params.schedule is not None:
            attributes["schedule"] = (
                {"cron": params.schedule, "timezone": params.timezone}
                if params.timezone is not None
                else params.schedule
            )
        if params.compute_size is not None:
            attributes["compute_size"] = params.compute_size
        version = _version_of(request.type_name)
        if version > 1:
            # Left out, it would be 1.
            attributes[VERSION_KEY] = version
        dg.scaffold_component(request, attributes)


def _version_of(type_name: str) -> int:
    """The version of the attributes that a company's component reads."""
    module, _, name = type_name.rpartition(".")
    found = getattr(sys.modules.get(module), name, None)
    return getattr(found, "current_schema_version", 1)


def _in_project(notebook: str, request: dg.ScaffoldRequest[ScaffoldParams]) -> str:
    # Typed in a shell, a path is completed from the folder one is in.
    root = request.project_root
    if root is None or (root / notebook).exists():
        return notebook
    here = Path(notebook).absolute()
    if here.exists() and here.is_relative_to(root):
        return here.relative_to(root).as_posix()
    return notebook
