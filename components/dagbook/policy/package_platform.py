"""The platform file inside a company package, which a component's class names.

```python
class CompanyNotebook(NotebookRunnerComponent):
    platform: ClassVar[str] = "company_components:dagbook-platform.yaml"
```
"""

from __future__ import annotations

import functools
import importlib.resources
from importlib.resources.abc import Traversable
from pathlib import Path

from dagbook.errors import DagbookError
from dagbook.policy.combining import combine
from dagbook.policy.platform import BUILT_IN_PLATFORM, Platform
from dagbook.policy.platform_file import find_platform, platform_from_text

ATTRIBUTE = "platform"


def platform_of(project_root: Path, component_class: type | None = None) -> Platform:
    """The policy in force for a component: its project's, and those its class and bases name.

    Args:
        project_root: the project's folder.
        component_class: the component's class; None for `dagbook run` of a notebook.

    Raises:
        DagbookError: one of the files cannot be used, or together they leave nothing.
    """
    platform = find_platform(project_root)
    for package in _packages_of(component_class):
        platform = _combined(platform, package)
    return platform


# Both are cached where they are read, so equal ones are the same objects.
_BOTH: dict[tuple[int, int], tuple[Platform, Platform, Platform]] = {}
_MOST_PAIRS = 64


def _combined(project: Platform, package: Platform) -> Platform:
    key = (id(project), id(package))
    found = _BOTH.get(key)
    if found is not None and found[0] is project and found[1] is package:
        return found[2]
    if len(_BOTH) >= _MOST_PAIRS:
        _BOTH.clear()
    both = combine(project, package)
    _BOTH[key] = (project, package, both)
    return both


def package_platform(component_class: type) -> Platform:
    """What the packages of a component's class say, without any project's file.

    Raises:
        DagbookError: a file is missing or cannot be used.
    """
    platform = BUILT_IN_PLATFORM
    for package in _packages_of(component_class):
        platform = _combined(platform, package)
    return platform


def _packages_of(component_class: type | None) -> list[Platform]:
    if component_class is None:
        return []
    # A class made of a company's keeps the company's rules, whatever it names itself.
    named = [(c, c.__dict__[ATTRIBUTE]) for c in component_class.__mro__ if ATTRIBUTE in c.__dict__]
    return [_named_by(owner, name) for owner, name in named if isinstance(name, str)]


def _named_by(owner: type, name: str) -> Platform:
    package, colon, path = name.partition(":")
    if not colon or not package or not path:
        raise DagbookError(
            f"{owner.__module__}.{owner.__qualname__}: `{ATTRIBUTE}` is {name!r}: write it as "
            '"company_components:dagbook-platform.yaml", a package and a file in it'
        )
    try:
        return _read(package, path)
    except (ImportError, OSError, ValueError):
        raise DagbookError(
            f"{owner.__module__}.{owner.__qualname__} names the platform file {name}, which "
            "cannot be read: does the package hold it?"
        ) from None


def _read(package: str, path: str) -> Platform:
    file: Traversable = importlib.resources.files(package).joinpath(path)
    if not isinstance(file, Path):
        return _read_once(package, path, ())
    # A package that is installed as it is edited changes under a living process.
    found = file.stat()
    return _read_once(package, path, (found.st_mtime_ns, found.st_size, found.st_ino))


@functools.lru_cache(maxsize=16)
def _read_once(package: str, path: str, _state: tuple[int, ...]) -> Platform:
    file: Traversable = importlib.resources.files(package).joinpath(path)
    label = f"{package}:{path}"
    return platform_from_text(file.read_bytes(), Path(label), label=label, in_package=True)
