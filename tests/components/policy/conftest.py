"""What tests of the policy share."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from dagbook.policy.platform import Platform
from dagbook.policy.platform_file import find_platform, platform_problems


@pytest.fixture
def example() -> str:
    """The example on the page of the platform file."""
    page = (Path(__file__).parents[3] / "docs" / "platform.md").read_text("utf-8")
    return re.findall(r"^```yaml\n(.*?)^```", page, re.M | re.S)[0]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder, from which commands are run."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def platform(root: Path) -> Callable[[str], Platform]:
    """Write a platform file and read it."""

    def read(text: str) -> Platform:
        (root / "dagbook-platform.yaml").write_text(textwrap.dedent(text), "utf-8")
        return find_platform(root)

    return read


@pytest.fixture
def problems(root: Path) -> Callable[[str], list[str]]:
    """Write a platform file and say what is wrong in it."""

    def read(text: str) -> list[str]:
        path = root / "dagbook-platform.yaml"
        path.write_text(textwrap.dedent(text), "utf-8")
        return [str(problem) for problem in platform_problems(path)]

    return read
