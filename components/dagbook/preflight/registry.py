"""Every rule there is, and what they find in one notebook."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from dagbook.notebook import Notebook
from dagbook.preflight import (
    endings,
    environment_reads,
    files,
    imports,
    installs,
    interactive,
    literal_credentials,
    names,
    order,
    outputs,
    parameter_use,
    silencing,
    syntax,
)
from dagbook.preflight.credentials import credential_findings
from dagbook.preflight.endings import ending_findings
from dagbook.preflight.files import file_findings
from dagbook.preflight.finding import NightFinding, Severity
from dagbook.preflight.imports import import_findings
from dagbook.preflight.installs import install_findings
from dagbook.preflight.interactive import interactive_findings
from dagbook.preflight.names import name_findings
from dagbook.preflight.order import order_findings
from dagbook.preflight.other_languages import other_language_findings
from dagbook.preflight.outputs import output_findings
from dagbook.preflight.parameter_use import parameter_findings
from dagbook.preflight.reading import Reading
from dagbook.preflight.situation import Situation
from dagbook.preflight.syntax import syntax_findings

Find = Callable[[Reading, Situation], Iterable[NightFinding]]


class Family(NamedTuple):
    """Rules that are found together: their names, each with what it finds, in a few words."""

    find: Find
    rules: Mapping[str, str]


def _credential_findings(reading: Reading, situation: Situation) -> Iterable[NightFinding]:
    if situation.given is None:
        return ()
    return credential_findings(
        reading.notebook, situation.given, project_root=situation.project_root
    )


#: A new family of rules is one more line here, and a section in docs/night.md.
FAMILIES: tuple[Family, ...] = (
    Family(syntax_findings, {syntax.SYNTAX: "a cell is not valid Python"}),
    Family(
        name_findings,
        {
            names.BEFORE: "a name is used above the cell that defines it",
            names.NEVER: "a name is defined nowhere",
            names.SKIPPED: "a name comes from a cell that a run leaves out",
        },
    ),
    Family(
        import_findings,
        {
            imports.UNKNOWN: "an import that the kernel's environment does not have",
            imports.LOCAL: "a module of your own lies where a run does not look",
        },
    ),
    Family(
        file_findings,
        {
            files.MISSING: "a file that is read does not exist",
            files.ABSOLUTE: "a path names this machine's folders",
            files.OUTSIDE: "a file outside the project, or of one user",
        },
    ),
    Family(other_language_findings, {}),
    Family(
        interactive_findings,
        {
            interactive.KEYBOARD: "an answer is asked for at the keyboard",
            interactive.DEBUGGER: "a debugger waits for somebody",
            interactive.SCREEN: "plots open windows",
            interactive.WIDGETS: "plots live in an open notebook",
            interactive.BROWSER: "a browser is needed",
        },
    ),
    Family(
        ending_findings,
        {
            endings.EXITS: "a cell ends the run before the last one",
            endings.ENDLESS: "nothing leaves a loop",
        },
    ),
    Family(install_findings, {installs.INSTALLS: "packages are installed in every run"}),
    Family(
        parameter_findings,
        {
            parameter_use.OVERWRITTEN: "a parameter's value is overwritten",
            parameter_use.WORTH: "a day or code that could be a parameter",
        },
    ),
    Family(
        order_findings,
        {
            order.ORDER: "a cell was last run after one below it, and saw what that makes",
            order.NOT_RUN: "a cell was not run since it was written",
            order.FAILED: "a cell ended in an error when it was last run",
        },
    ),
    Family(output_findings, {outputs.OUTPUT: "more output than a run keeps"}),
    Family(
        _credential_findings,
        {
            environment_reads.READS_VARIABLE: "an environment variable that a run does not get",
            environment_reads.ASKS_PASSWORD: "a password is asked for",
            environment_reads.LIBRARY_LOGIN: "a library logs in with what a run does not get",
            environment_reads.READS_DOTENV: "a `.env` file that a run does not read",
            literal_credentials.LITERAL_CREDENTIAL: "a credential stands in the notebook",
        },
    ),
)

#: Every rule's name, with what it finds.
RULES: Mapping[str, str] = {
    **{rule: text for family in FAMILIES for rule, text in family.rules.items()},
    silencing.UNKNOWN_RULE: "a `# dagster-ok:` names no rule",
}


def findings(notebook: Notebook, situation: Situation) -> list[NightFinding]:
    """Find what would go wrong with a notebook at night, or may, by reading it.

    Nothing of the notebook is run. Where a run of just this notebook has succeeded, only
    findings about secrets are left.

    Returns:
        What will fail first, then what may surprise; each in the order of the cells.
    """
    reading = Reading(notebook)
    found = [finding for family in FAMILIES for finding in _found(family, reading, situation)]
    kept = silencing.silenced(found, reading, RULES)
    if situation.passed_trial:
        kept = (finding for finding in kept if finding.is_secret)
    return sorted(_once(kept), key=lambda f: (f.severity is not Severity.WILL_FAIL, f.cell, f.line))


def _found(family: Family, reading: Reading, situation: Situation) -> list[NightFinding]:
    try:
        return list(family.find(reading, situation))
    except RecursionError:
        return []  # an expression nested deeper than anybody writes: nothing is known of it


def _once(found: Iterable[NightFinding]) -> Iterator[NightFinding]:
    """Each rule once in a line: a second finding there says the same again."""
    seen = set()
    for finding in found:
        place = (finding.rule, finding.cell, finding.line, finding.text)
        if place not in seen:
            seen.add(place)
            yield finding
