"""What stands in for a component that cannot be loaded, so that it says why where it is used."""

from typing import Any, NoReturn

import dagster as dg

from dagbook.errors import DagbookError


class AnyAttributes(dg.Model, extra="allow"):
    """Whatever the YAML says: what is wrong is the installation, not the YAML."""


def unavailable_component(
    name: str, error: BaseException, *, module: str = "dagbook"
) -> type[dg.Component]:
    """Make a component class that only says why the real one cannot be loaded.

    `dg` lists it with the reason, and loading a YAML that names it fails with the reason. The
    error itself would stop every `dg` command, also in projects that do not use the component.
    """
    text = " ".join(str(error).split())
    reason = f"{module}.{name} cannot be loaded: {type(error).__name__}: {text}"

    class Unavailable(dg.Component):
        unavailable_because = reason

        @classmethod
        def get_model_cls(cls) -> type[AnyAttributes]:
            return AnyAttributes

        @classmethod
        def load(cls, attributes: Any, context: dg.ComponentLoadContext) -> NoReturn:
            raise DagbookError(reason) from error

        def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
            raise DagbookError(reason) from error

    Unavailable.__name__ = Unavailable.__qualname__ = name
    Unavailable.__module__ = module
    Unavailable.__doc__ = reason
    return Unavailable
