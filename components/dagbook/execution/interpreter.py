"""Asks a kernel which interpreter it is and what is installed for it."""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagbook.execution.kernelspec import KernelSpec
from dagbook.execution.messages import KernelDiedError

if TYPE_CHECKING:
    from dagbook.execution.messages import Conversation

# The kernel answers for itself: only it knows where a `conda run`, a container or the `env` of
# its kernel.json has led, and what its start-up files did to `sys.path`. The names of the folders
# hold name and version, so no file is opened; this takes about a millisecond.
_PYTHON = (
    "(lambda os, sys, json: json.dumps(["
    "sys.executable, sys.implementation.name, sys.version.split()[0], "
    "[[n for n in os.listdir(p) if n.endswith(('.dist-info', '.egg-info'))]"
    " for p in sys.path if os.path.isdir(p) and os.access(p, os.R_OK)], "
    "(lambda c: os.listdir(c) if os.path.isdir(c) else [])(os.path.join(sys.prefix, 'conda-meta'))"
    "]))(__import__('os'), __import__('sys'), __import__('json'))"
)
# IRkernel answers no expressions, so this is printed; reading the packages' own files takes R
# thirty times as long as it takes us.
_R = 'cat(paste0("dagbook-library ", .libPaths(), "\\n"), sep = "")'
_R_LINE = re.compile(r"^dagbook-library (.+)$", re.MULTILINE)
_R_VERSION = re.compile(rb"^Version:\s*(\S+)", re.MULTILINE)

#: More names than any environment has: what a broken folder may make us keep.
MAX_PACKAGES = 5_000


@dataclass(frozen=True)
class Interpreter:
    """What ran the cells. Unknown is empty.

    Attributes:
        language: ``python``, ``R``, …
        version: the language's.
        implementation: ``cpython``, ``pypy``; of another language, the kernel's with its version.
        path: the interpreter; where the kernel does not say, the command that started it.
        kernel: the name the kernel is installed under.
    """

    language: str = ""
    version: str = ""
    implementation: str = ""
    path: str = ""
    kernel: str = ""

    def to_json(self) -> dict[str, str]:
        """As plain JSON values."""
        return asdict(self)


Packages = dict[str, str]


def describe_kernel(spec: KernelSpec, info: Mapping[str, Any]) -> Interpreter:
    """What a kernel of any language says of itself in its ``kernel_info``."""
    language = info.get("language_info") or {}
    return Interpreter(
        language=str(language.get("name") or spec.language),
        version=str(language.get("version") or ""),
        implementation=" ".join(
            str(info[word]) for word in ("implementation", "implementation_version") if word in info
        ),
        path=spec.argv[0],
        kernel=spec.name,
    )


def ask_kernel(
    conversation: Conversation, known: Interpreter, tick: Callable[[], None]
) -> tuple[Interpreter, Packages | None]:
    """Ask a Python or R kernel for its interpreter and packages, without a trace in its history.

    Args:
        known: what its ``kernel_info`` said.
        tick: called while waiting, as for a cell: the run's time limit holds here too.

    Returns:
        What is known after that; packages are None for a language that is not asked.
    """
    language = known.language.lower()
    try:
        if language == "python":
            return _ask_python(conversation, known, tick)
        if language == "r":
            return known, _ask_r(conversation, tick)
    except KernelDiedError:
        pass  # the first cell tells it
    return known, None


def _ask_python(
    conversation: Conversation, known: Interpreter, tick: Callable[[], None]
) -> tuple[Interpreter, Packages | None]:
    reply = conversation.execute(
        "",
        cell=None,
        on_message=lambda *_: None,
        tick=tick,
        user_expressions={"installed": _PYTHON},
    )
    answer = (reply.get("user_expressions") or {}).get("installed", {})
    try:
        text = ast.literal_eval(answer["data"]["text/plain"])
        path, implementation, version, folders, conda = json.loads(text)
    except (KeyError, ValueError, SyntaxError, TypeError):
        return known, None  # a Python kernel that answers no expressions
    interpreter = Interpreter(
        known.language, version, implementation, path or known.path, known.kernel
    )
    return interpreter, python_packages(folders, conda)


def python_packages(folders: Iterable[Iterable[str]], conda: Iterable[str] = ()) -> Packages:
    """Names and versions, read off the names of metadata folders.

    Args:
        folders: for each folder on the import path, in its order, what of it ends in
            ``.dist-info`` or ``.egg-info``. The first of a name is the one that is imported.
        conda: the names in ``conda-meta``, for what Conda installed that is not Python.
    """
    found: Packages = {}
    for folder in folders:
        for entry in sorted(folder):
            name, _, rest = entry.rpartition(".")[0].partition("-")
            # An egg's name goes on with the Python it is for.
            found.setdefault(_normal(name), rest.partition("-py")[0] or "unknown")
    for entry in sorted(conda):
        name, *version = entry.removesuffix(".json").rsplit("-", 2)
        if entry.endswith(".json") and version:
            found.setdefault(_normal(name), version[0])
    return dict(sorted(found.items())[:MAX_PACKAGES])


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _ask_r(conversation: Conversation, tick: Callable[[], None]) -> Packages:
    printed: list[str] = []

    def take(_cell: int, message: Mapping[str, Any]) -> None:
        if message["msg_type"] == "stream":
            printed.append(message["content"]["text"])

    conversation.execute(_R, cell=-1, on_message=take, tick=tick)
    return r_packages(Path(line) for line in _R_LINE.findall("".join(printed)))


def r_packages(libraries: Iterable[Path]) -> Packages:
    """Names and versions of the packages in R's libraries; the first of a name is loaded."""
    found: Packages = {}
    for library in libraries:
        for description in library.glob("*/DESCRIPTION"):
            try:
                with description.open("rb") as file:
                    version = _R_VERSION.search(file.read(65_536))
            except OSError:
                continue
            if version is not None:
                found.setdefault(description.parent.name, version[1].decode("utf-8", "replace"))
    return dict(sorted(found.items())[:MAX_PACKAGES])


def packages_hash(packages: Packages) -> str:
    """SHA-256 over ``name==version`` lines in order: equal for equal environments."""
    lines = "".join(f"{name}=={version}\n" for name, version in sorted(packages.items()))
    return hashlib.sha256(lines.encode("utf-8", "surrogatepass")).hexdigest()
