"""A small sample of the benchmark of definitions: all contestants load the same notebooks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).with_name("definitions.py")


def test_all_contestants_load_the_same_notebooks(tmp_path: Path) -> None:
    command = [sys.executable, BENCH, "--sizes", "2,6", "--rounds", "1"]
    done = subprocess.run(
        [*command, "--write", tmp_path / "page.md"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    counted = [line.rsplit(" ", 2)[0] for line in done.stderr.splitlines() if "round 1" in line]
    names = ("location", "stock", "stock-jobs", "validate")
    assert counted == [
        "round 1: location 0",
        "round 1: validate 0",
        *(f"round 1: {name} {size}" for size in (2, 6) for name in names),
    ]
    page = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert "| | 2 notebooks | 6 notebooks | less start-up, 6 | exponent | ratio |" in page
    rows = [line for line in page.splitlines() if line.startswith("| `") or "own loader" in line]
    assert len([row for row in rows if row.startswith("|")]) == 4
