"""Something to mend in a YAML file that somebody wrote, with its place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """Something to mend in a component or platform file; line and column count from 1."""

    file: str
    line: int
    column: int
    key: str
    text: str

    @property
    def place(self) -> str:
        """``file:line:key``, as editors and terminals make it a link."""
        return f"{self.file}:{self.line}" + (f":{self.key}" if self.key else "")

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"
