"""Keeps the state of ipywidgets a notebook shows, so that the stored notebook shows them too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from dagbook.execution.large_message import LEFT_OUT
from dagbook.execution.page import BACKGROUND_IMPORT
from dagbook.execution.wire import Message

if TYPE_CHECKING:
    from jupyter_client.client import KernelClient
    from nbclient import NotebookClient

    from dagbook.execution.messages import Conversation


class WidgetRecorder:
    """nbclient's bookkeeping of comm messages, used without its way of running cells.

    The client is made with the first comm message: most notebooks have none.
    """

    def __init__(self, conversation: Conversation, most_bytes: int) -> None:
        """`most_bytes`: how much output the widgets of a cell may hold."""
        self._taken: dict[int, int] = {}
        self._most_bytes = most_bytes
        self._conversation = conversation
        self._client: NotebookClient | None = None

    def comm(self, cell: int, message: Message) -> None:
        """Take in a ``comm_open``, ``comm_msg`` or ``comm_close``."""
        if self._client is None:
            with BACKGROUND_IMPORT:
                import nbformat
                from nbclient import NotebookClient

            self._client = NotebookClient(nbformat.v4.new_notebook())
            self._client.reset_execution_trackers()
            self._client.kc = cast("KernelClient", _WidgetSide(self._conversation))
        if message["msg_type"] == "comm_close":
            return
        try:
            self._client.handle_comm_msg([], message, cell)
        except Exception:
            pass  # not shaped as a widget's message is: there is no state in it to keep

    def captures(self, cell: int, message: Message) -> bool:
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

    def store(self, document: dict[str, Any]) -> None:
        """Write the widgets' state into the document's metadata."""
        if self._client is not None:
            self._client.set_widgets_metadata()
            found = self._client.nb.metadata.get("widgets")
            if found is not None:
                document["metadata"]["widgets"] = found


class _WidgetSide:
    """The two things nbclient's Output widget does with a kernel client: make a message, send it.

    Over the socket the cells go: what a widget is told arrives before the next cell.
    """

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self.session = self.shell_channel = self

    def msg(
        self,
        msg_type: str,
        content: Mapping[str, Any] | None = None,
        parent: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Message:
        """As jupyter_client's session does."""
        return self._conversation.new_message(msg_type, content or {}, parent or {}, metadata or {})

    def send(self, message: Message) -> None:
        """As jupyter_client's channel does."""
        self._conversation.send(message)


def _size(content: Mapping[str, Any]) -> int:
    texts = (content.get("text", ""), content.get("data", ""), content.get("traceback", ""))
    return sum(len(text if isinstance(text, str) else str(text)) for text in texts)
