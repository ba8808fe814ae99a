"""Run a notebook as dagstermill's own asset, in process: ``python dagstermill_asset.py NB FOLDER``."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import dagster as dg
from dagstermill import ConfigurableLocalOutputNotebookIOManager, define_dagstermill_asset

# dagstermill's kernel imports this file anew to rebuild the job, hence the environment.
NOTEBOOK = "DAGBOOK_BENCH_NOTEBOOK"
OUTPUT = "DAGBOOK_BENCH_OUTPUT"


def notebook_job() -> dg.JobDefinition:
    """A job of one dagstermill asset."""
    asset = define_dagstermill_asset(name="subject", notebook_path=os.environ[NOTEBOOK])
    store = ConfigurableLocalOutputNotebookIOManager(base_dir=os.environ[OUTPUT])
    definitions = dg.Definitions(
        assets=[asset],
        resources={"output_notebook_io_manager": store},
        jobs=[dg.define_asset_job("job", selection=[asset.key])],
        executor=dg.in_process_executor,
    )
    return definitions.resolve_job_def("job")


def main(notebook: str, output: str) -> int:
    """Run it on a fresh instance of its own; 0 when it succeeded."""
    os.environ[NOTEBOOK] = str(Path(notebook).resolve())
    os.environ[OUTPUT] = str(Path(output).resolve())
    with tempfile.TemporaryDirectory() as home:
        instance = dg.DagsterInstance.local_temp(home)
        result = dg.execute_job(dg.reconstructable(notebook_job), instance=instance)
        return 0 if result.success else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
