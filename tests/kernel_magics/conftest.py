"""A shell of one's own for each test, and a real kernel where that makes a difference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import ExecutionResult, InteractiveShell


class Shell:
    """A fresh IPython shell, with what it published."""

    def __init__(self, folder: Path) -> None:
        self.ip = InteractiveShell()
        # Its own history would be a file of the machine's user.
        self.ip.history_manager.enabled = False
        self.published: list[dict[str, Any]] = []
        self.shown_errors: list[str] = []
        self.parent: dict[str, Any] = {}
        self.ip.get_parent = lambda: self.parent
        self.ip.display_pub.publish = self._publish
        self.ip._showtraceback = self._show_traceback

    def _publish(self, data: dict[str, Any], *_: Any, **__: Any) -> None:
        self.published.append(data)

    def _show_traceback(self, _etype: Any, _value: Any, lines: list[str]) -> None:
        self.shown_errors.append("\n".join(lines))

    def run(self, source: str, *, tags: list[str] | None = None) -> ExecutionResult:
        """Run a cell as a front end has it run."""
        self.published.clear()
        self.shown_errors.clear()
        metadata: dict[str, Any] = {"cellId": "cell-1"}
        self.parent = {"metadata": metadata | ({} if tags is None else {"tags": tags})}
        return self.ip.run_cell(source, store_history=True)

    @property
    def text(self) -> str:
        """What was shown below the last cell."""
        return "\n".join(data["text/plain"] for data in self.published)

    @property
    def html(self) -> str:
        return "\n".join(data["text/html"] for data in self.published)


@pytest.fixture
def bare_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """A shell without anything of ours."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    InteractiveShell.clear_instance()
    shell = Shell(tmp_path)
    yield shell
    shell.ip.restore_sys_module_state()
    InteractiveShell.clear_instance()


@pytest.fixture
def shell(bare_shell: Shell) -> Shell:
    """A shell in which `%load_ext dagbook` was run."""
    done = bare_shell.run("%load_ext dagbook")
    assert done.success
    return bare_shell


RunCells = Callable[..., list[list[dict[str, Any]]]]


@pytest.fixture
def in_kernel(tmp_path: Path) -> RunCells:
    """Run cells in a real kernel of their own; returns each one's outputs."""
    import nbformat
    from nbclient import NotebookClient

    def run(*sources: str, allow_errors: bool = False) -> list[list[dict[str, Any]]]:
        document = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(source) for source in sources],
            metadata={"kernelspec": {"name": "python3", "display_name": "", "language": "python"}},
        )
        client = NotebookClient(
            document,
            timeout=120,
            allow_errors=allow_errors,
            resources={"metadata": {"path": str(tmp_path)}},
        )
        client.execute()
        return [cell["outputs"] for cell in document.cells]

    return run
