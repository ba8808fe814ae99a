"""The one place where dagstermill is imported, and where it is touched below its public face.

dagstermill runs a notebook inside an asset that it makes as a whole. To have it do its work inside
an asset of ours, three things are taken that it does not offer; a test fails when one moves:

- the function of its asset, `define_dagstermill_asset(…).op.compute_fn.decorated_fn`;
- what that function reads of the context it is given: `run_config`, and the step's
  `instance.storage_directory()`, which is where it keeps the notebook of a failed run;
- the translator it registers with papermill as it is imported, which is put back.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg

from dagbook.execution.translators import restore_python_translator

REMEDY = "pip install 'dagbook[dagstermill]'"


def is_installed() -> bool:
    """Whether there is a dagstermill to import; this does not import it."""
    return importlib.util.find_spec("dagstermill") is not None


def load_dagstermill() -> Any:
    """Import dagstermill, and give papermill back what the import takes away."""
    import dagstermill

    restore_python_translator()
    return dagstermill


def run_in_dagstermill(
    op_context: Any,
    *,
    name: str,
    notebook: Path,
    inputs: Sequence[str],
    run_config: Mapping[str, Any],
    failed_notebooks: Path,
) -> Iterator[Any]:
    """Run a notebook as dagstermill's own asset does; yields what that asset would yield.

    Args:
        op_context: Dagster's context of the op.
        name: of the asset, for dagstermill's log.
        inputs: the names under which the kernel loads values of other assets.
        run_config: the run's, as the notebook is to see it.
        failed_notebooks: where the notebook of a failed run is put.
    """
    asset = load_dagstermill().define_dagstermill_asset(
        name=name, notebook_path=str(notebook), save_notebook_on_failure=True
    )
    compute = asset.op.compute_fn.decorated_fn
    step = op_context.get_step_execution_context()
    instance = _Overlay(step.instance, storage_directory=lambda: str(failed_notebooks))
    config = dict(run_config)
    step = _Overlay(step, run_config=config, instance=instance)
    context = _Overlay(op_context, run_config=config, get_step_execution_context=lambda: step)
    # It asks for the names only: the kernel loads the values itself.
    yield from compute(context, **dict.fromkeys(inputs))


def local_io_manager(context: Any, folder: Path) -> Any:
    """dagstermill's own IO manager for executed notebooks, writing below `folder`."""
    with without_beta_warnings():
        manager = load_dagstermill().ConfigurableLocalOutputNotebookIOManager(base_dir=str(folder))
        return manager.create_io_manager(context)


@contextmanager
def without_beta_warnings() -> Iterator[None]:
    """Keep quiet that dagstermill may change: whoever runs a notebook cannot act on it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        yield


class _Overlay:
    """An object with some of its attributes replaced."""

    def __init__(self, below: Any, **above: Any) -> None:
        self.__dict__.update(above)
        self.__dict__["_below"] = below

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_below"], name)
