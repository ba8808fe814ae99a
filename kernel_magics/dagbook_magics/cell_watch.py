"""Looks at each cell that has run, and shows below it what production will make of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dagbook.errors import DagbookError
from dagbook.first_line import find_role_line
from dagbook.report import RUN_FOLDER_VARIABLE, recorded
from dagbook.roles import CellRoles, read_roles
from dagbook_magics import in_production
from dagbook_magics.role_line import THIS_CELL
from dagbook_magics.saved import CellsSeen
from dagbook_magics.tag_offer import TagOffer

if TYPE_CHECKING:
    from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult, InteractiveShell


class CellWatch:
    """Watches the cells of one shell; quiet about all that have no role."""

    def __init__(self, shell: InteractiveShell, offer: TagOffer, seen: CellsSeen) -> None:
        self._shell = shell
        self._offer = offer
        self._seen = seen
        self._reported_before = len(recorded())

    def before_cell(self, info: ExecutionInfo) -> None:
        """Remember what runs, to tell whether it was saved, and what was reported before it."""
        self._reported_before = len(recorded())
        cell_id = _parent_metadata(self._shell).get("cellId")
        if isinstance(cell_id, str) and info.store_history:
            self._seen.note(cell_id, str(info.raw_cell or ""))

    def after_cell(self, result: ExecutionResult) -> None:
        """Show what production makes of the cell that has just run."""
        info = result.info
        if info is None or not info.store_history or result.error_before_exec is not None:
            return
        if os.environ.get(RUN_FOLDER_VARIABLE):
            return  # a run, which shows the real thing
        reported = in_production.reported(recorded()[self._reported_before :])
        if reported is not None:
            self._publish(reported)
        source = str(info.raw_cell or "")
        tags = _tags(self._shell)
        if not tags and find_role_line(source, "python") is None:
            return
        try:
            said = read_roles(source, tags, language="python", where=THIS_CELL)
        except DagbookError as error:
            # Its tag and its line disagree, or a tag of ours is misspelt. The cell has run all
            # the same: this is about production.
            said, problem = CellRoles(), str(error)
        else:
            problem = ""
        if said.settings is not None:
            return
        shown = in_production.of_roles(said, source, self._shell, result, problem=problem)
        if shown is not None:
            self._publish(shown)
        self._offer.about(source, tags, said)

    def _publish(self, bundle: Mapping[str, Any]) -> None:
        self._shell.display_pub.publish(data=dict(bundle))

    def close(self) -> None:
        """End what was begun with the front end."""
        self._offer.close()


def _tags(shell: InteractiveShell) -> tuple[str, ...]:
    """The tags of the running cell, where the front end tells them."""
    metadata = _parent_metadata(shell)
    tags = metadata.get("tags")
    return tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else ()


def _parent_metadata(shell: InteractiveShell) -> Mapping[str, Any]:
    get_parent = getattr(shell, "get_parent", None)
    if get_parent is None:
        return {}
    metadata = get_parent().get("metadata")
    return metadata if isinstance(metadata, Mapping) else {}
