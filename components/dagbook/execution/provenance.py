"""Where a result comes from: interpreter, packages, files, commit, and who ran it, on what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dagbook import __version__


@dataclass(frozen=True)
class Origin:
    """What only whoever asks for a run knows about it.

    Attributes:
        component_file: the YAML that runs the notebook.
        identity: names and values such as Dagster's ``run_id``; empty ones are left out.
    """

    component_file: Path | None = None
    identity: Mapping[str, str | None] = field(default_factory=dict)


@dataclass
class Provenance:
    """Everything that decided what came out, but for the parameters.

    Attributes:
        interpreter: what ran the cells; see `dagbook.execution.interpreter.Interpreter`.
        packages: name and version of each that is installed for it; None when it was not asked.
        files: role (``notebook``, ``component``, ``module``), path and SHA-256 of each file;
            the path is relative to the project, or to the notebook's folder without one.
        code_version: as Dagster shows it: code, roles and kernel of the notebook, the YAML
            and the modules, without outputs and text.
        cells: number from 1, hash and first line of each code cell, to tell the next run's apart.
        git: the commit, and the files that are not as they are in it; None without one.
        identity: user, uid, host, and what `Origin` says.
        limits: size, and what it came to: memory in bytes, CPUs, GPUs, seconds. By what means
            they were held stands in the result's `resources`.
    """

    dagbook: str = __version__
    interpreter: dict[str, str] = field(default_factory=dict)
    packages: dict[str, str] | None = None
    packages_hash: str | None = None
    files: list[dict[str, str | None]] = field(default_factory=list)
    code_version: str = ""
    cells: list[list[Any]] = field(default_factory=list)
    git: dict[str, Any] | None = None
    identity: dict[str, str] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values, in the order of the fields."""
        return dict(vars(self))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Provenance:
        """Read what `to_json` gave; what is missing or unknown is passed over."""
        return cls(**{k: v for k, v in values.items() if k in cls.__dataclass_fields__})
