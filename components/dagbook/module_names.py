"""Names under which Python can import a project."""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
import unicodedata
from pathlib import Path


def module_name(name: str, root: Path | None = None) -> str:
    """Derive a module name from a folder's: ``Churn (2024)`` becomes ``churn_2024``.

    A name that another module already has, in Python or beside the project, would never load:
    it gets ``_project`` at its end.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    module = re.sub(r"[^a-z0-9]+", "_", plain.lower()).strip("_") or "project"
    if module[0].isdigit():
        module = f"project_{module}"
    if keyword.iskeyword(module) or _is_taken(module, root):
        module = f"{module}_project"
    return module


def import_base(root: Path, module: str) -> Path:
    """The folder of a project that its module lies in: ``src`` where there is one, else the root."""
    source = root / "src"
    if not source.is_dir():
        return root
    # Dagster looks in `src` once it exists. Where the module is found beside it, `src` is
    # somebody's folder of sources and must not hide the project's own module.
    top = module.split(".")[0]
    return root if (root / top).is_dir() and not (source / top).exists() else source


def _is_taken(module: str, root: Path | None) -> bool:
    if module in sys.stdlib_module_names:
        return True
    if root is not None:
        base = import_base(root, module)
        if (base / f"{module}.py").exists():
            return True
        if (base / module / "__init__.py").exists():
            # The project's own package: Dagster imports its `defs` as a part of it.
            return False
    try:
        spec = importlib.util.find_spec(module)
    except ValueError:
        return True
    # A folder without `__init__.py` gives way to others of its name, so it takes nothing.
    return spec is not None and spec.origin is not None
