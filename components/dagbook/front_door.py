"""What a package of components stands behind, so that one that fails takes nothing else along.

In the ``__init__.py`` of a package, the module that its entry point names::

    from dagbook.front_door import offer

    __getattr__, __dir__ = offer(__name__, {"CompanyNotebook": "company_components.notebook"})

``dg`` imports every registered module in each of its commands and stops at the first that fails.
A module with nothing but this in it cannot fail: each component is imported when it is asked for,
and one that cannot be imported is replaced by a stand-in that says why.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def offer(
    module: str, components: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make the `__getattr__` and the `__dir__` of a module that hands components on.

    Args:
        module: the module's `__name__`.
        components: the name of each class, with the module it is defined in.
    """

    def get(name: str) -> Any:
        if name not in components:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        try:
            value = getattr(importlib.import_module(components[name]), name)
        except (Exception, SystemExit) as error:
            from dagbook.unavailable_component import unavailable_component

            value = unavailable_component(name, error, module=module)
        setattr(sys.modules[module], name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[module]), *components})

    return get, names
