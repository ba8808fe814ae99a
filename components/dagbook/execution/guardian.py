"""Stands between the runner and a kernel, and ends every descendant whatever happens.

Runs as a process of its own (`python -I -S guardian.py SETTINGS… -- COMMAND…`), so it imports
only the standard library and nothing of dagbook, and little, for the kernel waits for it. The runner holds the write end of the control pipe;
when that closes, because the runner finished, crashed or was killed, the guardian kills the
kernel and everything it ever started.

Where it may, it starts the kernel in a PID namespace whose first process, the init, does nothing
but reap: when the init dies, Linux kills everything in the namespace, and the init dies with the
guardian. Everywhere else it is a subreaper, so even a daemon that forked twice into a session of
its own comes back to it.

SETTINGS are words NAME=VALUE, see `Settings`.

Control pipe, one line each: ``int`` and ``term`` signal the kernel's process group, ``kill``
kills everything. Status pipe, one line each: ``pid N`` once the kernel runs, ``held MEANS…``,
what holds it, then, at the end, ``counter NUMBER CONTENT`` for each file, ``exit CODE``
(negative: the signal that killed it) and ``usage CPU_SECONDS PEAK_BYTES`` over all descendants,
after which it closes.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NAME = 15
PR_SET_NO_NEW_PRIVS = 38
KEYCTL_JOIN_SESSION_KEYRING = 1
# By machine, the number of `keyctl`, for which libc has no function; the newer ones share one.
KEYCTL = {"x86_64": 250, "i686": 288, "armv7l": 311, "ppc64le": 271, "s390x": 280}
CLONE_NEWNS = 0x00020000
CLONE_NEWPID = 0x20000000
MS_NOSUID_NODEV_NOEXEC = 2 | 4 | 8
MS_REC_SLAVE = 0x4000 | 0x80000
NAMESPACE = "namespace"
# How long unkillable processes (another uid, stuck in the kernel) may hold us up.
GIVE_UP_SECONDS = 5.0


class Settings:
    """What a guardian is told on its command line.

    Args:
        control: the descriptor of the pipe it is commanded through.
        status: that of the pipe it answers through.
        scratch: folders to remove when the runner is gone.
        cpus: to pin the kernel to; all when empty.
        namespace: whether to try a PID namespace.
        groups: the control groups the kernel is to be in, by controller.
        counters: files in them whose last content the runner wants.
        secrets: the descriptor of a file with variables for the kernel's environment alone, each
            ``NAME=VALUE`` and a zero byte; None for none.
        user: whom the kernel is to belong to, ``UID:GID`` and more groups; "" for ourselves.
    """

    def __init__(
        self,
        control: int,
        status: int,
        scratch: list[str],
        cpus: list[int],
        namespace: bool,
        groups: dict[str, str],
        counters: list[str],
        secrets: int | None = None,
        user: str = "",
    ) -> None:
        self.control = control
        self.status = status
        self.scratch = scratch
        self.cpus = cpus
        self.namespace = namespace
        self.groups = groups
        self.counters = counters
        self.secrets = secrets
        self.user = user

    def words(self) -> list[str]:
        """Them as words of a command line."""
        return [
            f"control={self.control}",
            f"status={self.status}",
            *(f"scratch={folder}" for folder in self.scratch),
            *(f"cpu={cpu}" for cpu in self.cpus),
            *(["namespace=try"] if self.namespace else []),
            *(f"group={name}={folder}" for name, folder in self.groups.items()),
            *(f"counter={path}" for path in self.counters),
            *([] if self.secrets is None else [f"secrets={self.secrets}"]),
            *([f"user={self.user}"] if self.user else []),
        ]

    @classmethod
    def read(cls, words: list[str]) -> Settings:
        """Them as `words` has written them."""
        told: dict[str, list[str]] = {}
        for word in words:
            name, _, value = word.partition("=")
            told.setdefault(name, []).append(value)
        groups = [group.partition("=") for group in told.get("group", [])]
        return cls(
            control=int(told["control"][0]),
            status=int(told["status"][0]),
            scratch=told.get("scratch", []),
            cpus=[int(cpu) for cpu in told.get("cpu", [])],
            namespace="namespace" in told,
            groups={name: folder for name, _, folder in groups},
            counters=told.get("counter", []),
            secrets=next(map(int, told.get("secrets", [])), None),
            user=told.get("user", [""])[0],
        )


class Guardian:
    """One kernel's guardian; see the module's docstring for what it reads and writes."""

    def __init__(self, settings: Settings, command: list[str]) -> None:
        self.settings = settings
        self.command = command
        self.control = settings.control
        self.status = settings.status
        self.groups = settings.groups
        self.kernel = 0
        self.init = 0
        self.exit_code: int | None = None
        self.runner = os.getppid()
        self.libc = ctypes.CDLL(None, use_errno=True)
        for inherited in (self.control, self.status, settings.secrets):
            if inherited is not None:
                os.set_inheritable(inherited, False)

    def start(self) -> None:
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

        held = self._start_in_namespace() if self.settings.namespace else None
        if held is None:
            held = self._start_kernel(in_namespace=False)
        # Our own copies would keep the kernel's output pipe open after its end.
        _leave_standard_streams()
        if self.settings.secrets is not None:
            os.close(self.settings.secrets)  # read by the kernel's process alone
        self._tell(f"pid {self.kernel}")
        self._tell(f"held {held}")

    def _on_terminate(self, *_: object) -> None:
        self.terminated = True

    def _start_in_namespace(self) -> str | None:
        """Start init and kernel in a PID namespace; None where that is not allowed."""
        ours = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        try:
            if self.libc.unshare(CLONE_NEWPID) != 0:
                return None
            try:
                self._start_init()
                held = self._start_kernel(in_namespace=True)
                if NAMESPACE in held.split():
                    return held
                # It could not have a /proc that shows its own numbers: it would be lost.
                self._kill_all()
                self.init, self.exit_code = 0, None
                return None
            finally:
                if self.libc.setns(ours, CLONE_NEWPID) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
        finally:
            os.close(ours)

    def _start_init(self) -> None:
        ready_read, ready_write = os.pipe()
        self.init = os.fork()
        if self.init == 0:
            self._become_init(ready_write)
        os.close(ready_write)
        os.read(ready_read, 1)  # from now on it is sure to die with us
        os.close(ready_read)

    def _become_init(self, ready: int) -> None:
        """The first process of the namespace: orphans become its children, it reaps them."""
        try:
            self.libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            self.libc.prctl(PR_SET_NAME, b"dagbook-init", 0, 0, 0)
            signal.set_wakeup_fd(-1)
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            os.setsid()
            os.dup2(ready, 3)
            if self.settings.secrets is not None and self.settings.secrets != 3:
                os.close(self.settings.secrets)
            # The runner takes the end of the status pipe for the guardian's.
            os.closerange(4, 1024)
            _leave_standard_streams()
            try:
                # Numbers go on from our own outside. Beginning at 2, every run would give its
                # files the same names, where names have the process's number in them.
                _write("/proc/sys/kernel/ns_last_pid", os.readlink("/proc/self"))  # noqa: PTH115
            except OSError:
                pass
            os.write(3, b"+")
            os.close(3)
            while True:
                signal.sigwait({signal.SIGCHLD})
                try:
                    while os.waitpid(-1, os.WNOHANG)[0]:
                        pass
                except ChildProcessError:
                    pass
        finally:
            os._exit(0)

    def _start_kernel(self, *, in_namespace: bool) -> str:
        """Fork the kernel; returns the means that hold it, as it found when it took them."""
        held_read, held_write = os.pipe()
        self.kernel = os.fork()
        if self.kernel == 0:
            os.close(held_read)
            self._become_kernel(held_write, in_namespace=in_namespace)
        os.close(held_write)
        held = b""
        while data := os.read(held_read, 1024):
            held += data
        os.close(held_read)
        return held.decode()

    def _become_kernel(self, told: int, *, in_namespace: bool) -> None:
        try:
            os.setsid()
            self.libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            signal.set_wakeup_fd(-1)
            for restored in (
                signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE,
                signal.SIGTERM, signal.SIGCHLD,
            ):  # fmt: skip
                signal.signal(restored, signal.SIG_DFL)
            held = [name for name, folder in self.groups.items() if _join(folder)]
            if in_namespace:
                if not self._mount_proc():
                    return
                held.append(NAMESPACE)
            if self.settings.cpus:
                try:
                    os.sched_setaffinity(0, self.settings.cpus)
                    held.append("affinity")
                except OSError:
                    pass
            try:
                # If the machine runs out of memory, the kernel goes before its runner.
                _write("/proc/self/oom_score_adj", "500")
            except OSError:
                pass
            os.write(told, " ".join(held).encode())
            os.close(told)
            # Of no use where numbers mean other processes: ipykernel would look for it.
            os.environ.pop("JPY_PARENT_PID", None)
            environment = dict(os.environb)
            if self.settings.secrets is not None:
                environment.update(_read_secrets(self.settings.secrets))
                _leave_no_core()
            if self.settings.user:
                self._become_user()
            os.execvpe(self.command[0], self.command, environment)
        except OSError as error:
            who = f" as user {os.geteuid()}" if self.settings.user else ""
            os.write(2, f"cannot start {self.command[0]}{who}: {error.strerror}\n".encode())
        finally:
            os._exit(127)

    def _become_user(self) -> None:
        """Give up being root, for good; enter the working folder again as who we are then."""
        uid, gid, *groups = map(int, self.settings.user.split(":"))
        folder = os.getcwd()  # noqa: PTH109
        # Who has a session's keys may use them, whoever they are: tickets, tokens of a login.
        number = KEYCTL.get(os.uname().machine, 219)
        self.libc.syscall(number, KEYCTL_JOIN_SESSION_KEYRING, None, 0, 0, 0)
        os.setgroups(groups)
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
        self.libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        # A change of user has cleared it.
        self.libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        try:
            os.chdir(folder)
        except OSError as error:
            os.write(2, f"user {uid} may not enter {folder}: {error.strerror}\n".encode())
            os._exit(127)

    def _mount_proc(self) -> bool:
        """Give this process a /proc of its namespace, that nobody outside sees."""
        if self.libc.unshare(CLONE_NEWNS) != 0:
            return False
        if self.libc.mount(None, b"/", None, MS_REC_SLAVE, None) != 0:
            return False
        mounted = self.libc.mount(b"proc", b"/proc", b"proc", MS_NOSUID_NODEV_NOEXEC, None)
        return bool(mounted == 0)

    def watch(self) -> None:
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
            # Nobody else is left to remove the sockets, the connection file and what is secret.
            remove_folders(self.settings.scratch)
        self._tell_counters()
        code = self.exit_code if self.exit_code is not None else -int(signal.SIGKILL)
        self._tell(f"exit {code}")
        remove_groups(list(self.groups.values()))
        import resource  # while the kernel started there was no time for it

        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        self._tell(f"usage {used.ru_utime + used.ru_stime:.3f} {used.ru_maxrss * 1024}")

    def _tell_counters(self) -> None:
        for number, path in enumerate(self.settings.counters):
            try:
                with open(path) as file:  # noqa: PTH123
                    self._tell(f"counter {number} {' '.join(file.read().split())}")
            except OSError:
                continue

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
            elif pid == self.init:
                self.init = 0

    def _kill_all(self) -> None:
        """Kill descendants until there is none: orphans come back to us, so this ends."""
        if self.init:
            # One signal for all of them, however fast they fork.
            os.kill(self.init, signal.SIGKILL)
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


def _leave_standard_streams() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.close(null)


def _join(folder: str) -> bool:
    try:
        _write(f"{folder}/cgroup.procs", "0")
    except OSError:
        return False
    return True


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:  # noqa: PTH123
        file.write(text)


def _read_secrets(file: int) -> dict[bytes, bytes]:
    found = {}
    # Read where it begins: it may be that the kernel is started a second time.
    for variable in os.pread(file, os.fstat(file).st_size, 0).split(b"\0"):
        name, equals, value = variable.partition(b"=")
        if equals:
            found[name] = value
    return found


def _leave_no_core() -> None:
    """A kernel that crashes leaves no copy of its memory: there are credentials in it."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def remove_folders(folders: list[str]) -> None:
    """Remove folders and all that is in them, also what was made unwritable by its owner."""
    import shutil  # slow, and seldom needed by a guardian

    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
        # Root needs no permission, and must not change what a link of another user leads to.
        if os.geteuid() == 0 or not os.path.exists(folder):  # noqa: PTH110
            continue
        try:
            os.chmod(folder, 0o700)  # noqa: PTH101
            for above, names, _ in os.walk(folder):
                for path in (f"{above}/{name}" for name in names):
                    if not os.path.islink(path):  # noqa: PTH114
                        os.chmod(path, 0o700)  # noqa: PTH101
        except OSError:
            pass
        shutil.rmtree(folder, ignore_errors=True)


def remove_groups(folders: list[str]) -> None:
    """Kill what is left in control groups, then remove them and what was made below them."""
    deadline = time.monotonic() + GIVE_UP_SECONDS
    for folder in folders:
        # Also where the last of its processes is just ending.
        while not _remove_group(folder) and time.monotonic() < deadline:
            time.sleep(0.002)


def _remove_group(folder: str) -> bool:
    for below, _, _ in os.walk(folder, topdown=False):
        try:
            with open(f"{below}/cgroup.procs") as listed:  # noqa: PTH123
                for pid in map(int, listed.read().split()):
                    if pid > 0:  # 0 is one that cannot be seen from here
                        os.kill(pid, signal.SIGKILL)
        except OSError:
            pass
        try:
            os.rmdir(below)  # noqa: PTH106
        except OSError:
            pass
    return not os.path.exists(folder)  # noqa: PTH110


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


def main(arguments: list[str]) -> None:
    """Start the command in `arguments`, watch it and the runner, leave nothing behind."""
    end = arguments.index("--")
    guardian = Guardian(Settings.read(arguments[:end]), arguments[end + 1 :])
    guardian.start()
    guardian.watch()


if __name__ == "__main__":
    main(sys.argv[1:])
    os._exit(0)  # nothing is left to be done, and the runner waits for it
