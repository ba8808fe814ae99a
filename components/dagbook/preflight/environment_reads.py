"""What a notebook reads from its environment that a scheduled run would not find there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from dagbook.notebook import Notebook
from dagbook.preflight.credential_patterns import names_credential
from dagbook.preflight.dotenv_names import dotenv_names
from dagbook.preflight.finding import Fix, NightFinding, Severity
from dagbook.preflight.given_environment import GivenEnvironment
from dagbook.preflight.imported_code import imported_modules
from dagbook.preflight.parsed_cells import ParsedCell, parsed_cells
from dagbook.preflight.python_reads import Need, PythonReads, Read, may_read
from dagbook.preflight.shell_reads import ShellRead, bash_reads, magic_reads, r_reads

READS_VARIABLE = "environment-variable"
ASKS_PASSWORD = "asks-for-password"
LIBRARY_LOGIN = "library-login"
READS_DOTENV = "dotenv-file"


def environment_findings(
    notebook: Notebook,
    given: GivenEnvironment,
    *,
    cells: Sequence[ParsedCell] | None = None,
    project_root: Path | None = None,
) -> list[NightFinding]:
    """Find what the cells of a notebook, and local modules they import, read and will not get.

    Each variable is told of once, where it does the most harm.

    Args:
        notebook: read statically; nothing of it runs.
        given: what a scheduled run has in its environment, and what connections could add.
        cells: its code, where somebody has parsed it already.
        project_root: importable beside the notebook's own folder.
    """
    cells = parsed_cells(notebook) if cells is None else cells
    reads, dotenv = _all_reads(notebook, cells, project_root)
    wanting = [read for read in reads if _is_wanting(read, given)]
    found = [_finding(read, notebook, given) for read in _worst_of_each(wanting)]
    return sorted([*found, *dotenv], key=lambda finding: (finding.cell, finding.line))


def _all_reads(
    notebook: Notebook, cells: Sequence[ParsedCell], root: Path | None
) -> tuple[list[Read], list[NightFinding]]:
    python = PythonReads()
    modules = imported_modules(notebook, cells, root)
    # Names are learned from all cells or from none: most notebooks read nothing at all.
    worth = bool(modules) or any(c.magics or may_read(c.cell.source) for c in cells)
    for parsed in cells:
        cell = parsed.cell.index
        for magic in parsed.magics:
            _add_shell(python, magic_reads(magic.text, magic.first + 1), cell, ends_there=False)
        if parsed.language == "bash":
            keeps = notebook.language != "python"
            _add_shell(python, bash_reads(parsed.cell.source), cell, ends_there=not keeps)
        elif parsed.language == "R":
            _add_shell(python, r_reads(parsed.cell.source), cell, ends_there=False)
        if parsed.tree is None or not worth:
            continue
        for module in modules:
            if module.cell == cell:
                python.walk_module(module)
        python.walk(parsed.tree, cell)
    names, findings = _from_dotenv(python, notebook)
    # What a function reads, it reads when it is called: after all that is set anywhere. A name
    # of the notebook's own stands in a shell line before one of the environment.
    reads = [
        read
        for read in python.reads
        if read.variable is None
        or (
            read.variable not in names
            and not (read.is_deferred and read.variable in python.assigned)
            and not (read.way.startswith("$") and read.variable in python.bound)
        )
    ]
    return [_if_called(read, python.called) for read in reads], findings


def _add_shell(
    python: PythonReads, found: Iterable[ShellRead], cell: int, *, ends_there: bool
) -> None:
    for read in found:
        if read.dotenv:
            python.dotenv.append((cell, read.line, read.variable))
        elif read.sets:
            if not ends_there and read.variable is not None:
                python.assigned.add(read.variable)
        elif read.variable is None:
            python.reads.append(Read(None, cell, read.line, Need.CERTAIN, read.way))
        elif read.variable not in python.assigned:
            python.reads.append(Read(read.variable, cell, read.line, Need.PERHAPS, read.way))


def _from_dotenv(
    python: PythonReads, notebook: Notebook
) -> tuple[frozenset[str], list[NightFinding]]:
    """What a ``.env`` file sets that a cell loads, and what there is to say of the file."""
    names: set[str] = set()
    findings = []
    folder = None if notebook.path is None else notebook.path.absolute().parent
    for cell, line, file in python.dotenv:
        there = None if folder is None else dotenv_names(folder, file)
        if there is None:
            continue  # then each variable that is missing is told of
        names |= there
        if there:
            listed = _listed(sorted(there))
            text = (
                f"{listed} {'comes' if len(there) == 1 else 'come'} from a `.env` file of this "
                "machine, which no deployment has: name connections for what is secret in it"
            )
            findings.append(
                NightFinding(
                    READS_DOTENV,
                    Severity.MAY_SURPRISE,
                    cell,
                    notebook.cells[cell].id,
                    line,
                    text,
                )
            )
    return frozenset(names), findings


def _if_called(read: Read, called: set[str]) -> Read:
    if read.function is not None and read.function not in called:
        return replace(read, need=min(read.need, Need.PERHAPS))
    return read


def _is_wanting(read: Read, given: GivenEnvironment) -> bool:
    if read.sdk is not None:
        return not any(given.gives(name) for name in read.sdk.variables)
    if read.variable is None or (read.way == "getpass()" and not read.if_missing):
        return True
    if given.gives(read.variable):
        return False
    # Code that can do without is told of only where it would do without what it came for.
    return read.need > Need.NONE or (
        read.variable in given.offers or names_credential(read.variable)
    )


def _worst_of_each(reads: list[Read]) -> list[Read]:
    worst: dict[tuple[object, ...], Read] = {}
    asked = {read.variable for read in reads if read.if_missing}
    for read in reads:
        if read.variable in asked and not read.if_missing and read.need < Need.CERTAIN:
            continue  # without it the question is asked, which is told of
        if read.sdk is not None:
            about: tuple[object, ...] = (read.sdk.what,)
        elif read.variable is None:
            about = (read.way, read.cell, read.line)
        else:
            about = (read.variable, read.way == "getpass()")
        if about not in worst or read.need > worst[about].need:
            worst[about] = read
    return list(worst.values())


def _finding(read: Read, notebook: Notebook, given: GivenEnvironment) -> NightFinding:
    variables = read.sdk.variables if read.sdk is not None else (read.variable,)
    fixes = tuple(
        Fix(
            "connection",
            f"Use the connection {offer.connection}",
            {"key": offer.key, "connection": offer.connection},
        )
        for offer in dict.fromkeys(
            offer for name in variables if name is not None for offer in given.offers.get(name, ())
        )
    )
    severity = Severity.WILL_FAIL if read.need is Need.CERTAIN else Severity.MAY_SURPRISE
    where = "" if read.module is None else f"{read.module.file.name}, line {read.line}: "
    text = f"{where}{_why(read)}: {_what_to_do(read, given, fixes)}"
    rule = LIBRARY_LOGIN if read.sdk else READS_VARIABLE
    if read.way == "getpass()" or (read.variable is None and read.sdk is None):
        rule = ASKS_PASSWORD
    line = read.line if read.module is None else read.module.line
    return NightFinding(rule, severity, read.cell, notebook.cells[read.cell].id, line, text, fixes)


def _why(read: Read) -> str:
    if read.sdk is not None:
        looks = f"`{read.sdk.variables[0]}`"
        if read.sdk.elsewhere is not None:
            looks += f" or what {read.sdk.elsewhere} left on this machine"
        has = "which a scheduled run need not have" if read.sdk.elsewhere else "and fails without"
        if not read.sdk.fails and not read.sdk.elsewhere:
            has = "which a scheduled run does not have"
        return f"`{read.way}` looks for {looks}, {has}"
    if read.way == "keyring.get_password()":
        return "`keyring.get_password()` opens the keyring of whoever is logged in, and at night nobody is"
    if read.way == "getpass()" or read.variable is None:
        of = f" for `{read.variable}`" if read.variable else ""
        return f"`{read.way}` asks{of} at the keyboard, and at night nobody answers"
    return f"reads `{read.variable}`, which is not in the environment of a scheduled run"


def _what_to_do(read: Read, given: GivenEnvironment, fixes: Sequence[Fix]) -> str:
    variables = read.sdk.variables if read.sdk is not None else (read.variable,)
    if fixes:
        offered = [fix.arguments for fix in fixes]
        named = " or ".join(f"`{o['key']}: {o['connection']}`" for o in offered)
        return f"name the connection under `resources`, {named}"
    withheld = next((given.withheld[v] for v in variables if v and v in given.withheld), ())
    if withheld:
        ask = f"ask {given.contact}" if given.contact else "ask who keeps the platform file"
        return f"the connection `{withheld[0]}` has it, but not for this notebook: {ask}"
    if read.variable is None or read.sdk is not None or names_credential(read.variable):
        whom = given.contact or "who keeps the platform file"
        return f"ask {whom} for a connection" + (
            f" that delivers `{read.variable}`" if read.variable and read.sdk is None else ""
        )
    return "make it a parameter, or set it in a cell above"


def _listed(names: list[str], most: int = 3) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
