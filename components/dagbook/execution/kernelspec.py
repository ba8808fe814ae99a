"""Finds the kernel a notebook runs on, without starting anything."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagbook.errors import DagbookError, did_you_mean


@dataclass(frozen=True)
class KernelSpec:
    """How one installed kernel is started: Jupyter's ``kernel.json``, read."""

    name: str
    argv: tuple[str, ...]
    language: str
    env: Mapping[str, str]
    resource_folder: str
    interrupt_by_message: bool

    @property
    def is_ipykernel(self) -> bool:
        """Whether this is IPython's kernel, which takes IPython's options."""
        return any(word.startswith("ipykernel") for word in self.argv)


def find_kernel(name: str | None, language: str = "python") -> KernelSpec:
    """Find an installed kernel by name, or one for `language` when there is no name.

    Raises:
        DagbookError: there is no such kernel here, or it does not start on this machine;
            the text lists the kernels there are, nearest first.
    """
    if name is None:
        return _kernel_for_language(language)
    if name == "python":
        name = "python3"  # what Jupyter starts for it; notebooks made elsewhere ask for it so
    # Jupyter compares names in lower case. A name is never joined to a path unless it is
    # one: "../../x" names nothing.
    wanted = name.lower()
    if re.fullmatch(r"[a-z0-9._\-]+", wanted):
        for folder in _kernel_folders():
            found = folder / wanted / "kernel.json"
            if found.is_file():
                return _read(wanted, found)
    return _from_jupyter(name)


def kernel_names() -> list[str]:
    """The names of the kernels installed for this interpreter and user."""
    names = {
        entry.name
        for folder in _kernel_folders()
        if folder.is_dir()
        for entry in folder.iterdir()
        if (entry / "kernel.json").is_file()
    }
    return sorted(names)


def _kernel_folders() -> list[Path]:
    # jupyter_core alone loads in a tenth of jupyter_client's time, and the kernel's start is
    # what a cold run waits for.
    from jupyter_core.paths import jupyter_path

    return [Path(folder) for folder in jupyter_path("kernels")]


def _kernel_for_language(language: str) -> KernelSpec:
    if language.lower() == "python":
        return find_kernel("python3")
    for name in kernel_names():
        spec = find_kernel(name)
        if spec.language.lower() == language.lower():
            return spec
    raise DagbookError(
        f"no kernel for {language} is installed here (installed: "
        f"{', '.join(kernel_names()) or 'none'}). Install one, or name one with `kernel`."
    )


def _read(name: str, path: Path) -> KernelSpec:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DagbookError(f"kernel {name!r}: {path} cannot be read ({error})") from None
    provisioner = (content.get("metadata") or {}).get("kernel_provisioner") or {}
    provisioner_name = provisioner.get("provisioner_name", "local-provisioner")
    if provisioner_name != "local-provisioner":
        raise DagbookError(
            f"kernel {name!r} starts through {provisioner_name!r}, on another machine; "
            f"dagbook starts kernels on its own. Choose a local kernel with `kernel`."
        )
    return _spec(name, content, str(path.parent))


def _spec(name: str, content: Mapping[str, Any], folder: str) -> KernelSpec:
    argv = content.get("argv")
    if not isinstance(argv, list) or not argv or not all(isinstance(a, str) for a in argv):
        raise DagbookError(f"kernel {name!r}: its kernel.json has no usable `argv`")
    return KernelSpec(
        name=name,
        argv=tuple(argv),
        language=str(content.get("language") or ""),
        env={str(k): str(v) for k, v in (content.get("env") or {}).items()},
        resource_folder=folder,
        interrupt_by_message=content.get("interrupt_mode") == "message",
    )


def _from_jupyter(name: str) -> KernelSpec:
    # Slower and complete: kernel spec managers configured by the site, and the native kernel
    # of an environment that has ipykernel but no kernel.json.
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    manager = KernelSpecManager()
    try:
        spec = manager.get_kernel_spec(name)
    except (NoSuchKernel, ValueError):
        raise DagbookError(
            f"kernel {name!r} is not installed here. {did_you_mean(name, kernel_names())}. "
            f"Install it, or choose another with `kernel`."
        ) from None
    return _spec(name, spec.to_dict(), spec.resource_dir)
