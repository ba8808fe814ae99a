"""Whether a project has a platform file at all: a look that costs nothing and imports nothing."""

from __future__ import annotations

import os

PLATFORM_FILE_NAME = "dagbook-platform.yaml"
#: Names that somebody may have meant; with one of them a project is not without rules, but wrong.
NEAR_NAMES = ("dagbook-platform.yml", "dagbook_platform.yaml", "dagbook_platform.yml")


def has_platform_file(project_root: str | os.PathLike[str]) -> bool:
    """Whether something stands at a project's root that is, or was meant as, its platform file.

    Only then need `dagbook.policy.platform_file` be imported and asked.
    """
    root = os.fspath(project_root)
    return any(
        os.path.lexists(os.path.join(root, name))  # noqa: PTH118 (pathlib would be imported)
        for name in (PLATFORM_FILE_NAME, *NEAR_NAMES)
    )
