"""Checks component files as Dagster and dagbook will read them, and says where each error is.

Needs Dagster, and the packages whose component types the files name.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dagbook.component_keys import KeyTable
from dagbook.component_types import find_component_type, runs_notebooks
from dagbook.defs_yaml import ComponentFile, Document, shown_path
from dagbook.errors import DagbookError, did_you_mean
from dagbook.project import COMPONENT_FILE_NAMES, Project, absolute_path, require_project
from dagbook.schema_locations import located_errors

#: What may stand at the top of a component, Dagster's own list.
TOP_LEVEL_KEYS = ("type", "attributes", "template_vars_module", "requirements", "post_processing")

Loc = tuple[Any, ...]


@dataclass(frozen=True)
class Finding:
    """Something to mend in a component file; line and column count from 1."""

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


@dataclass(frozen=True)
class Passed:
    """A component without a problem.

    `advice` says, of a notebook that dagstermill runs, what it would take to do without.
    """

    file: str
    line: int
    type: str
    summary: str
    advice: tuple[str, ...] = ()


@dataclass
class Report:
    """What was found in all files that were looked at."""

    files: int = 0
    findings: list[Finding] = field(default_factory=list)
    passed: list[Passed] = field(default_factory=list)


def validate_paths(paths: Sequence[Path]) -> Report:
    """Check every component file among the paths: files, folders, projects, notebooks.

    Of a notebook, the components that run it are checked.

    Raises:
        DagbookError: a path does not exist, lies in no project, or Dagster is not installed.
    """
    _require_dagster()
    report = Report()
    chosen: dict[Path, tuple[Project, set[Path]]] = {}
    for path in paths:
        project, found = _files_of(path)
        chosen.setdefault(project.root, (project, set()))[1].update(found)
    for project, files in chosen.values():
        _validate_files(project, sorted(files), report)
    return report


def document_problems(document: Document, project: Project) -> list[Finding]:
    """Find everything wrong with one component, as far as the other files do not matter.

    Raises:
        DagbookError: Dagster is not installed.
    """
    _require_dagster()
    with _importable(project):
        return _problems(document, project)


def _validate_files(project: Project, files: Sequence[Path], report: Report) -> None:
    # Keys must differ in the whole project, so files that were not asked for are read too.
    others = [path for path in project.component_files() if path not in set(files)]
    report.files += len(files)
    with _importable(project):
        silent = [document for path in others for document in _documents(path, project, Report())]
        asked = [document for path in files for document in _documents(path, project, report)]
        clashes = _key_problems([*silent, *asked], asked, project)
        for document in asked:
            problems = [*_problems(document, project), *clashes[id(document)]]
            report.findings += problems
            if not problems:
                report.passed.append(_passed(document, project))


def _documents(path: Path, project: Project, report: Report) -> list[Document]:
    name = shown_path(path)
    above = project.hidden_by(path)
    if above is not None:
        report.findings.append(
            Finding(name, 1, 1, "", f"is never loaded: Dagster reads {shown_path(above)} instead")
        )
    try:
        file = ComponentFile.load(path, allow_duplicates=True)
    except DagbookError as error:
        report.findings.append(_as_finding(name, error))
        return []
    for problem in file.duplicate_keys:
        report.findings.append(Finding(name, problem.line, problem.column, "", problem.text))
    if not file.documents:
        report.findings.append(Finding(name, 1, 1, "", "holds no component: write `type: …`"))
    return [] if file.duplicate_keys else file.documents


def _problems(document: Document, project: Project) -> list[Finding]:
    value = document.value
    if not isinstance(value, Mapping):
        words = "is empty" if value is None else "is no component"
        return [_finding(document, (), f"{words}: write `type: …` and `attributes:`")]
    problems = [
        _finding(document, (key,), f"unknown key. {did_you_mean(str(key), TOP_LEVEL_KEYS)}")
        for key in value
        if key not in TOP_LEVEL_KEYS
    ]
    try:
        component = find_component_type(document.get(("type",)), document.file.path, project)
    except DagbookError as error:
        return [*problems, _finding(document, ("type",), str(error))]
    attributes = value.get("attributes") or {}
    if not isinstance(attributes, Mapping):
        text = "names with values are wanted here"
        return [*problems, _finding(document, ("attributes",), text)]
    found = [*_attribute_problems(component, attributes, project)]
    for key, item in attributes.items():
        # These two hold names in braces that a run fills in, not templates.
        if not (runs_notebooks(component) and key in ("parameters", "experiment")):
            found += _template_problems(item, (key,))
    problems += [_finding(document, ("attributes", *loc), text) for loc, text in found]
    return sorted(problems, key=lambda finding: (finding.line, finding.column))


def _attribute_problems(
    component: type[Any], attributes: Mapping[str, Any], project: Project
) -> list[tuple[Loc, str]]:
    if runs_notebooks(component):
        from dagbook.notebook_runner.checks import find_problems

        found = find_problems(attributes, project.root, component)
        # Of a notebook, its path in the project says enough.
        return [(p.loc, p.text.replace(f"{project.root}/", "")) for p in found]
    from pydantic import TypeAdapter, ValidationError

    model = component.get_model_cls()
    if model is None or not model.model_fields:
        return [((), f"{component.__name__} takes no attributes")] if attributes else []
    try:
        TypeAdapter(model).validate_python(dict(attributes))
    except ValidationError as error:
        return located_errors(error, model, attributes)
    return []


def _template_problems(value: Any, loc: Loc = ()) -> Iterator[tuple[Loc, str]]:
    from jinja2 import Environment, TemplateSyntaxError

    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _template_problems(item, (*loc, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _template_problems(item, (*loc, index))
    elif isinstance(value, str) and "{" in value:
        try:
            Environment(autoescape=False).parse(value)
        except TemplateSyntaxError as error:
            yield loc, f"is no template that can be read: {error.message}"


def _key_problems(
    documents: Sequence[Document], asked: Sequence[Document], project: Project
) -> dict[int, list[Finding]]:
    """What is wrong between components, by the identity of the document to say it of."""
    found: dict[int, list[Finding]] = {id(document): [] for document in documents}
    keys = KeyTable(project)
    for document in documents:
        if _is_ours(document, project) and (problem := keys.add(document)):
            found[id(document)].append(_finding(document, *problem))
    for document, way in keys.circles(asked):
        text = f"lead back to where they start: {way}"
        found[id(document)].append(_finding(document, ("attributes", "deps"), text))
    return found


def _is_ours(document: Document, project: Project) -> bool:
    if not document.file.path.is_relative_to(project.defs_folder):
        return False
    try:
        component = find_component_type(document.get(("type",)), document.file.path, project)
        return runs_notebooks(component)
    except DagbookError:
        return False


def _passed(document: Document, project: Project) -> Passed:
    attributes = document.attributes
    summary, advice = "", []
    if isinstance(attributes.get("notebook"), str):
        from dagbook.scheduling import said_schedule

        words = said_schedule(attributes) or "not scheduled"
        summary = f"{attributes['notebook']}, {words}"
        if _is_ours(document, project):
            from dagbook.notebook_runner.leaving_dagstermill import advice_on

            advice = advice_on(attributes, project.root)
    line, _ = document.position(("type",))
    file = shown_path(document.file.path)
    return Passed(file, line, document.type or "", summary, tuple(advice))


def _finding(document: Document, loc: Loc, text: str) -> Finding:
    line, column = document.position(loc)
    names = loc[1:] if loc[:1] == ("attributes",) and len(loc) > 1 else loc
    while len(names) > 1 and not isinstance(document.get(loc[: len(loc) - 1]), (Mapping, list)):
        # `schedule: "0 6 * * *"` has no key `cron`: the error is about `schedule`.
        names, loc = names[:-1], loc[:-1]
    key = ".".join(map(str, names))
    return Finding(shown_path(document.file.path), line, column, key, text)


def _as_finding(name: str, error: DagbookError) -> Finding:
    # `name:line: text`, or a text about a file that could not be read at all.
    text = str(error)
    place, _, rest = text.removeprefix(f"{name}:").partition(": ")
    if text.startswith(f"{name}:") and place.isdigit():
        return Finding(name, int(place), 1, "", rest)
    return Finding(name, 1, 1, "", text)


def _files_of(path: Path) -> tuple[Project, list[Path]]:
    if not path.exists():
        raise DagbookError(f"{path} does not exist")
    project = require_project(path)
    absolute = absolute_path(path)
    if path.suffix in (".ipynb", ".py", ".md") and path.is_file():
        from dagbook.component_index import index_components

        name = project.relative(path)
        files = [c.path for c in index_components(project).of_notebook(name)]
        if not files:
            raise DagbookError(
                f'no component runs {name}: `dagbook schedule {path} "daily 06:00"` makes one'
            )
        return project, files
    if path.is_file():
        if path.suffix not in (".yaml", ".yml"):
            raise DagbookError(f"{path} is neither a component file nor a notebook")
        return project, [absolute]
    every = project.all_component_files()
    if absolute == project.root or project.defs_folder.is_relative_to(absolute):
        return project, every
    files = [file for file in every if file.is_relative_to(absolute)]
    if not files:
        names = ", ".join(COMPONENT_FILE_NAMES)
        raise DagbookError(f"{path} holds no component file ({names})")
    return project, files


def _require_dagster() -> None:
    if importlib.util.find_spec("dagster") is None:
        raise DagbookError(
            f"checking needs Dagster, which is not installed in {sys.prefix}: "
            "pip install 'dagbook[dagster]'"
        )


@contextlib.contextmanager
def _importable(project: Project) -> Iterator[None]:
    folder = str(project.import_root)
    if folder in sys.path:
        yield
        return
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        if folder in sys.path:
            sys.path.remove(folder)
