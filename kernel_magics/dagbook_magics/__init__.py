"""dagbook inside a notebook: what a cell's role means, shown below the cell as it runs.

```python
%load_ext dagbook
```

Nothing of Dagster, MLflow or pandas is imported into the kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["load_ipython_extension", "unload_ipython_extension"]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Understand `%%dagster` first lines, and show what production makes of their cells."""
    from dagbook_magics.extension import load

    load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Leave the shell as it was."""
    from dagbook_magics.extension import unload

    unload(shell)
