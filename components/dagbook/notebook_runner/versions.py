"""Versions of a component's YAML: which one a file was written for, and how an older one is read.

A file says ``schema_version`` among its attributes, and 1 where it says nothing. Only a company's
component has other versions: it names them, and brings older attributes up to its own.

No ``from __future__ import annotations`` here: Dagster reads the annotations.
"""

import copy
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import dagster as dg
from pydantic import BaseModel, create_model, model_validator

from dagbook.errors import DagbookError

VERSION_KEY = "schema_version"

_log = logging.getLogger("dagbook")
_classes_with_old_files: set[type[Any]] = set()


class Versioned(dg.Resolvable):
    """What a company's component says of its versions, and how Dagster reads older YAML of it.

    Stands in front of `dagster.Component` among the bases of a class with a field
    `schema_version`.
    """

    #: The version of the attributes. A company's component counts it up when YAML written for an
    #: older release has to be rewritten.
    current_schema_version: ClassVar[int] = 1
    #: Older versions that `migrate_config` can bring up to it.
    compatible_versions: ClassVar[frozenset[int]] = frozenset()

    @classmethod
    def migrate_config(cls, old: Mapping[str, Any], old_version: int) -> dict[str, Any]:
        """Bring attributes of an older version up to `current_schema_version`.

        Asked for the versions in `compatible_versions` only. The file stays as it is until
        somebody calls ``dagbook validate --fix``.

        Args:
            old: what stands below ``attributes:``, a copy, without `schema_version`.
            old_version: the version it was written for.
        """
        return dict(old)

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """What Dagster reads the YAML by; older versions are brought up on the way."""
        return versioned_model(cls, cls.model())

    @property
    def old_version(self) -> int | None:
        """The version its YAML was written for, where that is not the current one."""
        version: int | None = getattr(self, VERSION_KEY)
        return None if version in (None, self.current_schema_version) else version


@dataclass(frozen=True)
class Migration:
    """Attributes of an older version, brought up to the one that their component reads."""

    old: int
    new: int
    attributes: dict[str, Any]
    """As they are written anew, `schema_version` among them"""

    @property
    def as_read(self) -> dict[str, Any]:
        """The same, with the version that stands in the file."""
        return {**self.attributes, VERSION_KEY: self.old}

    @property
    def note(self) -> str:
        """What a reader of the file should know of it."""
        return version_note(self.old, self.new)


def version_note(old: int, new: int) -> str:
    """Say that a file is read as if it were written for a newer version."""
    return f"schema_version {old} is read as {new}: `dagbook validate --fix` rewrites it"


def find_migration(
    component_class: type[Versioned], attributes: Mapping[str, Any]
) -> Migration | None:
    """Bring the attributes of an older version up to the component's own; None: nothing to do.

    Raises:
        DagbookError: the version is none, newer than the component or too old for it, or the
            component's `migrate_config` fails. The text is about the key `schema_version`.
    """
    old, new = version_of(attributes), component_class.current_schema_version
    check_version(component_class, old, written=VERSION_KEY in attributes)
    if old == new:
        return None
    # It may change what it is given.
    before = copy.deepcopy({key: item for key, item in attributes.items() if key != VERSION_KEY})
    try:
        after: Any = component_class.migrate_config(before, old)
    except Exception as error:
        words = " ".join(str(error).split())
        what = "" if isinstance(error, DagbookError) else f"{type(error).__name__}: "
        raise DagbookError(
            f"{component_class.__name__} cannot bring version {old} to {new}: {what}{words}"
        ) from error
    if not isinstance(after, Mapping) or not all(isinstance(key, str) for key in after):
        raise DagbookError(
            f"{component_class.__name__} cannot bring version {old} to {new}: its migrate_config "
            f"returned {type(after).__name__}, where names with values are wanted"
        )
    return Migration(old, new, {**after, VERSION_KEY: new})


def version_of(attributes: Mapping[str, Any]) -> int:
    """The version that attributes were written for.

    Raises:
        DagbookError: what is written is no version.
    """
    version = attributes.get(VERSION_KEY)
    if version is None:
        return 1
    if type(version) is not int or version < 1:
        raise DagbookError(f"a whole number from 1 is wanted, not {version!r}")
    return version


def check_version(component_class: type[Versioned], version: int, *, written: bool = True) -> None:
    """Refuse a version that a component cannot read.

    Raises:
        DagbookError: it is newer than the component, or too old for it.
    """
    name, current = component_class.__name__, component_class.current_schema_version
    readable = sorted({current, *component_class.compatible_versions})
    if version > current:
        raise DagbookError(
            f"version {version} is newer than this {name}, which reads {_listed(readable)}: "
            "upgrade its package"
        )
    if version not in readable:
        said = f"version {version}" if written else "nothing is written, which is version 1, and"
        raise DagbookError(
            f"{said} is no longer read by {name}, which reads {_listed(readable)}: "
            f"bring the YAML to {current} with an older release of its package, or by hand"
        )


def checked_version(component_class: type[Versioned], version: int | None) -> int | None:
    """The same version, for pydantic.

    Raises:
        ValueError: a component cannot read it.
    """
    if version is not None:
        try:
            check_version(component_class, version)
        except DagbookError as error:
            raise ValueError(str(error)) from error
    return version


def tell_old_version(component: Versioned, label: str) -> None:
    """Say in the log that a file was written for an older version.

    Once for each class: a project may have a thousand of them, and ``dagbook validate`` lists all.
    """
    if component.old_version is None or type(component) in _classes_with_old_files:
        return
    _classes_with_old_files.add(type(component))
    _log.warning(
        "%s: %s", label, version_note(component.old_version, component.current_schema_version)
    )


def versioned_model(component_class: type[Versioned], model: type[BaseModel]) -> type[BaseModel]:
    """The model by which Dagster reads the YAML, taught to read older versions as well."""
    if component_class.current_schema_version == 1:
        return model
    made = _models.get(component_class)
    if made is None:
        made = _models[component_class] = _versioned(component_class, model)
    return made


# Dagster asks for a class's model once for each of its files.
_models: dict[type[Versioned], type[BaseModel]] = {}


def _versioned(component_class: type[Versioned], model: type[BaseModel]) -> type[BaseModel]:
    def bring_up(_: Any, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        try:
            migration = find_migration(component_class, value)
        except DagbookError as error:
            raise ValueError(f"{VERSION_KEY}: {error}") from error
        return value if migration is None else migration.as_read

    before: Any = model_validator(mode="before")
    made: type[BaseModel] = create_model(
        model.__name__,
        __base__=model,
        __module__=model.__module__,
        __validators__={"bring_up": before(classmethod(bring_up))},
    )
    made.__doc__ = model.__doc__
    return made


def _listed(versions: list[int]) -> str:
    words = [str(version) for version in versions]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
