"""A small sample of the bridge's figures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from dagbook.bridge.verbs import VERBS

SCRIPT = Path(__file__).with_name("bridge.py")

#: Not asked: they run notebooks, need services, or take away what the others ask about.
LEFT_OUT = {"trial", "cancel_run", "services", "reload", "pause", "resume", "remove"}


def test_every_verb_that_answers_at_once_is_measured() -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--notebooks", "5", "--rounds", "1"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "5 notebooks, 1 rounds; milliseconds"
    measured = {line.split()[0] for line in lines[3:-1]}
    assert measured == VERBS.keys() - LEFT_OUT
    assert lines[-1].endswith(" MiB, both processes")
