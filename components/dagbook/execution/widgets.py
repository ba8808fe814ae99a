"""Keeps the state of ipywidgets a notebook shows, so that the stored notebook shows them too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dagbook.execution.large_message import LEFT_OUT

if TYPE_CHECKING:
    from nbclient import NotebookClient


class WidgetRecorder:
    """nbclient's bookkeeping of comm messages, used without its way of running cells.

    The client is made with the first comm message: most notebooks have none.
    """

    def __init__(self, notebook: Any, kernel_client: Any, most_bytes: int) -> None:
        """`most_bytes`: how much output the widgets of a cell may hold."""
        self._taken: dict[int, int] = {}
        self._most_bytes = most_bytes
        self._notebook = notebook
        self._kernel_client = kernel_client
        self._client: NotebookClient | None = None

    def comm(self, cell: int, message: dict[str, Any]) -> None:
        """Take in a ``comm_open``, ``comm_msg`` or ``comm_close``."""
        if self._client is None:
            from nbclient import NotebookClient

            self._client = NotebookClient(self._notebook)
            self._client.reset_execution_trackers()
            self._client.kc = self._kernel_client
        if message["msg_type"] == "comm_close":
            return
        self._client.handle_comm_msg([], message, cell)

    def captures(self, cell: int, message: dict[str, Any]) -> bool:
        """Whether an Output widget takes this output; if so, it now has it.

        It takes no more than a cell keeps: what comes then is shown below it, and capped there.
        """
        if self._client is None:
            return False
        stack = self._client.output_hook_stack[message["parent_header"].get("msg_id")]
        if not stack or LEFT_OUT in message["content"]:
            return False
        # Also counted when it is not taken: what follows must not come to stand before it.
        self._taken[cell] = self._taken.get(cell, 0) + _size(message["content"])
        if self._taken[cell] > self._most_bytes:
            return False
        if message["msg_type"] == "clear_output":
            self._client.clear_output([], message, cell)
        else:
            self._client.output([], message, None, cell)
        return True

    def store(self) -> None:
        """Write the widgets' state into the notebook's metadata."""
        if self._client is not None:
            self._client.set_widgets_metadata()


def _size(content: Mapping[str, Any]) -> int:
    texts = (content.get("text", ""), content.get("data", ""), content.get("traceback", ""))
    return sum(len(text if isinstance(text, str) else str(text)) for text in texts)
