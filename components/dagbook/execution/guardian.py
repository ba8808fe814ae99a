"""Stands between the runner and a kernel, and ends every descendant whatever happens.

Runs as a process of its own (`python -I -S guardian.py …`), so it imports only the standard
library and nothing of dagbook. The runner holds the write end of the control pipe; when that
closes, because the runner finished, crashed or was killed, the guardian kills the kernel and
everything it ever started. It is a subreaper, so even a daemon that forked twice into a
session of its own comes back to it.

Control pipe, one line each: ``int`` and ``term`` signal the kernel's process group, ``kill``
kills everything. Status pipe, one line each: ``pid N`` once the kernel runs, then
``exit CODE`` (negative: the signal that killed it), then ``usage CPU_SECONDS PEAK_BYTES``
over all descendants, after which it closes.
"""

from __future__ import annotations

import ctypes
import os
import resource
import select
import shutil
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NAME = 15
# How long unkillable processes (another uid, stuck in the kernel) may hold us up.
GIVE_UP_SECONDS = 5.0


def main(arguments: list[str]) -> int:
    """Start the command in `arguments`, watch it and the runner, leave nothing behind."""
    control, status, cpus, scratch, *command = arguments
    guardian = Guardian(int(control), int(status), scratch)
    guardian.start(command, [int(cpu) for cpu in cpus.split(",") if cpu])
    return guardian.watch()


class Guardian:
    """One kernel's guardian; see the module's docstring for what it reads and writes."""

    def __init__(self, control: int, status: int, scratch: str) -> None:
        self.control = control
        self.status = status
        self.scratch = scratch
        self.kernel = 0
        self.exit_code: int | None = None
        self.runner = os.getppid()
        self.libc = ctypes.CDLL(None, use_errno=True)
        for inherited in (control, status):
            os.set_inheritable(inherited, False)

    def start(self, command: list[str], cpus: list[int]) -> None:
        """Start the kernel in a session of its own, dying with us if we are killed."""
        self.libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.libc.prctl(PR_SET_NAME, b"dagbook-guard", 0, 0, 0)
        for ignored in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE):
            signal.signal(ignored, signal.SIG_IGN)
        # SIGTERM is how somebody tidies up by hand: end the kernel, not only ourselves.
        self.wake_read, self.wake_write = os.pipe()
        os.set_blocking(self.wake_write, False)
        signal.set_wakeup_fd(self.wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.terminated = False
        signal.signal(signal.SIGTERM, self._on_terminate)

        self.kernel = os.fork()
        if self.kernel == 0:
            self._become_kernel(command, cpus)
        # Our own copies would keep the kernel's output pipe open after its end.
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        self._tell(f"pid {self.kernel}")

    def _on_terminate(self, *_: object) -> None:
        self.terminated = True

    def _become_kernel(self, command: list[str], cpus: list[int]) -> None:
        try:
            os.setsid()
            self.libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            signal.set_wakeup_fd(-1)
            for restored in (
                signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE,
                signal.SIGTERM, signal.SIGCHLD,
            ):  # fmt: skip
                signal.signal(restored, signal.SIG_DFL)
            if cpus:
                try:
                    os.sched_setaffinity(0, cpus)
                except OSError:
                    pass
            try:
                # If the machine runs out of memory, the kernel goes before its runner.
                with open("/proc/self/oom_score_adj", "w") as adjust:  # noqa: PTH123
                    adjust.write("500")
            except OSError:
                pass
            os.execvpe(command[0], command, os.environ)
        except OSError as error:
            os.write(2, f"cannot start {command[0]}: {error.strerror}\n".encode())
        finally:
            os._exit(127)

    def watch(self) -> int:
        """Wait for the kernel's end or the runner's word, then kill what is left."""
        poller = select.poll()
        poller.register(self.control, select.POLLIN)
        poller.register(self.wake_read, select.POLLIN)
        abandoned = False
        while self.exit_code is None and not abandoned and not self.terminated:
            # The time-out is for a pipe end that leaked into another child of the runner:
            # then no EOF comes, but our parent changes.
            for descriptor, _ in poller.poll(1000):
                if descriptor == self.control:
                    abandoned = not self._obey()
                else:
                    os.read(self.wake_read, 4096)
            abandoned = abandoned or os.getppid() != self.runner
            self._reap()
        self._kill_all()
        if abandoned:
            # Nobody else is left to remove the sockets and the connection file.
            shutil.rmtree(self.scratch, ignore_errors=True)
        code = self.exit_code if self.exit_code is not None else -int(signal.SIGKILL)
        self._tell(f"exit {code}")
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        self._tell(f"usage {used.ru_utime + used.ru_stime:.3f} {used.ru_maxrss * 1024}")
        return 0

    def _obey(self) -> bool:
        """Carry out what the runner wrote; False when it is gone or wants everything dead."""
        data = os.read(self.control, 4096)
        if not data:
            return False
        for word in data.decode("ascii", "replace").split():
            if word == "kill":
                self._kill_all()
                return True
            number = {"int": signal.SIGINT, "term": signal.SIGTERM}.get(word)
            if number is not None:
                try:
                    os.killpg(self.kernel, number)
                except OSError:
                    pass
        return True

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.kernel:
                self.exit_code = os.waitstatus_to_exitcode(status)

    def _kill_all(self) -> None:
        """Kill descendants until there is none: orphans come back to us, so this ends."""
        deadline = time.monotonic() + GIVE_UP_SECONDS
        while time.monotonic() < deadline:
            for pid in descendants(os.getpid()):
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass
            self._reap()
            try:
                if os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                    time.sleep(0.002)
            except ChildProcessError:
                return

    def _tell(self, line: str) -> None:
        try:
            os.write(self.status, (line + "\n").encode())
        except OSError:
            pass  # the runner is gone: nobody to tell


def descendants(root: int) -> list[int]:
    """Every process below `root`, deepest last."""
    found: list[int] = []
    front = [root]
    while front:
        children = [child for pid in front for child in _children(pid)]
        found += children
        front = children
    return found


def _children(pid: int) -> list[int]:
    result: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208
            with open(f"/proc/{pid}/task/{thread}/children") as listed:  # noqa: PTH123
                result += map(int, listed.read().split())
        return result
    except FileNotFoundError:
        if not os.path.exists(f"/proc/{pid}"):  # noqa: PTH110
            return []
    except OSError:
        return []
    # A kernel built without CONFIG_PROC_CHILDREN: look at everybody's parent.
    for entry in os.listdir("/proc"):  # noqa: PTH208
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as stat:  # noqa: PTH123
                    if int(stat.read().rpartition(")")[2].split()[1]) == pid:
                        result.append(int(entry))
            except OSError:
                continue
    return result


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
