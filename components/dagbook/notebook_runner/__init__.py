"""The Dagster component that runs a notebook as an asset."""

from dagbook.notebook_runner.component import NotebookRunnerComponent

__all__ = ["NotebookRunnerComponent"]
