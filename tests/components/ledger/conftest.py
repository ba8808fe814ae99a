"""A ledger in a folder of its own, and processes that use it at once."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dagbook.ledger.database import FILE_NAME, Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / FILE_NAME)


@pytest.fixture
def at_once(tmp_path: Path) -> Callable[..., list[Any]]:
    """Runs the same code in so many processes, which begin together, and returns their answers.

    The code finds its number as `number`, and the ledger's file as `file`.
    """

    def start(count: int, code: str) -> list[Any]:
        # One process that imports what is needed, and as many of it as are asked for: importing
        # takes longer than what is tested.
        program = "\n".join(
            [
                "import json, os, sys, time",
                "from pathlib import Path",
                "import sqlite3, sqlalchemy.dialects.sqlite, dagbook.ledger.account",
                "file, folder, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])",
                "begin = time.monotonic() + 0.3",
                "children = []",
                "for number in range(count):",
                "    child = os.fork()",
                "    if child: children.append(child); continue",
                "    while time.monotonic() < begin: pass",
                textwrap.indent(textwrap.dedent(code), "    "),
                "    (folder / f'answer-{number}').write_text(json.dumps(answer))",
                "    os._exit(0)",
                "sys.exit(max(os.waitpid(child, 0)[1] for child in children))",
            ]
        )
        done = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / FILE_NAME), str(tmp_path), str(count)],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return [json.loads((tmp_path / f"answer-{n}").read_text()) for n in range(count)]

    return start
