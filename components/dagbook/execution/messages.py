"""Speaks with a kernel: sends one cell, hands on each message, notices at once when it dies."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from dagbook.errors import DagbookError
from dagbook.execution.kernel import Kernel
from dagbook.execution.large_message import (
    CONTENT_FRAME,
    LARGE_BYTES,
    read_large,
    receive_frames,
)
from dagbook.execution.undropped import KEEP_ALL_OUTPUT

if TYPE_CHECKING:
    from jupyter_client.blocking.client import BlockingKernelClient

Message = dict[str, Any]

#: How often the caller's `tick` runs while a cell does, in seconds.
TICK_SECONDS = 0.25
#: How long the last outputs may follow the reply, and those of a kernel that died.
IOPUB_SECONDS = 4.0
LAST_OUTPUT_SECONDS = 0.2
CONNECT_POLL_SECONDS = 0.004


class KernelDiedError(Exception):
    """The kernel's process ended. Negative `exit_code`: the signal that killed it."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(f"kernel ended with exit code {exit_code}")
        self.exit_code = exit_code


class Conversation:
    """The sockets to one kernel, all watched in one place.

    One thread waits for output, reply and the kernel's end together, so nothing is polled
    and a dead kernel is noticed when it dies.
    """

    def __init__(self, kernel: Kernel, keep_bytes: int = LARGE_BYTES) -> None:
        """`keep_bytes`: how much of both ends of a text too large to be kept is wanted."""
        self._kernel = kernel
        self._keep_bytes = keep_bytes
        self._client: BlockingKernelClient | None = None
        # Which cell sent which request: what a thread prints later still finds its cell.
        self._cell_of: dict[str, int] = {}

    @property
    def client(self) -> BlockingKernelClient:
        """Jupyter's client, once connected."""
        assert self._client is not None
        return self._client

    def connect(self, timeout: float) -> Message:
        """Connect and wait until the kernel answers; its ``kernel_info`` is returned.

        Raises:
            DagbookError: it did not answer within `timeout` seconds, or ended before.
        """
        import zmq
        from jupyter_client.blocking.client import BlockingKernelClient

        deadline = time.monotonic() + timeout
        # A connection made before the kernel listens is only tried again much later.
        while not self._kernel.is_bound:
            self._check_starting(deadline, timeout)
            time.sleep(CONNECT_POLL_SECONDS)
        self._client = BlockingKernelClient()
        # While a caller's listener is slow, messages wait here. By default only a thousand
        # would, and a kernel drops what its reader does not take.
        self._client.context.setsockopt(zmq.RCVHWM, 0)
        connection: Any = self._kernel.connection
        self._client.load_connection_info(connection)
        self._client.start_channels(stdin=False, hb=False)
        channels = (self._client.shell_channel, self._client.iopub_channel)
        self._shell, self._iopub = (_without_asyncio(channel.socket) for channel in channels)
        self._poller = zmq.Poller()
        self._poller.register(self._iopub, zmq.POLLIN)
        self._poller.register(self._shell, zmq.POLLIN)
        self._poller.register(self._kernel.status, zmq.POLLIN)
        info = self._wait_until_heard(deadline, timeout)
        if self._kernel.spec.is_ipykernel:
            # Not waited for: it is done before the first cell, which comes after it.
            self._client.execute(KEEP_ALL_OUTPUT, silent=True, allow_stdin=False)
        return info

    def _wait_until_heard(self, deadline: float, timeout: float) -> Message:
        # Both ways must work: the reply on the shell socket, and the status messages of the
        # same request on iopub, whose subscription travels on its own.
        info: Message | None = None
        requests: set[str] = set()
        heard = False
        ask_again = 0.0
        while info is None or not heard:
            self._check_starting(deadline, timeout)
            if time.monotonic() >= ask_again and (info is not None or not requests):
                requests.add(self.client.kernel_info())
                ask_again = time.monotonic() + 0.1
            for socket, _ in self._poller.poll(50):
                if socket is self._shell and (message := self._receive(self._shell)):
                    if message["msg_type"] == "kernel_info_reply":
                        info = message
                elif socket is self._iopub and (message := self._receive(self._iopub)):
                    heard = heard or message["parent_header"].get("msg_id") in requests
        return info

    def _check_starting(self, deadline: float, timeout: float) -> None:
        if not self._kernel.read_status():
            said = self._kernel.last_words.splitlines()
            why = f": {said[-1]}" if said else ""
            raise DagbookError(
                f"kernel {self._kernel.spec.name!r} ended while starting "
                f"(exit code {self._kernel.exit_code}){why}"
            )
        if time.monotonic() > deadline:
            raise DagbookError(
                f"kernel {self._kernel.spec.name!r} did not answer within {timeout:g} s"
            )

    def execute(
        self,
        code: str,
        *,
        cell: int | None,
        on_message: Callable[[int, Message], None],
        tick: Callable[[], None],
        user_expressions: Mapping[str, str] | None = None,
    ) -> Message:
        """Send `code` and wait until it is done; returns the content of the reply.

        Args:
            cell: the position of the cell whose code it is. A question of ours leaves no
                trace in the kernel's history: None when its output does not matter, -1 when
                `on_message` is to get it.
            on_message: gets every output message with the cell it belongs to, in order.
            tick: called several times a second; whatever it raises ends the wait.

        Raises:
            KernelDiedError: the kernel ended; what it had put out was handed on before.
        """
        sent = self.client.execute(
            code,
            silent=False,
            store_history=cell is not None and cell >= 0,
            user_expressions=dict(user_expressions or {}),
            allow_stdin=False,
        )
        if cell is not None:
            self._cell_of[sent] = cell
        reply: Message | None = None
        idle = False
        last_output_by = float("inf")
        next_tick = 0.0
        while not (idle and reply) and time.monotonic() < last_output_by:
            for socket, _ in self._poller.poll(int(TICK_SECONDS * 1000)):
                if socket is self._iopub:
                    idle = self._take_outputs(sent, on_message) or idle
                elif socket is self._shell:
                    message = self._receive(self._shell)
                    if message and message["parent_header"].get("msg_id") == sent:
                        reply = message
                        last_output_by = time.monotonic() + IOPUB_SECONDS
                elif not self._kernel.read_status():
                    self._take_last_outputs(sent, on_message)
                    raise KernelDiedError(self._kernel.exit_code or 0)
            # Not once per message: a cell that prints a lot must not pay for it.
            if (now := time.monotonic()) >= next_tick:
                tick()
                next_tick = now + TICK_SECONDS
        return {} if reply is None else dict(reply["content"])

    def _take_outputs(self, sent: str, on_message: Callable[[int, Message], None]) -> bool:
        """Hand on what has come; True when the kernel said that this code is done."""
        for _ in range(100):
            message = self._receive(self._iopub)
            if message is None:
                return False
            parent = message["parent_header"].get("msg_id")
            if message["msg_type"] == "status":
                if parent == sent and message["content"]["execution_state"] == "idle":
                    return True
            elif (owner := self._cell_of.get(parent)) is not None:
                on_message(owner, message)
        return False

    def _take_last_outputs(self, sent: str, on_message: Callable[[int, Message], None]) -> None:
        deadline = time.monotonic() + LAST_OUTPUT_SECONDS
        while (left := deadline - time.monotonic()) > 0 and self._iopub.poll(int(left * 1000)):
            self._take_outputs(sent, on_message)

    def _receive(self, socket: Any) -> Message | None:
        """One message without waiting; None when there is none (or none of a kernel's)."""
        import zmq

        session = self.client.session
        try:
            frames: Any = receive_frames(socket, zmq.NOBLOCK)
            _, parts = session.feed_identities(frames)
            if not isinstance(parts[CONTENT_FRAME], memoryview):
                message: Message = session.deserialize(parts)
                return message
            message = session.deserialize(parts, content=False)
            message["content"] = read_large(parts[CONTENT_FRAME], self._keep_bytes)
        except zmq.Again:
            return None
        except ValueError:
            return None  # signed with another key: not from our kernel
        return message

    def request_interrupt(self) -> None:
        """Interrupt a kernel that takes a message for it instead of a signal."""
        message = self.client.session.msg("interrupt_request", {})
        self.client.control_channel.send(message)

    def request_shutdown(self) -> None:
        """Ask the kernel to end by itself, so that what it registered for exit runs."""
        if self._client is not None:
            self._client.shutdown()

    def close(self) -> None:
        """Close the sockets; what was not sent yet is dropped."""
        if self._client is not None:
            for channel in (
                self._client.shell_channel,
                self._client.iopub_channel,
                self._client.control_channel,
            ):
                if channel.socket is not None:
                    channel.socket.linger = 0
            self._client.stop_channels()
            self._client = None


def _without_asyncio(socket: Any) -> Any:
    """The same socket to wait on: jupyter-client 7 makes them for asyncio, also the blocking ones."""
    import zmq

    return zmq.Socket.shadow(socket.underlying)
