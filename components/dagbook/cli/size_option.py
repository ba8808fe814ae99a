"""``--size`` as several commands take it, with the sizes of the project one works in."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any


class SizeOption(argparse.Action):
    """Keeps the name of a size; its help lists those there are, looked up only when it is shown."""

    @property
    def help(self) -> str:
        """The sizes of the project around the working directory."""
        from pathlib import Path

        from dagbook.errors import DagbookError
        from dagbook.policy.sizes_in_force import sizes_in_force
        from dagbook.project import find_project

        try:
            project = find_project(Path.cwd())
            sizes, default = sizes_in_force(None if project is None else project.root)
        except DagbookError as error:
            return f"compute size; those of this project cannot be read: {error}".replace("%", "%%")
        return f"compute size: {', '.join(sizes)} (default: {default})".replace("%", "%%")

    @help.setter
    def help(self, _: str | None) -> None:
        """Found out when it is shown."""

    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        _option_string: str | None = None,
    ) -> None:
        """Keep the name."""
        setattr(namespace, self.dest, values)
