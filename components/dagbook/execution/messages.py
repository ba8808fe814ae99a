"""Speaks with a kernel: sends one cell, hands on each message, notices at once when it dies."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from dagbook.errors import DagbookError
from dagbook.execution.kernel import Kernel
from dagbook.execution.large_message import LARGE_BYTES
from dagbook.execution.undropped import KEEP_ALL_OUTPUT
from dagbook.execution.wire import Message, Wire

if TYPE_CHECKING:
    import zmq

    from dagbook.execution.masked_messages import MaskedMessages
    from dagbook.masking import Masker

#: How often the caller's `tick` runs while a cell does, in seconds.
TICK_SECONDS = 0.25
#: How long the next output may take once there is a reply, or all outputs of a kernel that
#: died; and how long such a kernel's next one may take.
IOPUB_SECONDS = 4.0
#: The same where no message is ever dropped. The last one comes, however late: a kernel may take
#: long over 200 MB.
UNDROPPED_SECONDS = 60.0
LAST_OUTPUT_SECONDS = 0.2
#: So many outputs are taken in before other things are looked at.
MOST_AT_ONCE = 100
#: After so much has come, there is work that can be done while more comes.
MUCH_BYTES = 64_000
CONNECT_POLL_SECONDS = 0.004
#: How soon a kernel that has answered, but was not heard on its output, is asked again.
ASK_AGAIN_SECONDS = 0.02


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

    def __init__(
        self, kernel: Kernel, keep_bytes: int = LARGE_BYTES, masker: Masker | None = None
    ) -> None:
        """Prepare to speak with a kernel that is starting.

        Args:
            kernel: the kernel.
            keep_bytes: how much of both ends of a text too large to be kept is wanted.
            masker: what it sends is handed on without the values that this one knows.
        """
        self._kernel = kernel
        self._wire = Wire(kernel.connection["key"].encode(), keep_bytes, masker)
        self._masked = _masked(masker)
        self._context: zmq.Context[Any] | None = None
        # Which cell sent which request: what a thread prints later still finds its cell.
        self._cell_of: dict[str, int] = {}

    def connect(self, timeout: float) -> Message:
        """Connect and wait until the kernel answers; its ``kernel_info`` is returned.

        Raises:
            DagbookError: it did not answer within `timeout` seconds, or ended before.
        """
        # Here, when the kernel starts already and there is time for it.
        import zmq

        self._zmq: Any = zmq
        deadline = time.monotonic() + timeout
        # A connection made before the kernel listens is only tried again much later.
        while not self._kernel.is_bound:
            self._check_starting(deadline, timeout)
            time.sleep(CONNECT_POLL_SECONDS)
        self._context = zmq.Context()
        # What was not sent yet is dropped when the sockets are closed.
        self._context.setsockopt(zmq.LINGER, 0)
        # While a caller's listener is slow, messages wait here. By default only a thousand
        # would, and a kernel drops what its reader does not take.
        self._context.setsockopt(zmq.RCVHWM, 0)
        # And what a busy kernel does not take yet waits too, rather than we for it.
        self._context.setsockopt(zmq.SNDHWM, 0)
        self._shell = self._socket(zmq.DEALER, "shell")
        self._control = self._socket(zmq.DEALER, "control")
        self._iopub = self._socket(zmq.SUB, "iopub")
        self._monitor = self._iopub.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        self._poller = zmq.Poller()
        self._poller.register(self._iopub, zmq.POLLIN)
        self._poller.register(self._shell, zmq.POLLIN)
        self._poller.register(self._kernel.status, zmq.POLLIN)
        info = self._wait_until_heard(deadline, timeout)
        if self._kernel.spec.is_ipykernel:
            # Not waited for: it is done before the first cell, which comes after it.
            self.send(self._wire.message("execute_request", _question(KEEP_ALL_OUTPUT)))
        return info

    def _socket(self, kind: int, channel: str) -> zmq.Socket[bytes]:
        assert self._context is not None
        socket: zmq.Socket[bytes] = self._context.socket(kind)
        if kind == self._zmq.SUB:
            socket.setsockopt(self._zmq.SUBSCRIBE, b"")
        else:
            # The kernel answers on its input channel by this name too.
            socket.setsockopt(self._zmq.IDENTITY, self._wire.session.encode())
        told = self._kernel.connection
        socket.connect(f"{told['transport']}://{told['ip']}-{told[f'{channel}_port']}")
        return socket

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
                requests.add(self.send(self._wire.message("kernel_info_request")))
                ask_again = time.monotonic() + ASK_AGAIN_SECONDS
            for socket, _ in self._poller.poll(int(ASK_AGAIN_SECONDS * 1000)):
                if socket is self._shell and (message := self._receive(self._shell)):
                    if message["msg_type"] == "kernel_info_reply":
                        info = message
                elif socket is self._iopub and (message := self._receive(self._iopub)):
                    heard = heard or message["parent_header"].get("msg_id") in requests
        return info if self._masked is None else self._masked.masked(info)

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
        meanwhile: Callable[[], bool] = lambda: False,
        user_expressions: Mapping[str, str] | None = None,
    ) -> Message:
        """Send `code` and wait until it is done; returns the content of the reply.

        Args:
            cell: the position of the cell whose code it is. A question of ours leaves no
                trace in the kernel's history: None when its output does not matter, -1 when
                `on_message` is to get it.
            on_message: gets every output message with the cell it belongs to, in order.
            tick: called several times a second; whatever it raises ends the wait.
            meanwhile: called when there is nothing to take in, at the start and after much has
                come, until it says that there is nothing left to do: for work of a few
                milliseconds, which then costs no time, as the kernel is at work too.

        Raises:
            KernelDiedError: the kernel ended; what it had put out was handed on before.
        """
        content = {
            **_question(code),
            "silent": False,
            "store_history": cell is not None and cell >= 0,
            "user_expressions": dict(user_expressions or {}),
        }
        sent = self.send(self._wire.message("execute_request", content))
        if cell is not None:
            self._cell_of[sent] = cell
        patience = UNDROPPED_SECONDS if self._kernel.spec.is_ipykernel else IOPUB_SECONDS
        reply: Message | None = None
        idle = False
        last_output_by = float("inf")
        next_tick = time.monotonic() + TICK_SECONDS
        has_work, worked_at = True, self._wire.received_bytes
        while not (idle and reply) and time.monotonic() < last_output_by:
            ready = self._poller.poll(0 if has_work else int(TICK_SECONDS * 1000))
            if has_work and not ready:
                has_work, worked_at = meanwhile(), self._wire.received_bytes
            for socket, _ in ready:
                if socket is self._iopub:
                    idle = self._take_outputs(sent, on_message) or idle
                    if reply is not None:
                        # Counted from the last output: many may still wait to be read.
                        last_output_by = time.monotonic() + patience
                elif socket is self._shell:
                    message = self._receive(self._shell)
                    if message and message["parent_header"].get("msg_id") == sent:
                        reply = message
                        last_output_by = time.monotonic() + patience
                elif not self._kernel.read_status():
                    self._take_last_outputs(sent, on_message)
                    self.end_outputs(on_message)
                    raise KernelDiedError(self._kernel.exit_code or 0)
            # Not once per message: a cell that prints a lot must not pay for it.
            has_work = has_work or self._wire.received_bytes > worked_at + MUCH_BYTES
            if (now := time.monotonic()) >= next_tick:
                tick()
                next_tick = now + TICK_SECONDS
        self.end_outputs(on_message)
        content = {} if reply is None else dict(reply["content"])
        return content if self._masked is None else self._masked.masked_content(content)

    def _take_outputs(self, sent: str, on_message: Callable[[int, Message], None]) -> bool:
        """Hand on what has come; True when the kernel said that this code is done."""
        for _ in range(MOST_AT_ONCE):
            # Asked, for to be told by an exception takes as long as a message.
            if not self._iopub.getsockopt(self._zmq.EVENTS) & self._zmq.POLLIN:
                return False
            message = self._receive(self._iopub)
            if message is None:
                continue
            parent = message["parent_header"].get("msg_id")
            if message["msg_type"] == "status":
                if parent == sent and message["content"].get("execution_state") == "idle":
                    return True
            elif (owner := self._cell_of.get(parent)) is not None:
                if self._masked is None:
                    on_message(owner, message)
                else:
                    self._masked.take(owner, message, on_message)
        return False

    def take_late_outputs(self, on_message: Callable[[int, Message], None]) -> None:
        """Hand on what has come since the last cell ended: of its threads, or at the exit."""
        while self._iopub.poll(0):
            self._take_outputs("", on_message)

    def end_outputs(self, on_message: Callable[[int, Message], None]) -> None:
        """Hand on what was held back because more might have followed."""
        if self._masked is not None:
            self._masked.pause(on_message)

    def _take_last_outputs(self, sent: str, on_message: Callable[[int, Message], None]) -> None:
        deadline = time.monotonic() + IOPUB_SECONDS
        while time.monotonic() < deadline and self._iopub.poll(int(LAST_OUTPUT_SECONDS * 1000)):
            self._take_outputs(sent, on_message)

    def _receive(self, socket: zmq.Socket[bytes]) -> Message | None:
        """One message without waiting; None when there is none (or none of a kernel's)."""
        try:
            return self._wire.receive(socket, self._zmq.NOBLOCK)
        except self._zmq.Again:
            return None

    def new_message(
        self,
        msg_type: str,
        content: Mapping[str, Any],
        parent: Mapping[str, Any],
        metadata: Mapping[str, Any],
    ) -> Message:
        """A message to be sent, caused by the one whose header is `parent`."""
        return self._wire.message(msg_type, content, parent, metadata)

    def send(self, message: Message) -> str:
        """Send a message where requests go; returns its id."""
        self._shell.send_multipart(self._wire.frames(message))
        return str(message["msg_id"])

    def request_interrupt(self) -> None:
        """Interrupt a kernel that takes a message for it instead of a signal."""
        self._control.send_multipart(self._wire.frames(self._wire.message("interrupt_request")))

    def request_shutdown(self) -> None:
        """Ask the kernel to end by itself, so that what it registered for exit runs."""
        if self._context is not None:
            request = self._wire.message("shutdown_request", {"restart": False})
            self._control.send_multipart(self._wire.frames(request))

    def has_kernel_closed(self) -> bool:
        """Whether the kernel has closed its output: nothing more can come."""
        return bool(self._monitor.poll(0))

    def close(self) -> None:
        """Close the sockets. Safe to call twice."""
        if self._context is not None:
            self._context.destroy(linger=0)
            self._context = None


def _masked(masker: Masker | None) -> MaskedMessages | None:
    if not masker:
        return None
    from dagbook.execution.masked_messages import MaskedMessages

    return MaskedMessages(masker)


def _question(code: str) -> dict[str, Any]:
    """Code to be executed without a trace."""
    return {
        "code": code,
        "silent": True,
        "store_history": False,
        "user_expressions": {},
        "allow_stdin": False,
        "stop_on_error": True,
    }
