"""The compute sizes of one project, for those who only want their names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dagbook.policy.presence import has_platform_file
from dagbook.policy.sizes import BUILT_IN_SIZES, DEFAULT_SIZE, Size


def sizes_in_force(project_root: Path | None) -> tuple[Mapping[str, Size], str]:
    """The sizes of a project by name, and the name of its default: built in without a platform file.

    Raises:
        DagbookError: there is a platform file and it cannot be used.
    """
    if project_root is None or not has_platform_file(project_root):
        return BUILT_IN_SIZES, DEFAULT_SIZE
    from dagbook.policy.platform_file import find_platform

    platform = find_platform(project_root)
    return platform.sizes, platform.default_size
