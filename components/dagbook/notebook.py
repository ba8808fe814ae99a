"""A notebook as dagbook sees it: its cells, what each is for, and what it takes.

Reading is static and quick: no cell is run, and an ordinary ``.ipynb`` is read without
nbformat, IPython or Dagster.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from dagbook.cell_source import kernel_source, logical_lines, split_cell_magics
from dagbook.errors import DagbookError
from dagbook.local_modules import local_modules
from dagbook.metric_names import METRIC_LANGUAGES, assigned_names, keeps_nothing
from dagbook.notebook_document import checked_document, document_kernel, document_language
from dagbook.notebook_file import MAX_NOTEBOOK_BYTES, read_file, shown, upgrade
from dagbook.papermill_tags import align_tags
from dagbook.parameter_values import resolve_parameters
from dagbook.parameters import Parameter, read_parameters
from dagbook.roles import Role, RoleKind, read_roles

__all__ = [
    "MAX_NOTEBOOK_BYTES",
    "Cell",
    "Notebook",
    "Parameter",
    "Role",
    "RoleKind",
    "code_version",
    "local_modules",
    "parse_notebook",
    "read_notebook",
    "resolve_parameters",
]


@dataclass
class Cell:
    """One cell as its author wrote it, and what it is for.

    Attributes:
        index: its place among all cells, counted from 0.
        role: the role that decides how it is run; None for an ordinary cell.
        results: the variables it names as results, alone or beside `metrics`.
        settings: the YAML of a settings cell (`%%dagster` with YAML below), whose role is
            `skip`; None for every other cell.
    """

    index: int
    id: str
    cell_type: str
    source: str
    tags: tuple[str, ...] = ()
    role: Role | None = None
    results: tuple[str, ...] = ()
    settings: str | None = None
    language: str = "python"

    @property
    def number(self) -> int:
        """Its place as people count: from 1."""
        return self.index + 1

    @property
    def is_skipped(self) -> bool:
        """Whether production leaves it out."""
        return self.role is not None and self.role.kind is RoleKind.SKIP

    @property
    def kernel_source(self) -> str:
        """What a kernel is sent for it: the author's text without our lines, line by line."""
        return kernel_source(self.source, self.language)


@dataclass
class Notebook:
    """A notebook that was read and found sound.

    Attributes:
        path: where it was read from, as it was named; None when it was parsed from a dict.
        document: format 4 as a plain dict; sources are text, ids present and unique. Its
            tags are such that papermill finds the same parameters cell as we do.
        language: of its kernel: ``python``, ``R``, ``bash``, …
        kernel_name: the kernel it asks for, if it names one.
        notes: what was mended or looked odd, in words; none of it stops a run.
        file_hash: SHA-256 of the file it was read from, in hexadecimal.
        real_path: where the file that was read lies, links followed; None without a file.
    """

    path: Path | None
    document: dict[str, Any]
    cells: tuple[Cell, ...]
    language: str
    kernel_name: str | None
    notes: tuple[str, ...] = ()
    file_hash: str | None = field(default=None, compare=False)
    real_path: Path | None = field(default=None, compare=False)

    @property
    def label(self) -> str:
        """The notebook as errors name it."""
        return shown(self.path) if self.path is not None else "notebook"

    @property
    def parameters_cell(self) -> Cell | None:
        """The cell with the parameters' defaults, if there is one."""
        return next(iter(self._with_role(RoleKind.PARAMETERS)), None)

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters it declares, in the order of their cell.

        Raises:
            DagbookError: the cell is not valid Python.
        """
        cell = self.parameters_cell
        if cell is None:
            return ()
        where = f"{self.label}, cell {cell.number}"
        return read_parameters(cell.source, language=self.language, where=where)

    @property
    def checks(self) -> tuple[Cell, ...]:
        """Its check cells, in order; each name comes once."""
        return tuple(self._with_role(RoleKind.CHECK))

    @property
    def has_roles(self) -> bool:
        """Whether any cell has a role; without one, the notebook runs as it is."""
        return any(cell.role is not None for cell in self.cells)

    def metric_names(self, cell: Cell) -> tuple[str, ...]:
        """The variables a metrics cell assigns, in order: what may be reported from it.

        Loop variables, deleted ones, and names that begin with ``_`` are left out. Whether
        a value is a number shows only when the cell has run.

        Raises:
            DagbookError: the cell is in a language that is not read for metrics.
        """
        where = f"{self.label}, cell {cell.number}"
        if self.language not in METRIC_LANGUAGES:
            raise DagbookError(
                f"{where}: the role `metrics` is understood in Python and R only, not in "
                f"{self.language}; take the role away."
            )
        if self.language == "python" and (magic := keeps_nothing(cell.kernel_source)):
            raise DagbookError(
                f"{where}: `%%{magic}` leaves no variables behind, so the role `metrics` finds "
                "nothing; assign them in another cell."
            )
        return assigned_names(cell.kernel_source, self.language)

    def _with_role(self, kind: RoleKind) -> Iterable[Cell]:
        return (cell for cell in self.cells if cell.role is not None and cell.role.kind is kind)


def read_notebook(path: str | Path, *, within: Path | None = None) -> Notebook:
    """Read a notebook from a file: ``.ipynb`` of any format, or text that jupytext knows.

    Args:
        within: a project's folder: a link that leads out of it is refused. What somebody
            names on a command line is their own choice.

    Raises:
        DagbookError: it cannot be read, is no notebook, or its roles contradict each other.
    """
    path = Path(path)
    file = read_file(path, within)
    notebook = parse_notebook(file.document, path)
    notebook.notes = (*file.notes, *notebook.notes)
    notebook.file_hash = file.sha256
    notebook.real_path = file.real_path
    return notebook


def parse_notebook(document: Mapping[str, Any], path: Path | None = None) -> Notebook:
    """Read a notebook that is already in memory as a dict; the dict is not changed.

    Raises:
        DagbookError: it is no notebook, or its roles contradict each other.
    """
    label = shown(path) if path is not None else "notebook"
    sound, notes = checked_document(upgrade(dict(document), label), label)
    if (format_before := document.get("nbformat")) != sound["nbformat"]:
        notes.insert(0, f"the notebook had the old notebook format {format_before}; read as 4")
    language = document_language(sound)
    cells = tuple(
        _cell(index, cell, language, label, notes) for index, cell in enumerate(sound["cells"])
    )
    notebook = Notebook(path, sound, cells, language, document_kernel(sound), ())
    _refuse_doubles(notebook)
    for cell in notebook._with_role(RoleKind.METRICS):
        if not notebook.metric_names(cell):
            notes.append(f"cell {cell.number}: has the role `metrics` but assigns no variable")
    notebook.notes = (*notes, *align_tags(notebook))
    return notebook


def _cell(index: int, cell: dict[str, Any], language: str, label: str, notes: list[str]) -> Cell:
    tags = tuple(cell["metadata"].get("tags", ()))
    read = Cell(index, cell["id"], cell["cell_type"], cell["source"], tags, language=language)
    if cell["cell_type"] != "code":
        return read  # a role says how code is run; on text it says nothing
    where = f"{label}, cell {index + 1}"
    said = read_roles(read.source, tags, language=language, where=where)
    read.role, read.results, read.settings = said.role, said.results, said.settings
    notes.extend(f"cell {index + 1}: {note}" for note in said.notes)
    if language == "python" and "%%dagster" in read.source:
        refuse_late_magic(read.source, where)
    return read


def refuse_late_magic(source: str, where: str) -> None:
    """Refuse a cell in which `%%dagster` is not the first line.

    Raises:
        DagbookError: it is not.
    """
    names, body = split_cell_magics(source)
    late = "dagster" in names[1:]
    if not late and "%%dagster" in body:
        late = any(
            line.is_magic and line.text.lstrip().startswith("%%dagster")
            for line in logical_lines(body)
        )
    if late:
        raise DagbookError(f"{where}: `%%dagster` must be the first line of its cell.")


def _refuse_doubles(notebook: Notebook) -> None:
    label = notebook.label
    declaring = list(notebook._with_role(RoleKind.PARAMETERS))
    if len(declaring) > 1:
        raise DagbookError(
            f"{label}: cells {declaring[0].number} and {declaring[1].number} both have the "
            "role `parameters`. Keep it on one of them."
        )
    checks: dict[str, Cell] = {}
    results: dict[str, Cell] = {}
    for cell in notebook.cells:
        if cell.role is not None and (slug := cell.role.slug) and not cell.results:
            first = checks.setdefault(slug, cell)
            if first is not cell:
                raise DagbookError(
                    f"{label}: the checks of cells {first.number} and {cell.number} are both "
                    f"called `{slug}` on Dagster. Rename one of them."
                )
        for name in cell.results:
            first = results.setdefault(name, cell)
            if first is not cell:
                raise DagbookError(
                    f"{label}: cells {first.number} and {cell.number} both name the result "
                    f"`{name}`. Keep it on the one that computes it last."
                )


def code_version(notebook: Notebook, *files: Path) -> str:
    """A hash of what decides how the notebook runs: code, roles, kernel, and `files`.

    Outputs, text cells, skipped cells and cell ids do not count, nor does where the files
    lie; a file that is gone counts as such.

    Returns:
        SHA-256 in hexadecimal.
    """
    import hashlib

    digest = hashlib.sha256()

    def add(*words: str) -> None:
        for word in words:
            data = word.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "big") + data)

    add(notebook.language, notebook.kernel_name or "")
    for cell in notebook.cells:
        if cell.cell_type == "code" and not cell.is_skipped:
            add("cell", str(cell.role or ""), *sorted(cell.results), cell.kernel_source)
    for name, content in sorted((file.name, _content_hash(file)) for file in files):
        add("file", name, content)
    return digest.hexdigest()


def _content_hash(file: Path) -> str:
    import hashlib

    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return "gone"
