"""A real JupyterLab and a real browser, both on loopback and with nothing of the user's."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

#: Where pictures of what the tests saw are kept, for whoever wants to look: nowhere by default.
PICTURES_VARIABLE = "DAGBOOK_PICTURES"

_CHROMIUM = "/usr/bin/chromium"
_CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
#: The server and the first page take long on a busy machine. Seconds.
PATIENCE = 180.0
#: What is on a page that works comes much sooner.
PAGE_PATIENCE = 60.0


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab."""

    url: str
    token: str
    root: Path

    def page_url(self, notebook: str) -> str:
        return f"{self.url}/lab/tree/{notebook}?reset&token={self.token}"

    def write(self, name: str, *cells: str, markdown: str = "") -> Path:
        """Put a notebook into the folder that is served."""
        made = [nbformat.v4.new_code_cell(source) for source in cells]
        if markdown:
            made.insert(0, nbformat.v4.new_markdown_cell(markdown))
        kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        document = nbformat.v4.new_notebook(cells=made, metadata={"kernelspec": kernelspec})
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(document, path)
        return path


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One JupyterLab for all tests of a process; each test works in files of its own."""
    base = tmp_path_factory.mktemp("lab")
    root = base / "work"
    root.mkdir()
    settings = base / "settings"
    settings.mkdir()
    # No news from elsewhere, and no question whether to leave the page.
    overrides = {
        "@jupyterlab/apputils-extension:notification": {
            "fetchNews": "false",
            "checkForUpdates": False,
        },
        "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
    }
    lab_settings = base / "lab-settings"
    lab_settings.mkdir()
    (lab_settings / "overrides.json").write_text(json.dumps(overrides))
    token, port = secrets.token_hex(16), _free_port()
    environment = {
        **os.environ,
        "HOME": str(base / "home"),
        "JUPYTER_CONFIG_DIR": str(base / "config"),
        "JUPYTER_RUNTIME_DIR": str(base / "runtime"),
        "IPYTHONDIR": str(base / "ipython"),
        "XDG_CONFIG_HOME": str(base / "xdg"),
    }
    (base / "home").mkdir()
    log = (base / "lab.log").open("wb")
    server = subprocess.Popen(
        [
            sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root",
            "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0",
            f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={root}",
            f"--LabApp.user_settings_dir={settings}",
            f"--LabApp.workspaces_dir={base / 'workspaces'}",
            f"--LabApp.app_settings_dir={lab_settings}",
            "--LabApp.expose_app_in_browser=True",
        ],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(f"{url}/api/status?token={token}", server, base / "lab.log")
        yield Lab(url, token, root)
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
        log.close()


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"JupyterLab did not start:\n{log.read_text()}") from None
            time.sleep(0.1)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests of a file.

    Not of the process: as long as it is there an event loop runs, which others cannot have then.
    """
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=_CHROMIUM, args=_CHROMIUM_ARGUMENTS)
        yield made
        made.close()


@dataclass
class NotebookPage:
    """A notebook, open in JupyterLab."""

    page: Page
    pictures: Path | None

    def run_cells(self, count: int) -> None:
        """Run so many cells from the selected one on, each whether or not the one before failed."""
        for _ in range(count):
            self.command("notebook:run-cell-and-select-next")
            self.wait_until_idle()

    def command(self, name: str, **arguments: Any) -> None:
        """Do what a menu of JupyterLab does, and wait until it is done."""
        self.page.evaluate(
            "([name, args]) => window.jupyterapp.commands.execute(name, args)", [name, arguments]
        )

    def wait_until_idle(self) -> None:
        """Wait until every cell that was started has ended."""
        self.page.wait_for_function(
            """() => ![...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')]
                .some(prompt => prompt.textContent.includes('*'))"""
        )

    def theme(self, name: str) -> None:
        """Switch to ``JupyterLab Light``, ``JupyterLab Dark`` or another theme."""
        self.page.evaluate(
            "name => window.jupyterapp.commands.execute('apputils:change-theme', {theme: name})",
            name,
        )
        light = "true" if "Light" in name else "false"
        self.page.wait_for_selector(f"body[data-jp-theme-light='{light}']", state="attached")

    def picture(self, name: str) -> None:
        """Keep a picture of the page, where somebody asked for pictures."""
        if self.pictures is not None:
            self.pictures.mkdir(parents=True, exist_ok=True)
            self.page.wait_for_timeout(300)
            self.page.screenshot(path=self.pictures / f"{name}.png")


OpenNotebook = Callable[..., NotebookPage]


@pytest.fixture
def open_notebook(lab: Lab, browser: Browser) -> Iterator[OpenNotebook]:
    """Open a notebook in a window of its own."""
    contexts: list[Any] = []

    def opened(notebook: str, *, width: int = 1280, height: int = 900) -> NotebookPage:
        context = browser.new_context(viewport={"width": width, "height": height})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PAGE_PATIENCE * 1000)
        page.goto(lab.page_url(notebook))
        page.wait_for_function("() => window.jupyterapp && window.jupyterapp.shell.currentWidget")
        page.wait_for_selector(".jp-Notebook .jp-CodeCell")
        # Nothing can be run before its kernel is there.
        page.wait_for_function(
            """() => {
                const panel = window.jupyterapp.shell.currentWidget;
                const session = panel && panel.sessionContext && panel.sessionContext.session;
                return session && session.kernel && session.kernel.status === 'idle';
            }"""
        )
        folder = os.environ.get(PICTURES_VARIABLE)
        return NotebookPage(page, Path(folder) if folder else None)

    yield opened
    for context in contexts:
        context.close()
