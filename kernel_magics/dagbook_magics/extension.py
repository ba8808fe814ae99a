"""Hangs everything of ours into a shell, and takes all of it out again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagbook_magics.cell_watch import CellWatch
from dagbook_magics.kept_credentials import set_what_is_kept
from dagbook_magics.line_magic import NAME, LineMagic
from dagbook_magics.role_line import RoleLines
from dagbook_magics.saved import CellsSeen
from dagbook_magics.tag_offer import TagOffer

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

#: Where a shell keeps what we hung into it: a second `%load_ext` finds the first.
_KEPT = "_dagbook_extension"


def load(shell: InteractiveShell) -> None:
    """Hang ours into a shell. A second time takes the first out: code may have changed."""
    from IPython.core.magic import no_var_expand

    unload(shell)
    lines = RoleLines()
    seen = CellsSeen()
    watch = CellWatch(shell, TagOffer(shell), seen)
    magic = LineMagic(shell, seen)
    # It fills in names itself: IPython's way takes one of two braces away.
    no_var_expand(LineMagic.line)
    shell.register_magic_function(magic.line, "line", NAME)
    shell.register_magic_function(magic.cell, "cell", NAME)
    shell.set_hook("complete_command", magic.completions, str_key=f"%{NAME}")
    shell.input_transformers_cleanup.append(lines)
    shell.events.register("pre_run_cell", watch.before_cell)
    shell.events.register("post_run_cell", watch.after_cell)
    setattr(shell, _KEPT, (lines, watch))
    set_what_is_kept(shell)


def unload(shell: InteractiveShell) -> None:
    """Take ours out of a shell; nothing happens where there is nothing of ours."""
    kept = getattr(shell, _KEPT, None)
    if kept is None:
        return
    lines, watch = kept
    # By identity: a shell may have been given another list of transformers meanwhile.
    shell.input_transformers_cleanup[:] = [
        transformer for transformer in shell.input_transformers_cleanup if transformer is not lines
    ]
    shell.events.unregister("pre_run_cell", watch.before_cell)
    shell.events.unregister("post_run_cell", watch.after_cell)
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop(NAME, None)
    watch.close()
    delattr(shell, _KEPT)
