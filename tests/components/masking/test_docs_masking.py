"""docs/masking.md names the tests there are, and shows what is shown."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "masking.md").read_text(encoding="utf-8")


def test_the_page_names_every_test_of_what_is_not_covered() -> None:
    tests = (Path(__file__).parent / "test_not_covered.py").read_text(encoding="utf-8")

    assert set(re.findall(r"`(test_\w+)`", PAGE)) == set(re.findall(r"def (test_\w+)", tests))


def test_the_files_the_page_names_are_there() -> None:
    named = re.findall(r"`(tests/[\w/.]+)`", PAGE)

    assert len(named) == 3
    assert [path for path in named if not (ROOT / path).is_file()] == []
