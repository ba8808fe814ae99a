"""How an ipykernel is started: as its kernel.json says, but without its debugger.

Nobody attaches a debugger to a run in production, and loading it takes longer than everything
else between a kernel's first breath and its first answer: a third of the start. No option of
ipykernel leaves it out, but it does without where `debugpy` cannot be imported. So its module that
tries is imported first of all, while it cannot; from then on it can, for an author who wants it.

`ipykernel.debugger` is not documented; a test fails when it moves, and a kernel without it only
starts as it always did.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

#: What ``-m ipykernel_launcher`` does, and what is told above before it. Until all is imported
#: nothing is garbage, and afterwards nothing of that becomes any before the exit: looking for it
#: among 65,000 objects would take a tenth of the start, and as long again at the exit.
_CODE = """\
import atexit, gc, sys
if sys.path[:1] == [""]:
    del sys.path[0]
is_on = gc.isenabled()
gc.disable()
hidden = "debugpy" not in sys.modules
if hidden:
    sys.modules["debugpy"] = None
try:
    import ipykernel.debugger
except ImportError:
    pass
finally:
    if hidden:
        del sys.modules["debugpy"]
import importlib.util
from ipykernel import kernelapp
if is_on:
    gc.freeze()
    gc.enable()
    atexit.register(gc.unfreeze)
launcher = importlib.util.find_spec("ipykernel_launcher")
if launcher is not None:
    sys.argv[0] = launcher.origin
kernelapp.launch_new_instance()
"""
_LAUNCHED = ["-m", "ipykernel_launcher"]
#: The history database in the home folder is shared by all kernels of a user, and locked. And a
#: kernel would sleep before each reply, for clients that take a reply for the end of the output.
_OPTIONS = ["--HistoryManager.hist_file=:memory:", "--Kernel._execute_sleep=0"]


def ipykernel_command(argv: Sequence[str]) -> list[str]:
    """The command that starts an ipykernel.

    Args:
        argv: as in its kernel.json. One that goes through another program than Python is left
            as it is, for not all of those take a text of several lines.
    """
    words = list(argv)
    for at in range(1, len(words) - 1):
        if words[at : at + 2] == _LAUNCHED and PurePath(words[0]).name.startswith("python"):
            words[at : at + 2] = ["-c", _CODE]
            break
        if not words[at].startswith("-"):
            break
    return [*words, *_OPTIONS]
