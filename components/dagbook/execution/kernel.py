"""One running kernel: started under a guardian, reached through sockets in a private folder."""

from __future__ import annotations

import codecs
import json
import os
import random
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagbook.errors import DagbookError
from dagbook.execution import guardian as guardian_script
from dagbook.execution.cgroups import CPU, GROUP_PREFIX, MEMORY, PROCESSES, RunGroups, make_groups
from dagbook.execution.kernel_start import ipykernel_command
from dagbook.execution.kernelspec import KernelSpec
from dagbook.execution.means import Means
from dagbook.execution.private_folder import (
    give,
    no_temporary_folder,
    of_its_own,
    socket_folder,
)
from dagbook.policy import Size

if TYPE_CHECKING:
    from dagbook.execution.kernel_user import KernelUser
    from dagbook.masking import Masker
    from dagbook.policy.connections import KernelRules

LAST_WORDS_BYTES = 16_384
WAIT_SECONDS = 0.02
CLOSED_SECONDS = 0.15
QUIET_LOOKS = 3


class Kernel:
    """A kernel and everything it starts; `close` leaves no process and no file of it behind.

    The kernel has its own session and its own pipes, so what it writes to its raw standard
    output never mixes with ours. It listens on Unix sockets in a folder only we can enter.
    """

    def __init__(
        self,
        spec: KernelSpec,
        *,
        cwd: Path,
        environment: Mapping[str, str],
        size: Size | None,
        means: Means,
        secrets: Mapping[str, str] | None = None,
        secret_folder: Path | None = None,
        rules: KernelRules | None = None,
        user: KernelUser | None = None,
        masker: Masker | None = None,
    ) -> None:
        """Start it.

        Args:
            spec: what it is.
            cwd: its working folder.
            environment: of its process, and of what watches over that.
            size: how much it may use.
            means: how it can be held to that.
            secrets: more variables, for its own process alone.
            secret_folder: one that goes with it, whatever ends the runner.
            rules: of a platform, about its process.
            user: whom it belongs to; None for ourselves.
            masker: what must not be seen of its raw output.

        Raises:
            DagbookError: it cannot be started.
        """
        self.spec = spec
        private = socket_folder(user)
        self.scratch, self._sockets = private.whole, private.inside
        self.connection = _connection(self._sockets, spec)
        self.exit_code: int | None = None
        self.cpu_seconds: float | None = None
        self.peak_process_bytes: int | None = None
        self.pid: int | None = None
        self.held: frozenset[str] = frozenset()
        self._status_text = b""
        cpus = _choose_cpus(None if size is None else size.cpus)
        self.groups = None if size is None else _make_groups(means, size, limit_cpu=bool(cpus))
        connection_file = self._sockets / "connection.json"
        try:
            connection_file.touch(mode=0o600)
            connection_file.write_text(json.dumps(self.connection), "utf-8")
            if rules is not None or user is not None:
                environment = of_its_own(environment, private, rules)
        except OSError as error:
            self._remove_traces()
            raise no_temporary_folder(error) from None
        except DagbookError:
            self._remove_traces()
            raise
        control_read, self._control = os.pipe()
        self.status, status_write = os.pipe()
        output_read, output_write = os.pipe()
        secret_file = _file_of(secrets) if secrets else None
        inherited = (control_read, status_write, *([] if secret_file is None else [secret_file]))
        try:
            give(output_write, user)  # a program may open its standard output by name
            self._guardian = subprocess.Popen(
                [
                    # Isolated and without site-packages: nothing of the project runs in it.
                    sys.executable, "-I", "-S", guardian_script.__file__,
                    *guardian_script.Settings(
                        control=control_read,
                        status=status_write,
                        scratch=[str(f) for f in (self.scratch, secret_folder) if f is not None],
                        cpus=cpus,
                        namespace=means.namespaces,
                        groups={name: str(path) for name, path in self._folders.items()},
                        counters=[str(path) for path in self._counters],
                        secrets=secret_file,
                        user="" if user is None else user.words,
                    ).words(),
                    "--",
                    *_command(spec, connection_file),
                ],
                cwd=cwd,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output_write,
                stderr=output_write,
                pass_fds=inherited,
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            os.close(self._control)
            os.close(self.status)
            os.close(output_read)
            self._remove_traces()
            raise DagbookError(f"kernel {spec.name!r} cannot be started: {error}") from None
        finally:
            for descriptor in (*inherited, output_write):
                os.close(descriptor)
        os.set_blocking(self.status, False)
        self._last_words = bytearray()
        self._drain = threading.Thread(
            target=self._keep_last_words,
            args=(output_read, masker),
            name="dagbook-kernel-output",
            daemon=True,
        )
        self._drain.start()

    @property
    def guardian_pid(self) -> int:
        """The process below which everything of this kernel is found."""
        return self._guardian.pid

    @property
    def group_folders(self) -> list[str]:
        """The control groups made for this kernel."""
        return sorted({str(folder) for folder in self._folders.values()})

    @property
    def _folders(self) -> Mapping[str, Path]:
        return {} if self.groups is None else self.groups.folders

    @property
    def _counters(self) -> list[Path]:
        return [] if self.groups is None else self.groups.counters

    @property
    def means(self) -> dict[str, str]:
        """What holds this kernel, as in `Resources.means`."""
        versions = {} if self.groups is None else self.groups.versions
        memory = f"cgroup v{versions[MEMORY]}" if MEMORY in self.held else "sampling"
        cpu = "affinity" if "affinity" in self.held else "none"
        in_namespace = guardian_script.NAMESPACE in self.held
        return {
            "memory": memory,
            "cpu": "cgroup quota" if CPU in self.held else cpu,
            "processes": "pid namespace" if in_namespace else "guardian",
            "process_limit": "cgroup" if PROCESSES in self.held else "none",
        }

    @property
    def oom_kills(self) -> int:
        """How many of its processes the system ended because its memory was used up."""
        return 0 if self.groups is None else self.groups.oom_kills

    @property
    def is_bound(self) -> bool:
        """Whether the kernel's sockets exist, so that a first connection succeeds at once."""
        return all(
            (self._sockets / f"kernel-{self.connection[port]}").exists()
            for port in ("shell_port", "iopub_port", "control_port")
        )

    def interrupt(self) -> None:
        """Raise KeyboardInterrupt in the running cell and its child processes."""
        self._command_guardian("int")

    def terminate(self) -> None:
        """Ask the kernel's process group to end (SIGTERM)."""
        self._command_guardian("term")

    def kill(self) -> None:
        """End the kernel and every process it started, at once."""
        self._command_guardian("kill")

    def read_status(self) -> bool:
        """Take in what the guardian has said; False once the kernel is gone.

        `exit_code` is then what the kernel ended with (negative: a signal's number).
        """
        while True:
            try:
                data = os.read(self.status, 4096)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                if self.exit_code is None:
                    self.exit_code = -int(signal.SIGKILL)  # the guardian itself was killed
                break
            self._status_text += data
            *lines, self._status_text = self._status_text.split(b"\n")
            for line in lines:
                self._take(line.decode().split())
        return self.exit_code is None

    def _take(self, words: list[str]) -> None:
        if words[0] == "pid":
            self.pid = int(words[1])
        elif words[0] == "held":
            self.held = frozenset(words[1:])
        elif words[0] == "counter" and self.groups is not None:
            self.groups.final[self._counters[int(words[1])]] = " ".join(words[2:])
        elif words[0] == "exit":
            self.exit_code = int(words[1])
        elif words[0] == "usage":
            self.cpu_seconds, self.peak_process_bytes = float(words[1]), int(words[2])

    def wait(
        self,
        seconds: float,
        meanwhile: Callable[[], object] = lambda: None,
        has_closed: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Wait until the kernel has ended by itself; False when it has not in time.

        A kernel that has closed its output has run what its author registered for the exit. Now
        and then ipykernel hangs just there for ten seconds: its control thread flushes a stream
        whose thread has ended. So from then on it is waited for only as long as it does something.

        Args:
            seconds: how long it may take.
            meanwhile: called again and again, and once more when the kernel has ended.
            has_closed: whether it has closed its output.
        """
        deadline = time.monotonic() + seconds
        look_at, activity, quiet = 0.0, object(), 0
        while (left := deadline - time.monotonic()) > 0:
            ready, _, _ = select.select([self.status], [], [], min(left, WAIT_SECONDS))
            meanwhile()
            if ready and not self.read_status():
                return True
            if time.monotonic() >= look_at and has_closed():
                before, activity = activity, self._activity()
                quiet = quiet + 1 if activity == before else 0
                # Once may be a busy machine that gave it no time.
                if quiet == QUIET_LOOKS:
                    return False
                look_at = time.monotonic() + CLOSED_SECONDS
        return False

    def _activity(self) -> object:
        """Something that changes as long as the kernel's process works, or waits for the disk."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text("utf-8")
        except OSError:
            return None
        state, *fields = stat.rpartition(")")[2].split()
        return fields[10:12] if state == "S" else object()

    def close(self) -> None:
        """End whatever is left and remove sockets and files. Safe to call twice."""
        if self._control >= 0:
            os.close(self._control)  # the guardian's signal to clear up
            self._control = -1
            if not self._has_guardian_ended(guardian_script.GIVE_UP_SECONDS + 5):
                self._guardian.kill()
            self._guardian.wait()
            self.read_status()
            os.close(self.status)
            self._remove_traces()
            self._drain.join(timeout=1)

    def _has_guardian_ended(self, seconds: float) -> bool:
        """Wait for it without looking again and again: the system tells when it has ended."""
        try:
            descriptor = os.pidfd_open(self._guardian.pid)
        except (AttributeError, OSError):  # a system without, or it has been waited for
            try:
                self._guardian.wait(seconds)
            except subprocess.TimeoutExpired:
                return False
            return True
        try:
            ended = select.poll()
            ended.register(descriptor, select.POLLIN)
            return bool(ended.poll(seconds * 1000))
        finally:
            os.close(descriptor)

    def _remove_traces(self) -> None:
        # The guardian has removed the groups, unless it was killed: then they still hold what
        # the kernel had started.
        guardian_script.remove_groups(self.group_folders)
        guardian_script.remove_folders([str(self.scratch)])

    @property
    def last_words(self) -> str:
        """The end of what the kernel wrote to its raw output: why it died, if it said so."""
        return bytes(self._last_words).decode("utf-8", "replace").strip()

    def _command_guardian(self, word: str) -> None:
        try:
            os.write(self._control, f"{word}\n".encode())
        except OSError:
            pass  # it has ended: nothing left to signal

    def _keep_last_words(self, descriptor: int, masker: Masker | None) -> None:
        # Masked before the beginning is cut off, for the cut may go through a value.
        mask = None if masker is None else masker.stream()
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        with open(descriptor, "rb", buffering=0) as output:
            while data := output.read(65_536):
                if mask is not None:
                    data = mask.feed(decoder.decode(data)).encode("utf-8", "replace")
                self._last_words += data
                del self._last_words[:-LAST_WORDS_BYTES]
        if mask is not None:
            self._last_words += mask.end().encode("utf-8", "replace")


def _file_of(variables: Mapping[str, str]) -> int:
    """A file without a name, as a guardian reads it. On a command line everybody would see them."""
    descriptor = os.memfd_create("dagbook", os.MFD_CLOEXEC)
    text = b"\0".join(os.fsencode(f"{name}={value}") for name, value in variables.items())
    with open(descriptor, "wb", closefd=False) as file:
        file.write(text)
    return descriptor


def _connection(folder: Path, spec: KernelSpec) -> dict[str, Any]:
    ports = {name: number for number, name in enumerate(_PORTS, start=1)}
    return {
        "transport": "ipc",
        "ip": str(folder / "kernel"),
        **ports,
        # Signing is switched off by an empty key. It would buy nothing: who can enter the folder
        # of the sockets can read the key there too. Only ipykernel is known to do without.
        "key": "" if spec.is_ipykernel else os.urandom(16).hex(),
        "signature_scheme": "hmac-sha256",
        "kernel_name": spec.name,
    }


_PORTS = ("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port")


def _command(spec: KernelSpec, connection_file: Path) -> list[str]:
    names = {
        "{connection_file}": str(connection_file),
        "{prefix}": sys.prefix,
        "{resource_dir}": spec.resource_folder,
    }
    command = []
    for word in spec.argv:
        for name, value in names.items():
            word = word.replace(name, value)
        command.append(word)
    # As Jupyter does: a kernel.json that says "python" means the interpreter that has it.
    major, minor = sys.version_info[:2]
    if command[0] in {"python", f"python{major}", f"python{major}.{minor}"}:
        command[0] = sys.executable
    return ipykernel_command(command) if spec.is_ipykernel else command


def _make_groups(means: Means, size: Size, *, limit_cpu: bool) -> RunGroups | None:
    wanted = {n: c for n, c in means.controllers.items() if n != CPU or limit_cpu}
    return make_groups(
        wanted,
        f"{GROUP_PREFIX}{os.urandom(8).hex()}",
        memory_bytes=size.memory_bytes,
        cpus=size.cpus,
    )


def _choose_cpus(wanted: int | None) -> list[int]:
    """CPUs to pin the kernel to; none when the size does not ask for fewer than there are.

    Also where a quota holds the kernel: libraries make as many threads as they see CPUs.
    """
    available = os.sched_getaffinity(0)
    if wanted is None or wanted >= len(available):
        return []
    # At random, so that runs side by side do not all share the first ones.
    return sorted(random.sample(sorted(available), wanted))
