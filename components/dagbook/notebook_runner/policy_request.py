"""What a component asks of the platform's rules, and what they say with a company's own added."""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from dagbook.context import ENVIRONMENT_VARIABLE
from dagbook.cron_intervals import shortest_interval
from dagbook.errors import DagbookError
from dagbook.execution.allowance import check_names, name_in_project
from dagbook.execution.kernelspec import find_kernel
from dagbook.policy.attribute_defaults import with_defaults
from dagbook.policy.decision import decide
from dagbook.policy.objections import one_line
from dagbook.policy.platform import Platform
from dagbook.policy.request import Decision, Objection, Request

if TYPE_CHECKING:
    from dagbook.notebook import Notebook
    from dagbook.notebook_runner.component import NotebookRunnerComponent


def effective(component: NotebookRunnerComponent, platform: Platform) -> NotebookRunnerComponent:
    """The component with the platform's defaults for what its YAML leaves out.

    What a company's class has as another default than ours stays.

    Raises:
        DagbookError: a default of the platform file cannot be a value of this component.
    """
    fields = _base().model_fields
    own = type(component).model_fields
    given = {
        name: _plain(value, only_set=True)
        for name, value in component.__dict__.items()
        if name in component.model_fields_set
        or (name in fields and own[name].default != fields[name].default)
    }
    filled = with_defaults(given, platform)
    if filled == {**given, "compute_size": component.compute_size}:
        return component
    try:
        return type(component).model_validate(filled)
    except ValidationError as error:
        from dagbook.notebook_runner.schema_errors import schema_problems

        said = schema_problems(error, type(component))
        text = "; ".join(f"{'.'.join(map(str, loc))}: {text}" for loc, text in said)
        where = f"{platform.file}: " if platform.file is not None else ""
        raise DagbookError(f"{where}`defaults` do not fit this component: {text}") from None


def request_of(
    component: NotebookRunnerComponent,
    *,
    project_root: Path,
    asset: str | None,
    notebook: Notebook | None = None,
    scheduled: bool = False,
    tried: bool | None = None,
    attributes: Mapping[str, Any] | None = None,
    environment: str | None = None,
) -> Request:
    """What a component asks for.

    Args:
        component: with the platform's defaults, as `effective` gives it.
        project_root: the folder its notebook is relative to.
        asset: its key, the parts separated by slashes.
        notebook: as it is now; without it nothing of what it says is judged.
        scheduled: whether nobody watches the launch this is about.
        tried: whether the notebook, as it is now, has run well before.
        attributes: what a launch changes of the component's own.
        environment: the deployment it would run in; None: this one, where it says which it is.
    """
    named = project_root / component.notebook
    kernel = component.kernel
    if notebook is None:
        real = Path(named.resolve())
        kernel = None if kernel is None else _kernel_named(kernel)
    else:
        real = notebook.real_path or named
        kernel = _kernel_of(kernel, notebook)
    return Request(
        notebook=name_in_project(named, real, project_root),
        asset=asset,
        component_type=type_name(type(component)),
        attributes={**attributes_of(component), **(attributes or {})},
        kernel=kernel,
        checks=None if notebook is None else check_names(notebook),
        shortest_interval_seconds=_shortest_interval(component),
        scheduled=scheduled,
        tried=tried,
        environment=environment or os.environ.get(ENVIRONMENT_VARIABLE) or None,
    )


def judge(component: NotebookRunnerComponent, request: Request, platform: Platform) -> Decision:
    """What the platform says to a request, and after it what the component's own class says.

    The class adds to the decision and cannot take anything out of it.
    """

    def own(request: Request, platform: Platform) -> Iterator[Objection]:
        return _own_objections(component, request, platform)

    return decide(request, platform, [own])


def attributes_of(component: NotebookRunnerComponent) -> dict[str, Any]:
    """A component's attributes as plain values, without those that say nothing.

    Read off the object itself: how a class shows itself to others does not matter.
    """
    return {
        name: _plain(value)
        for name, value in component.__dict__.items()
        if name in type(component).model_fields and value is not None
    }


def type_name(component_class: type[Any]) -> str:
    """A class as ``type:`` in YAML names it: by the first of its packages that shows it."""
    parts = component_class.__module__.split(".")
    for length in range(1, len(parts) + 1):
        name = ".".join(parts[:length])
        try:
            found = getattr(sys.modules.get(name), component_class.__name__, None)
        except Exception:
            continue
        if found is component_class:
            return f"{name}.{component_class.__name__}"
    return f"{component_class.__module__}.{component_class.__qualname__}"


def _own_objections(
    component: NotebookRunnerComponent, request: Request, platform: Platform
) -> Iterator[Objection]:
    name = f"{type_name(type(component))}.more_rules"
    # A copy: what it does to the request changes nothing of what was asked for.
    request = replace(request, attributes=copy.deepcopy(dict(request.attributes)))
    try:
        found = list(component.more_rules(request, platform))
    except DagbookError as error:
        yield Objection(name, (), None, "", platform.contact, one_line(str(error)))
        return
    except (Exception, SystemExit) as error:
        # A rule that cannot be asked is not one that has been kept; nor does it end the others.
        text = f"the rules of {name} cannot be asked: {type(error).__name__}: {error}"
        yield Objection(name, (), None, "", platform.contact, one_line(text))
        return
    for objection in found:
        if isinstance(objection, Objection):
            yield replace(objection, text=one_line(objection.text))
        else:
            text = f"the rules of {name} gave {objection!r} where an Objection is wanted"
            yield Objection(name, (), None, "", platform.contact, one_line(text))


def _kernel_named(name: str) -> str:
    """The kernel that a name means, in whatever case; where none is installed, the name."""
    try:
        return find_kernel(name).name
    except DagbookError:
        return name


def _kernel_of(named: str | None, notebook: Notebook) -> str | None:
    """The kernel that would start; of one that is not installed, which cannot, its name."""
    if named is not None:
        return _kernel_named(named)
    try:
        return find_kernel(notebook.kernel_name, notebook.language).name
    except DagbookError:
        return notebook.kernel_name


def _shortest_interval(component: NotebookRunnerComponent) -> float | None:
    schedule = component.schedule
    if schedule is None:
        return None
    try:
        return shortest_interval(schedule.cron)
    except DagbookError:
        pass
    # Dagster reads a few lines that mean different things to different readers.
    from datetime import UTC, datetime

    from dagbook.notebook_runner.intervals import next_ticks

    try:
        ticks = next_ticks(schedule.cron, schedule.timezone, datetime.now(UTC), 300)
    except DagbookError:
        return None  # no schedule at all, which is said elsewhere
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(ticks)]
    return min(gaps, default=None)


def _plain(value: Any, *, only_set: bool = False) -> Any:
    if isinstance(value, BaseModel):
        return {
            name: _plain(item, only_set=only_set)
            for name, item in value.__dict__.items()
            if (name in value.model_fields_set if only_set else item is not None)
        }
    if isinstance(value, Mapping):
        return {name: _plain(item, only_set=only_set) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, only_set=only_set) for item in value]
    return value


def _base() -> type[NotebookRunnerComponent]:
    from dagbook.notebook_runner.component import NotebookRunnerComponent

    return NotebookRunnerComponent
