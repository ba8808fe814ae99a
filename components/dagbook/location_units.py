"""The folders of a project that are loaded one by one, each screened before Dagster sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg

from dagbook.location_conflicts import Unit
from dagbook.location_faults import Fault, find_fault
from dagbook.location_trees import (
    build_by_name,
    build_from_python,
    build_from_values,
    is_folder_component,
)
from dagbook.project import component_path_in
from dagbook.safe_yaml import Refusal, Screening
from dagbook.safe_yaml.project import PYTHON_REFUSED, holds_python


def load_units(screening: Screening, folder: Path) -> Iterator[Unit]:
    """Load every folder below, from the top.

    A folder with a component file is loaded as one, and what lies below it is not looked at, as
    with Dagster. Python files of a folder are loaded by themselves.
    """
    if not folder.is_dir():
        return
    file = component_path_in(folder)
    if file is not None:
        yield from _load_file(screening, folder, file)
        return
    yield from _load_python(screening, folder)
    yield from _load_below(screening, folder)


def _load_below(screening: Screening, folder: Path) -> Iterator[Unit]:
    for below in sorted(folder.iterdir()):
        if below.is_symlink() and folder.resolve().is_relative_to(below.resolve()):
            continue  # it would be walked forever
        if below.is_dir() and not below.name.startswith(".") and below.name != "__pycache__":
            yield from load_units(screening, below)


def _load_file(screening: Screening, folder: Path, file: Path) -> Iterator[Unit]:
    screened = screening.screen(file)
    if screened.refusals:
        yield _refused(folder, screened.refusals)
        return
    python = screening.python_refusals(folder)
    if python:
        yield _refused(folder, python)
        return
    try:
        holds_others = is_folder_component(file, screened.documents)
    except Exception as error:
        yield Unit(folder, None, find_fault(screening.project, folder, error))
        return
    if not holds_others:
        yield _built(
            screening,
            folder,
            lambda: build_from_values(screening.project, file, screened.documents),
        )
    elif all(set(document.value) <= {"type", "attributes"} for document in screened.documents) and (
        len(screened.documents) == 1
    ):
        # It says no more than that the folder is a folder.
        yield from _load_python(screening, folder)
        yield from _load_below(screening, folder)
    else:
        yield _load_by_name(screening, folder)


def _load_by_name(screening: Screening, folder: Path) -> Unit:
    """Load a folder with all below it by Dagster's own loader, when nothing in it is refused.

    Dagster reads the files again here. What it has read is thrown away if one of them is not what
    it was before; what a template did meanwhile cannot be undone.
    """
    again = Screening(screening.project, screening.rules, read_again=True)
    paths = screening.project.component_paths(folder)
    before = [again.screen(path) for path in paths]
    refusals = [refusal for screened in before for refusal in screened.refusals]
    if refusals:
        return _refused(folder, refusals)
    unit = _built(screening, folder, lambda: build_by_name(screening.project, folder))
    for screened in before:
        if unit.defs is not None and again.screen(screened.path).data != screened.data:
            text = "was changed while it was loaded: reload the project"
            return Unit(folder, None, Fault(screened.path, text))
    return unit


def _load_python(screening: Screening, folder: Path) -> Iterator[Unit]:
    files = [path for path in sorted(folder.glob("*.py")) if holds_python(path)]
    if not files:
        return
    if not screening.rules.python_below_defs:
        yield _refused(folder, [Refusal(path, 1, PYTHON_REFUSED) for path in files])
        return

    def build() -> dg.Definitions:
        return dg.Definitions.merge(*(build_from_python(screening.project, path) for path in files))

    yield _built(screening, folder, build)


def _built(screening: Screening, folder: Path, build: Callable[[], dg.Definitions]) -> Unit:
    try:
        return Unit(folder, build())
    except Exception as error:
        return Unit(folder, None, find_fault(screening.project, folder, error))


def _refused(folder: Path, refusals: tuple[Refusal, ...] | list[Refusal]) -> Unit:
    first = refusals[0]
    more = f" ({len(refusals) - 1} more: `dagbook validate`)" if len(refusals) > 1 else ""
    return Unit(folder, None, Fault(first.file, first.reason + more, first.line))
