"""Checks component files as Dagster and dagbook will read them, and says where each error is.

Needs Dagster, and the packages whose component types the files name.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dagbook.component_files import component_files_of
from dagbook.component_keys import KeyTable
from dagbook.component_types import find_component_type, runs_notebooks
from dagbook.defs_yaml import ComponentFile, Document, shown_path
from dagbook.errors import DagbookError
from dagbook.findings import Finding
from dagbook.policy.governing import refuse_inner_project
from dagbook.policy.presence import PLATFORM_FILE_NAME, has_platform_file
from dagbook.policy.screening import screening_rules
from dagbook.project import Project
from dagbook.safe_yaml import Refusal, Screening, ScreeningRules, screen_text
from dagbook.schema_locations import located_errors
from dagbook.trust import is_code_withheld

Loc = tuple[Any, ...]


@dataclass(frozen=True)
class Passed:
    """A component without a problem.

    `advice` says, of a notebook that dagstermill runs, what it would take to do without; `notes`
    what is worth knowing all the same; `checked`, where it was asked for, what was looked at.
    """

    file: str
    line: int
    type: str
    summary: str
    advice: tuple[str, ...] = ()
    foreseen: tuple[str, ...] = ()
    """What a run will probably cost, and what would be cheaper"""
    notes: tuple[str, ...] = ()
    checked: tuple[str, ...] = ()


@dataclass
class Report:
    """What was found in all files that were looked at."""

    files: int = 0
    findings: list[Finding] = field(default_factory=list)
    passed: list[Passed] = field(default_factory=list)


@dataclass(frozen=True)
class _Screened:
    """A document that was screened, with what it was refused for."""

    document: Document
    refusals: tuple[Refusal, ...]

    @property
    def may_be_imported(self) -> bool:
        """Whether it names a type that is allowed; nothing of another is imported."""
        return not any(refusal.loc in ((), ("type",)) for refusal in self.refusals)


def validate_paths(
    paths: Sequence[Path], rules: ScreeningRules | None = None, *, in_detail: bool = False
) -> Report:
    """Check every component file among the paths: files, folders, projects, notebooks.

    Of a notebook, the components that run it are checked. Each file is screened first, and
    nothing that a refused file names is imported.

    Args:
        paths: what to check.
        rules: what component files may hold, instead of what a platform file says.
        in_detail: also say of each sound component what was looked at.

    Raises:
        DagbookError: a path does not exist, lies in no project, or Dagster is not installed.
    """
    _require_dagster()
    report = Report()
    chosen: dict[Path, tuple[Project, set[Path]]] = {}
    named = set()
    for path in paths:
        project, found = component_files_of(path)
        chosen.setdefault(project.root, (project, set()))[1].update(found)
        if not found:
            named.add(project.root)
    for project, files in chosen.values():
        broken = platform_findings(project)
        report.findings += broken
        if has_platform_file(project.root) and (broken or project.root in named):
            report.files += 1
            if not broken:
                report.passed.append(_passed_platform(project))
        # Without a platform file that can be used, all that can be said is what does not need it.
        screening = Screening(
            project, rules or (ScreeningRules() if broken else screening_rules(project))
        )
        _validate_files(screening, sorted(files), report, judged=not broken, in_detail=in_detail)
    return report


def platform_findings(project: Project) -> list[Finding]:
    """What is wrong with a project's platform file; nothing where there is none."""
    if not has_platform_file(project.root):
        try:
            refuse_inner_project(project.root)
        except DagbookError as error:
            return [Finding(shown_path(project.root), 1, 1, "", str(error))]
        return []
    from dagbook.policy.platform_file import platform_problems

    path = project.root / PLATFORM_FILE_NAME
    if not os.path.lexists(path):
        try:
            screening_rules(project)
        except DagbookError as error:
            return [Finding(shown_path(project.root), 1, 1, "", str(error))]
    return platform_problems(path)


def document_problems(
    document: Document, project: Project, *, judged: bool = True
) -> list[Finding]:
    """Find everything wrong with one component, as far as the other files do not matter.

    Args:
        document: the component.
        project: its project.
        judged: whether the platform's rules are asked as well.

    Raises:
        DagbookError: Dagster is not installed.
    """
    _require_dagster()
    file, screening = document.file, Screening(project, screening_rules(project))
    refusals = screen_text(
        file.path, file.text.encode(), screening.rules, screening.registry
    ).refusals
    own = tuple(r for r in refusals if r.document in (None, document.index))
    with importable(project):
        return _problems(_Screened(document, own), project, judged=judged)


def _validate_files(
    screening: Screening, files: Sequence[Path], report: Report, *, judged: bool, in_detail: bool
) -> None:
    project = screening.project
    # Keys must differ in the whole project, so files that were not asked for are read too.
    others = [path for path in project.component_files() if path not in set(files)]
    report.files += len(files)
    for folder in {path.parent for path in files} if len(files) == 1 else {project.defs_folder}:
        report.findings += [_refused(found) for found in screening.python_refusals(folder)]
    with importable(project):
        silent = [found for path in others for found in _documents(path, screening, Report())]
        asked = [found for path in files for found in _documents(path, screening, report)]
        clashes = _key_problems([*silent, *asked], asked, project)
        for screened in asked:
            problems = [
                *_problems(screened, project, judged=judged),
                *clashes[id(screened.document)],
            ]
            report.findings += problems
            if not problems:
                report.passed.append(
                    _passed(screened, project, judged, in_detail=in_detail and judged)
                )


def _documents(path: Path, screening: Screening, report: Report) -> list[_Screened]:
    name = shown_path(path)
    above = screening.project.hidden_by(path)
    if above is not None:
        report.findings.append(
            Finding(name, 1, 1, "", f"is never loaded: Dagster reads {shown_path(above)} instead")
        )
    screened = screening.screen(path)
    if not screened.documents:
        report.findings += [_refused(refusal) for refusal in screened.refusals]
        return []
    try:
        # What was screened, not what the file holds by now.
        file = ComponentFile(path, screened.data.decode(), before=screened.data)
    except DagbookError as error:
        report.findings.append(_as_finding(name, error))
        return []
    return [
        _Screened(document, tuple(r for r in screened.refusals if r.document == document.index))
        for document in file.documents
    ]


def _problems(screened: _Screened, project: Project, *, judged: bool) -> list[Finding]:
    """What is wrong with one document; where it is `judged`, the platform's rules are asked."""
    document, value = screened.document, screened.document.value
    problems = [_refused(refusal) for refusal in screened.refusals]
    if not screened.may_be_imported:
        return problems
    try:
        component = find_component_type(document.get(("type",)), document.file.path, project)
    except DagbookError as error:
        return [*problems, _finding(document, ("type",), str(error))]
    attributes = value.get("attributes") or {}
    if not isinstance(attributes, Mapping):
        text = "names with values are wanted here"
        return [*problems, _finding(document, ("attributes",), text)]
    said = {refusal.loc[1:] for refusal in screened.refusals}
    found = [
        (loc, text)
        for loc, text in _attribute_problems(component, document, project, judged=judged)
        if loc not in said
    ]
    problems += [_finding(document, ("attributes", *loc), text) for loc, text in found]
    return sorted(problems, key=lambda finding: (finding.line, finding.column))


def _attribute_problems(
    component: type[Any], document: Document, project: Project, *, judged: bool
) -> list[tuple[Loc, str]]:
    attributes = document.attributes
    if runs_notebooks(component):
        from dagbook.notebook_runner.checks import find_problems
        from dagbook.notebook_runner.policy_problems import platform_for

        try:
            platform = platform_for(component, project.root) if judged else None
        except DagbookError as error:
            return [((), str(error))]
        is_below = document.file.path.is_relative_to(project.defs_folder)
        asset = "/".join(project.asset_key(document.file.path)) if is_below else None
        found = find_problems(attributes, project.root, component, platform=platform, asset=asset)
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


def _key_problems(
    documents: Sequence[_Screened], asked: Sequence[_Screened], project: Project
) -> dict[int, list[Finding]]:
    """What is wrong between components, by the identity of the document to say it of."""
    found: dict[int, list[Finding]] = {id(screened.document): [] for screened in documents}
    keys = KeyTable(project)
    for screened in documents:
        document = screened.document
        if _is_ours(screened, project) and (problem := keys.add(document)):
            found[id(document)].append(_finding(document, *problem))
    for document, way in keys.circles([screened.document for screened in asked]):
        text = f"lead back to where they start: {way}"
        found[id(document)].append(_finding(document, ("attributes", "deps"), text))
    return found


def _is_ours(screened: _Screened, project: Project) -> bool:
    document = screened.document
    if not screened.may_be_imported:
        return False
    if not document.file.path.is_relative_to(project.defs_folder):
        return False
    try:
        component = find_component_type(document.get(("type",)), document.file.path, project)
        return runs_notebooks(component)
    except DagbookError:
        return False


def _passed(screened: _Screened, project: Project, judged: bool, *, in_detail: bool) -> Passed:
    document = screened.document
    attributes = document.attributes
    summary, advice, costs = "", [], []
    notes: tuple[str, ...] = ()
    if isinstance(attributes.get("notebook"), str):
        from dagbook.scheduling import said_schedule

        words = said_schedule(attributes) or "not scheduled"
        summary = f"{attributes['notebook']}, {words}"
        if _is_ours(screened, project):
            from dagbook.notebook_runner.leaving_dagstermill import advice_on
            from dagbook.notebook_runner.policy_problems import policy_warnings
            from dagbook.notebook_runner.versions import find_migration

            key = _asset_key(document, project)
            advice = advice_on(attributes, project.root)
            component = find_component_type(document.type, document.file.path, project)
            migration = find_migration(component, attributes)
            notes = () if migration is None else (migration.note,)
            if judged:
                # Without rules that can be read there is nothing to say of them.
                notes += policy_warnings(attributes, component, project.root, key)
                costs = _foreseen(document, project, key)
    line, _ = document.position(("type",))
    file = shown_path(document.file.path)
    checked: tuple[str, ...] = ()
    if in_detail:
        from dagbook.checked_things import checked_things

        checked = tuple(checked_things(document, project))
    return Passed(
        file=file,
        line=line,
        type=document.type or "",
        summary=summary,
        advice=tuple(advice),
        foreseen=tuple(costs),
        notes=notes,
        checked=checked,
    )


def _asset_key(document: Document, project: Project) -> str:
    key = document.attributes.get("key")
    return key if isinstance(key, str) else "/".join(project.asset_key(document.file.path))


def _foreseen(document: Document, project: Project, key: str) -> list[str]:
    from dagbook.notebook_runner.foreseen import foreseen

    try:
        component = find_component_type(document.get(("type",)), document.file.path, project)
        return foreseen(document.attributes, project.root, key, component)
    except DagbookError:
        return []  # A platform file that cannot be read is told where the rules are asked.


def _passed_platform(project: Project) -> Passed:
    from dagbook.policy.sizes_in_force import sizes_in_force

    sizes, default = sizes_in_force(project.root)
    file = shown_path(project.root / PLATFORM_FILE_NAME)
    return Passed(file, 1, "", f"sizes {', '.join(sizes)}, {default} by default")


def _finding(document: Document, loc: Loc, text: str) -> Finding:
    line, column = document.position(loc)
    names = loc[1:] if loc[:1] == ("attributes",) and len(loc) > 1 else loc
    while len(names) > 1 and not isinstance(document.get(loc[: len(loc) - 1]), (Mapping, list)):
        # `schedule: "0 6 * * *"` has no key `cron`: the error is about `schedule`.
        names, loc = names[:-1], loc[:-1]
    key = ".".join(map(str, names))
    return Finding(shown_path(document.file.path), line, column, key, text)


def _refused(refusal: Refusal) -> Finding:
    file = shown_path(refusal.file)
    return Finding(file, refusal.line, refusal.column, refusal.key, refusal.text)


def _as_finding(name: str, error: DagbookError) -> Finding:
    # `name:line: text`, or a text about a file that could not be read at all.
    text = str(error)
    place, _, rest = text.removeprefix(f"{name}:").partition(": ")
    if text.startswith(f"{name}:") and place.isdigit():
        return Finding(name, int(place), 1, "", rest)
    return Finding(name, 1, 1, "", text)


def _require_dagster() -> None:
    if importlib.util.find_spec("dagster") is None:
        raise DagbookError(
            f"checking needs Dagster, which is not installed in {sys.prefix}: "
            "pip install 'dagbook[dagster]'"
        )


@contextlib.contextmanager
def project_importable(project: Project) -> Iterator[Project]:
    """The same, with the project at hand."""
    with importable(project):
        yield project


@contextlib.contextmanager
def importable(project: Project) -> Iterator[None]:
    """Have a project's own modules found while its components are looked at."""
    folder = str(project.import_root)
    if folder in sys.path or is_code_withheld():
        yield
        return
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        if folder in sys.path:
            sys.path.remove(folder)
