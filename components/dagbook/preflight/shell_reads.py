"""What magics, shell lines, bash and R read from the environment, found without running them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_ENV_MAGIC = re.compile(
    r"[ \t]*%(?P<magic>env|set_env)[ \t]+(?P<name>\w+)(?P<rest>[= \t].*)?$", re.S
)
_DOTENV_MAGIC = re.compile(r"[ \t]*%dotenv\b(?:[ \t]+(?P<file>[^-\s]\S*))?")
_SHELL_LINE = re.compile(r"[ \t]*(?:[\w.,\[\]'\" ]+=[ \t]*)?!{1,2}(?P<command>.*)$", re.S)
#: `$NAME` and `${NAME}` of a shell; `${NAME:-default}` and the like say what to do without.
_VARIABLE = re.compile(
    r"(?<![\\$])\$(?:\{(?P<braced>[A-Z_][A-Z0-9_]*)\}|(?P<plain>[A-Z_][A-Z0-9_]*))"
)
_SETS = re.compile(
    r"(?:^|[;&|(]|\bdo\b|\bthen\b)[ \t]*(?:(?:export|declare|local|readonly|typeset)[ \t]+(?:-\w+[ \t]+)*)?"
    r"(?P<name>[A-Za-z_]\w*)=|\b(?:for|read(?:[ \t]+-\w+)*)[ \t]+(?P<loop>[A-Za-z_]\w*)",
    re.MULTILINE,
)
#: What a shell has of its own.
_OF_SHELLS = frozenset(
    (
        *("RANDOM", "SECONDS", "LINENO", "UID", "EUID", "PPID", "OLDPWD", "IFS", "OSTYPE", "REPLY"),
        *("FUNCNAME", "PIPESTATUS", "SHLVL", "OPTARG", "OPTIND", "BASH", "BASHPID", "HOSTTYPE"),
        *("MACHTYPE", "GROUPS", "COLUMNS", "LINES", "EPOCHSECONDS", "EPOCHREALTIME", "_"),
    )
)
_R_READS = re.compile(r"Sys\.getenv\(\s*(?:x\s*=\s*)?[\"'](?P<name>\w+)[\"']\s*(?P<more>,)?")
_R_SETS = re.compile(r"Sys\.setenv\((?P<names>[^()]*)")
_R_NAME = re.compile(r"[\"'`]?(\w+)[\"'`]?\s*=")
_R_ASKS = re.compile(r"(?:askpass::askpass|rstudioapi::askForPassword|getPass::getPass|askpass)\(")


@dataclass(frozen=True)
class ShellRead:
    """One place that reads a variable, or sets one (`sets`); the line counts from 1."""

    variable: str | None
    line: int
    way: str
    sets: bool = False
    dotenv: bool = False
    """Whether it reads a ``.env`` file, whose name is `variable` where one is given"""


def magic_reads(text: str, line: int) -> Iterator[ShellRead]:
    """What one line with ``%`` or ``!`` reads or sets.

    Args:
        text: the line.
        line: its number in the cell, counted from 1.
    """
    if (env := _ENV_MAGIC.match(text)) is not None:
        name, rest = env["name"], (env["rest"] or "").strip()
        yield ShellRead(name, line, f"%{env['magic']} {name}", sets=bool(rest))
    elif (dotenv := _DOTENV_MAGIC.match(text)) is not None:
        yield ShellRead(dotenv["file"], line, "%dotenv", dotenv=True)
    elif (shell := _SHELL_LINE.match(text)) is not None:
        # Each line has a shell of its own, so what it sets is gone with it.
        reads = _shell_reads(shell["command"], line)
        yield from (read for read in reads if not read.sets)


def bash_reads(source: str) -> Iterator[ShellRead]:
    """What a cell in bash reads; what it sets, for the cells below where bash is the kernel."""
    body = "\n".join("" if line.startswith("%%") else line for line in source.split("\n"))
    return _shell_reads(body, 1)


def _shell_reads(text: str, first_line: int) -> Iterator[ShellRead]:
    text = "\n".join(_without_quoted(line) for line in text.split("\n"))
    own = set()
    for match in _SETS.finditer(text):
        name = match["name"] or match["loop"]
        own.add(name)
        yield ShellRead(name, first_line + text.count("\n", 0, match.start()), name, sets=True)
    for match in _VARIABLE.finditer(text):
        name = match["braced"] or match["plain"]
        if name not in own and name not in _OF_SHELLS:
            line = first_line + text.count("\n", 0, match.start())
            yield ShellRead(name, line, f"${name}")


def _without_quoted(line: str) -> str:
    """A line without its comment and without what stands in single quotes, where `$` is a sign."""
    line = re.sub(r"'[^']*'", "''", line)
    return re.sub(r"(?:^|(?<=\s))#.*", "", line)


def r_reads(source: str) -> Iterator[ShellRead]:
    """What a cell in R reads or sets."""
    for number, text in enumerate(source.split("\n"), 1):
        code = re.sub(r"(?:^|(?<=\s))#.*", "", text)
        for sets in _R_SETS.finditer(code):
            for name in _R_NAME.findall(sets["names"]):
                yield ShellRead(name, number, "Sys.setenv()", sets=True)
        for read in _R_READS.finditer(code):
            if not read["more"]:
                yield ShellRead(read["name"], number, f'Sys.getenv("{read["name"]}")')
        if asks := _R_ASKS.search(code):
            yield ShellRead(None, number, f"{asks[0]})")
