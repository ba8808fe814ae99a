"""Lets a cell that begins with `%%dagster ROLE` run as any other, its line numbers intact."""

from __future__ import annotations

from dagbook.cell_source import without_role_line
from dagbook.errors import DagbookError
from dagbook.first_line import find_role_line, settings_below
from dagbook.notebook import refuse_late_magic
from dagbook.roles import read_roles

#: Where a cell is named in an error: the reader has it before their eyes.
THIS_CELL = "this cell"


class RoleLines:
    """Turns the role's line into a comment, and refuses one that says no role.

    IPython calls it with the lines of every cell before anything else looks at them.
    """

    #: IPython also asks transformers whether a cell is complete; a mistake in a cell that is still
    #: being typed is not worth a word.
    has_side_effects = True

    def __call__(self, lines: list[str]) -> list[str]:
        """The lines a kernel is to run.

        Raises:
            DagbookError: the first line says something that is no role.
        """
        source = "".join(lines)
        line = find_role_line(source, "python")
        if line is None or not line.is_magic:
            # Below another magic, which has it run as a cell of its own, it would say nothing.
            if "%%dagster" in source:
                refuse_late_magic(source, THIS_CELL)
            return lines
        if not line.words and settings_below(source, line.number) is not None:
            return lines  # settings: the magic of that name reads them
        first, *below = source.strip().split("\n")
        if len(first.split()) > 1 and not line.words and not "".join(below).strip():
            raise DagbookError(
                f"{THIS_CELL}: write the settings below `{first.strip()}`, such as "
                "`compute_size: medium`"
            )
        # Raises what is wrong with it, in one line.
        read_roles(source, (), language="python", where=THIS_CELL)
        return without_role_line(source, "python").splitlines(keepends=True)
