"""What tests of several parts share."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def install_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Install a kernel, for this test only: Python code that serves the connection file."""
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))

    def install(name: str, code: str, language: str = "python") -> None:
        folder = tmp_path / "jupyter" / "kernels" / name
        folder.mkdir(parents=True)
        argv = [sys.executable, "-c", code, "-f", "{connection_file}"]
        spec = {"argv": argv, "display_name": name, "language": language}
        (folder / "kernel.json").write_text(json.dumps(spec), "utf-8")

    return install


@pytest.fixture
def bash_kernel(install_kernel: Callable[..., None]) -> None:
    """Install a kernel that is not Python's, for this test only."""
    install_kernel(
        "bash", "import runpy; runpy.run_module('bash_kernel', run_name='__main__')", "bash"
    )
