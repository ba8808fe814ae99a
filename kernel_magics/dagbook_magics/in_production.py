"""What production will make of a cell with a role, as a reader of the notebook is shown it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dagbook.cell_source import without_role_line
from dagbook.errors import DagbookError
from dagbook.metric_names import as_measurement, assigned_names, keeps_nothing
from dagbook.parameters import Parameter, read_parameters
from dagbook.report import MetricReport
from dagbook.roles import CellRoles, Role, RoleKind
from dagbook_magics.note import Note, Row
from dagbook_magics.role_line import THIS_CELL

if TYPE_CHECKING:
    from IPython.core.interactiveshell import ExecutionResult, InteractiveShell

#: So many characters of a value are shown.
_LONGEST_VALUE = 200


def reported(reports: Sequence[MetricReport]) -> dict[str, Any] | None:
    """What `dagbook.log_metric` in a cell would have recorded; None where there was no call."""
    if not reports:
        return None
    last = {report.name: report for report in reports}
    rows = []
    for name, report in last.items():
        count = sum(each.name == name for each in reports)
        of = f"last of {count:,}" if count > 1 else ""
        step = "" if report.step is None else f"step {report.step}"
        rows.append(Row((name, f"{report.value:g}", ", ".join(filter(None, (step, of))))))
    return Note("In production these measurements are recorded:", rows).bundle()


def of_roles(
    said: CellRoles,
    source: str,
    shell: InteractiveShell,
    result: ExecutionResult,
    *,
    problem: str = "",
) -> dict[str, Any] | None:
    """The MIME bundle to be shown below a cell; None where there is nothing to say.

    Args:
        said: the cell's roles.
        source: its text.
        shell: where its variables are.
        result: how it ended.
        problem: why its roles cannot be used, where they cannot.
    """
    if problem:
        return Note(f"In production: {problem}", is_warning=True).bundle()
    notes: list[Note] = []
    role = said.role
    if role is not None and role.kind is RoleKind.PARAMETERS:
        notes.append(_parameters(source))
    elif role is not None and role.kind is RoleKind.SKIP:
        notes.append(Note("In production this cell is left out."))
    elif role is not None and role.kind is RoleKind.CHECK:
        notes.append(_check(role, result))
    elif role is not None and role.kind is RoleKind.METRICS and result.success:
        notes.append(_metrics(source, shell.user_ns))
    if result.success:
        notes += [_result(name, shell) for name in said.results]
    if not notes:
        return None
    first = notes[0]
    return first.bundle(more=notes[1:])


def _parameters(source: str) -> Note:
    try:
        found = read_parameters(source, language="python", where=THIS_CELL)
    except DagbookError as error:
        return Note(f"In production: {error}", is_warning=True)
    if not found:
        return Note(
            "In production this cell holds no parameter yet: assign names to values here.",
            is_warning=True,
        )
    count = f"{len(found)} parameter" + ("s" if len(found) > 1 else "")
    return Note(f"In production: {count}", [_row(parameter) for parameter in found])


def _row(parameter: Parameter) -> Row:
    if parameter.required:
        default = "required"
    else:
        default = _short(parameter.default_text or "")
        if not parameter.default_known:
            default += " (computed)"
    kind = parameter.type + (" or None" if parameter.nullable and parameter.type != "any" else "")
    choices = ""
    if parameter.choices is not None:
        choices = "one of " + ", ".join(repr(choice) for choice in parameter.choices)
    return Row((parameter.name, kind, default, choices, parameter.help))


def _metrics(source: str, names: dict[str, Any]) -> Note:
    code = without_role_line(source, "python")
    if magic := keeps_nothing(code):
        return Note(
            f"In production nothing is recorded here: `%%{magic}` leaves no variables behind.",
            is_warning=True,
        )
    rows: list[Row] = []
    others: list[Row] = []
    for name in assigned_names(code, "python"):
        if name not in names:
            continue
        number = as_measurement(names[name])
        if number is None:
            kind = type(names[name]).__name__
            others.append(Row((name, f"not recorded: {kind} is not a number")))
        else:
            rows.append(Row((name, f"{number:g}")))
    if not rows:
        return Note(
            "In production nothing is recorded here: no variable of this cell is a number.",
            others,
            is_warning=True,
        )
    return Note("In production these metrics are recorded:", rows + others)


def _check(role: Role, result: ExecutionResult) -> Note:
    error = result.error_in_exec
    if error is None:
        otherwise = (
            "If it fails, that is noted and the run goes on."
            if role.warn
            else "If it fails, the run stops here and publishes nothing."
        )
        return Note(f"In production: check {role.name} passed here. {otherwise}")
    if not isinstance(error, AssertionError):
        return Note(
            f"In production: check {role.name} gave no answer. {type(error).__name__} is an error "
            "of the run; a check that fails raises AssertionError, as `assert` does.",
            is_warning=True,
        )
    then = "noted, and the run goes on." if role.warn else "the run stops and publishes nothing."
    return Note(f"In production: check {role.name} failed here: {then}", is_warning=True)


def _result(name: str, shell: InteractiveShell) -> Note:
    if name not in shell.user_ns:
        return Note(
            f"In production: there is no variable `{name}` to be kept as a result.",
            is_warning=True,
        )
    value = shell.user_ns[name]
    title = f"In production `{name}` is kept as a result:"
    # The formatters swallow and print what an object's own display raises.
    data, _ = shell.display_formatter.format(value, include={"text/plain", "text/html"})
    plain = data.get("text/plain", type(value).__name__)
    return Note(title, text=_short(str(plain), lines=12), html=data.get("text/html"))


def _short(text: str, lines: int = 1) -> str:
    def cut() -> Iterator[str]:
        found = text.split("\n")
        for line in found[:lines]:
            yield line if len(line) <= _LONGEST_VALUE else f"{line[:_LONGEST_VALUE]}…"
        if len(found) > lines:
            yield "…"

    return "\n".join(cut())
