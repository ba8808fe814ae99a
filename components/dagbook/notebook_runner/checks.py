"""What is wrong with a component's attributes, for `dagbook validate` and for loading."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import ValidationError

from dagbook.credential_parameters import credential_reason, refuse_credential_defaults
from dagbook.errors import DagbookError, did_you_mean
from dagbook.execution.kernelspec import find_kernel
from dagbook.notebook import Notebook, read_notebook, resolve_parameters
from dagbook.notebook_runner.asset import KEY_PART
from dagbook.notebook_runner.attributes import StaticPartitions, holds_template
from dagbook.notebook_runner.component import NotebookRunnerComponent
from dagbook.notebook_runner.dagstermill_problems import engine_problems, notebook_problem
from dagbook.notebook_runner.intervals import intervals_of
from dagbook.notebook_runner.partitions import build_partitions
from dagbook.notebook_runner.policy_problems import (
    platform_for,
    policy_objections,
    with_defaults,
)
from dagbook.notebook_runner.run_time_names import Loc, names_in, unknown_name
from dagbook.notebook_runner.schema_errors import schema_problems
from dagbook.notebook_runner.versions import VERSION_KEY, find_migration
from dagbook.policy.sizes import BUILT_IN_SIZES, HOUR, Size, find_size

if TYPE_CHECKING:
    from dagbook.policy.platform import Platform

#: Templates in these are ours, not Dagster's.
FILLED_IN = ("parameters", "experiment")
_RUN_TIME: Loc = ("limits", "max_runtime_hours")


@dataclass(frozen=True)
class Problem:
    """One thing to mend. `loc` leads from ``attributes`` to the value it is about."""

    loc: Loc
    text: str

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.loc))}: {self.text}" if self.loc else self.text


def find_problems(
    attributes: Mapping[str, Any],
    project_root: Path,
    component_class: type[NotebookRunnerComponent] = NotebookRunnerComponent,
    *,
    platform: Platform | None = None,
    asset: str | None = None,
) -> list[Problem]:
    """Find everything that is wrong with a component, in the order of its attributes.

    Values that Dagster fills in from a template when it loads the file are taken on trust.

    Args:
        attributes: what stands below ``attributes:`` in the YAML.
        project_root: the folder that ``notebook:`` is relative to.
        component_class: a company's own class, if the YAML names one.
        platform: the policy to hold it against, as `platform_for` finds it.
        asset: the key it has when it names none, the parts separated by slashes.
    """
    component, problems = _without_notebook(attributes, project_root, component_class, platform)
    path_is_wrong = any(problem.loc == ("notebook",) for problem in problems)
    if component is None:
        return _in_order(problems, attributes)
    notebook = None
    if component.notebook and not path_is_wrong:
        path = project_root / component.notebook
        try:
            notebook = read_notebook(path, within=project_root)
        except DagbookError as error:
            problems.append(Problem(("notebook",), str(error)))
        else:
            problems += _said_by_notebook(component, notebook)
    platform = _asked(component, platform)
    if platform is not None:
        key = component.key or asset
        found = _against_rules(component, project_root, platform, key, notebook, problems)
        problems += _judged(found, attributes)
    return _in_order(problems, attributes)


def find_yaml_problems(
    attributes: Mapping[str, Any],
    project_root: Path,
    component_class: type[NotebookRunnerComponent] = NotebookRunnerComponent,
    *,
    asset: str | None = None,
) -> list[Problem]:
    """Find what keeps a component from loading, whatever its notebook says.

    Raises:
        DagbookError: the platform file cannot be used.
    """
    platform = platform_for(component_class, project_root)
    component, problems = _without_notebook(attributes, project_root, component_class, platform)
    platform = None if component is None else _asked(component, platform)
    if component is not None and platform is not None:
        key = component.key or asset
        found = _against_rules(component, project_root, platform, key, None, problems)
        problems += _judged(found, attributes)
    return _in_order(problems, attributes)


def loaded_as(
    attributes: Mapping[str, Any],
    component_class: type[NotebookRunnerComponent] = NotebookRunnerComponent,
) -> NotebookRunnerComponent:
    """The component that sound attributes make, without what Dagster fills in from templates."""
    migration = find_migration(component_class, attributes)
    given = attributes if migration is None else migration.as_read
    plain = {k: v for k, v in given.items() if k in FILLED_IN or not holds_template(v)}
    return component_class.model_validate({"notebook": "", **plain})


def kernel_of(component: NotebookRunnerComponent, notebook: Notebook) -> str:
    """The name of the kernel that a notebook runs on.

    Raises:
        DagbookError: it is not installed.
    """
    return find_kernel(component.kernel or notebook.kernel_name, notebook.language).name


def _without_notebook(
    attributes: Mapping[str, Any],
    project_root: Path,
    component_class: type[NotebookRunnerComponent],
    platform: Platform | None,
) -> tuple[NotebookRunnerComponent | None, list[Problem]]:
    try:
        migration = find_migration(component_class, attributes)
    except DagbookError as error:
        return None, [Problem((VERSION_KEY,), str(error))]
    if migration is not None:
        attributes = migration.as_read
    given = {
        key: value
        for key, value in attributes.items()
        if key in FILLED_IN or not holds_template(value)
    }
    component, problems = _read(given, component_class)
    if "notebook" in attributes and "notebook" not in given:
        problems = [problem for problem in problems if problem.loc != ("notebook",)]
    if component is None:
        return None, problems
    if platform is not None:
        try:
            component = with_defaults(component, platform)
        except DagbookError as error:
            return None, [*problems, Problem((), str(error))]
    sizes = BUILT_IN_SIZES if platform is None else platform.sizes
    found = [*problems, *_setting_problems(component, project_root, sizes)]
    if "compute_size" in attributes and "compute_size" not in given:
        # How long a size is that nobody knows yet is seen when it is loaded.
        found = [p for p in found if p.loc != _RUN_TIME or p in problems]
    return component, found


def _in_order(problems: list[Problem], attributes: Mapping[str, Any]) -> list[Problem]:
    order = {key: number for number, key in enumerate(attributes)}
    return sorted(problems, key=lambda p: order.get(str(p.loc[0]) if p.loc else "", len(order)))


def _read(
    given: Mapping[str, Any], component_class: type[NotebookRunnerComponent]
) -> tuple[NotebookRunnerComponent | None, list[Problem]]:
    """Read attributes; where some cannot be, the others all the same, for their own faults."""
    try:
        return component_class.model_validate(given), []
    except ValidationError as error:
        found = schema_problems(error, component_class)
    problems = [Problem(loc, text) for loc, text in found]
    wrong = {loc[0] for loc, _ in found}
    rest = {key: value for key, value in given.items() if key not in wrong}
    try:
        return component_class.model_validate({"notebook": "", **rest}), problems
    except ValidationError:
        return None, problems


def setting_problems(
    component: NotebookRunnerComponent,
    project_root: Path,
    *,
    platform: Platform | None = None,
    asset: str | None = None,
    judged: bool = True,
) -> list[Problem]:
    """Find what is wrong with the YAML alone, whatever the notebook says.

    Args:
        component: with the platform's defaults.
        project_root: the folder that its notebook is relative to.
        platform: the policy to hold it against.
        asset: its key, the parts separated by slashes.
        judged: whether the policy is asked; without, nothing is said of sizes and limits either.
    """
    sizes = BUILT_IN_SIZES if platform is None else platform.sizes
    problems = list(_setting_problems(component, project_root, sizes))
    if not judged:
        return [p for p in problems if p.loc[:1] not in (("compute_size",), ("limits",))]
    platform = _asked(component, platform)
    if platform is not None:
        problems += _against_rules(component, project_root, platform, asset, None, problems)
    return problems


def _asked(component: NotebookRunnerComponent, platform: Platform | None) -> Platform | None:
    """The policy to ask: without any, nobody gives connections, which somebody has to say."""
    if platform is None and component.resources:
        from dagbook.policy.platform import BUILT_IN_PLATFORM

        return BUILT_IN_PLATFORM
    return platform


def _against_rules(
    component: NotebookRunnerComponent,
    project_root: Path,
    platform: Platform,
    asset: str | None,
    notebook: Notebook | None,
    said: list[Problem],
) -> list[Problem]:
    """What the platform's rules say, but of values that were found wrong already."""
    objections = policy_objections(component, project_root, platform, asset, notebook)
    places = {problem.loc for problem in said}
    return [Problem(o.loc, o.text) for o in objections if o.loc not in places]


def _judged(found: list[Problem], attributes: Mapping[str, Any]) -> list[Problem]:
    """Without what is said of values that are not known before Dagster fills them in.

    They are judged when they are: as the component is loaded.
    """
    unknown = {
        key for key, value in attributes.items() if key not in FILLED_IN and holds_template(value)
    }
    if "notebook" in unknown:
        return []  # whose it is, nobody knows
    if "compute_size" in unknown:
        unknown.add("limits")
    return [problem for problem in found if not problem.loc or problem.loc[0] not in unknown]


def _said_by_notebook(component: NotebookRunnerComponent, notebook: Notebook) -> list[Problem]:
    try:
        return list(_notebook_problems(component, notebook))
    except DagbookError as error:
        return [Problem(("notebook",), str(error))]


def _setting_problems(
    c: NotebookRunnerComponent, root: Path, sizes: Mapping[str, Size]
) -> Iterator[Problem]:
    yield from _about_path(c.notebook, root)
    if c.key is not None:
        yield from _about_key(("key",), c.key)
    yield from _raised(("compute_size",), lambda: find_size(c.compute_size, sizes))
    if c.schedule is not None:
        at = "timezone" if _is_fine(lambda: intervals_of(_schedule(c).cron, "UTC")) else "cron"
        yield from _raised(
            ("schedule", at), lambda: intervals_of(_schedule(c).cron, _schedule(c).timezone)
        )
    yield from _raised(("partitions",), lambda: build_partitions(c.partitions, None))
    yield from _about_braces(c)
    yield from _about_credentials(c)
    yield from _about_limits(c, sizes)
    for number, owner in enumerate(c.owners):
        if not _can_own(owner):
            yield Problem(
                ("owners", number),
                f"{owner!r} is neither an e-mail address nor `team:` with a name",
            )
    for name, value in c.tags.items():
        yield from _refused(
            ("tags", name),
            lambda name=name, value=value: dg.AssetSpec("x", tags={name: value}),  # type: ignore[misc]
            f"{name}={value!r} cannot be a tag: use at most 63 letters, digits, _, - and .",
        )
    if c.group is not None:
        yield from _refused(
            ("group",),
            lambda: dg.AssetSpec("x", group_name=c.group),
            f"{c.group!r} cannot be a group: use letters, digits and _",
        )
    for number, dep in enumerate(c.deps):
        yield from _about_key(("deps", number), dep)
    for name, dep in c.dagstermill.inputs.items():
        yield from _about_key(("dagstermill", "inputs", name), dep)
    yield from (Problem(loc, text) for loc, text in engine_problems(c))


def _about_path(notebook: str, root: Path) -> Iterator[Problem]:
    if not notebook:
        return
    path = Path(notebook)
    loc: Loc = ("notebook",)
    if path.is_absolute() or ".." in path.parts:
        yield Problem(loc, f"{notebook!r} must lie inside the project: write it relative to {root}")
    elif path.suffix not in (".ipynb", ".py", ".md"):
        yield Problem(
            loc, f"{notebook!r} is no notebook: name a .ipynb, or a .py or .md of jupytext"
        )
    elif not os.path.lexists(root / path):  # what is there and no notebook says so itself
        folder = (root / path).parent
        there = sorted(p.name for p in folder.glob("*.ipynb")) if folder.is_dir() else []
        elsewhere = sorted(p.relative_to(root).as_posix() for p in _notebooks(root, path.name))
        choices = elsewhere or [str(path.with_name(name)) for name in there]
        hint = f" {did_you_mean(notebook, choices)}" if choices else ""
        yield Problem(loc, f"{notebook} does not exist in {root}.{hint}")


def _notebooks(root: Path, name: str) -> Iterator[Path]:
    for path in root.glob(f"*/{name}"):
        yield path
    for path in root.glob(f"*/*/{name}"):
        yield path


def _about_key(loc: Loc, text: str) -> Iterator[Problem]:
    parts = text.split("/")
    wrong = next((part for part in parts if not KEY_PART.fullmatch(part)), None)
    if wrong is not None:
        yield Problem(
            loc,
            f"{text!r} is no asset key: between its slashes use letters, digits, _ and -"
            + (f", not {wrong!r}" if wrong else ""),
        )


def _about_braces(c: NotebookRunnerComponent) -> Iterator[Problem]:
    from dagbook.notebook_runner.run_time_names import RUN_TIME_NAMES

    has_interval = c.schedule is not None or (
        c.partitions is not None and not isinstance(c.partitions, StaticPartitions)
    )
    places = [*names_in(c.parameters, ("parameters",))]
    in_experiment = [*names_in(c.experiment.name, ("experiment", "name"))]
    for loc, name in places + in_experiment:
        shown = f"`{{{{ {name} }}}}`"
        if name not in RUN_TIME_NAMES:
            yield Problem(loc, unknown_name(name))
        elif name == "partition_key" and c.partitions is None:
            yield Problem(loc, f"{shown} needs `partitions`, which this notebook has not")
        elif name.startswith("data_interval") and not has_interval:
            yield Problem(
                loc,
                f"{shown} needs a `schedule`, or `partitions` by time: without them a run is "
                "about no interval",
            )
        elif name == "experiment_id" and loc[0] == "experiment":
            yield Problem(loc, f"{shown} is not known before the experiment has its name")


def _about_credentials(c: NotebookRunnerComponent) -> Iterator[Problem]:
    from dagbook.preflight.credential_patterns import find_known

    for name, value in c.parameters.items():
        if (reason := credential_reason(name, value)) is not None:
            yield Problem(("parameters", name), reason)
    texts = {("experiment", key): getattr(c.experiment, key) for key in ("name", "tracking_uri")}
    for loc, text in (*texts.items(), *((("tags", key), tag) for key, tag in c.tags.items())):
        if text and (known := next(find_known(text), None)) is not None:
            yield Problem(loc, f"looks like {known.what}, which must not stand in a component file")


def _about_limits(c: NotebookRunnerComponent, sizes: Mapping[str, Size]) -> Iterator[Problem]:
    hours = c.limits.max_runtime_hours if c.limits is not None else None
    if hours is None or c.compute_size not in sizes:
        return
    size = sizes[c.compute_size]
    if hours * HOUR > size.max_runtime_seconds:
        yield Problem(
            _RUN_TIME,
            f"{hours:g} h is more than the size {size.label} allows: choose a larger size or "
            f"at most {size.max_runtime_seconds / HOUR:g}",
        )


def _notebook_problems(c: NotebookRunnerComponent, notebook: Notebook) -> Iterator[Problem]:
    if c.engine == "dagstermill":
        # Its parameters are the op's config, which no notebook declares.
        if (text := notebook_problem(notebook)) is not None:
            yield Problem(("notebook",), text)
        return
    # What looks like a credential was told of already, and no other text may show it.
    given = {k: v for k, v in c.parameters.items() if credential_reason(k, v) is None}
    plain = {k: v for k, v in given.items() if next(names_in(v), None) is None}
    filled_in = {k: v for k, v in given.items() if k not in plain}
    for name, value in plain.items():
        yield from _raised(
            ("parameters", name),
            lambda n=name, v=value: resolve_parameters(notebook, {n: v}, complete=False),  # type: ignore[misc]
        )
    known = {parameter.name for parameter in notebook.parameters}
    for name in filled_in:
        if name not in known:
            yield from _raised(
                ("parameters", name),
                lambda n=name: resolve_parameters(
                    notebook, {n: "0"}, from_text=True, complete=False
                ),  # type: ignore[misc]
            )
    yield from _raised(("notebook",), lambda: refuse_credential_defaults(notebook))
    missing = [p.name for p in notebook.parameters if p.required and p.name not in c.parameters]
    if missing and c.schedule is not None:
        yield Problem(
            ("parameters",),
            f"the notebook requires {', '.join(f'`{name}`' for name in missing)}: give a value, "
            "a scheduled run has nobody to ask",
        )
    if c.kernel is not None:
        yield from _raised(("kernel",), lambda: find_kernel(c.kernel, notebook.language))
        return
    for problem in _raised(
        ("notebook",), lambda: find_kernel(notebook.kernel_name, notebook.language)
    ):
        yield Problem(problem.loc, f"{notebook.label}: {problem.text}")


def _schedule(c: NotebookRunnerComponent) -> Any:
    return c.schedule


def _raised(loc: Loc, act: Callable[[], Any]) -> Iterator[Problem]:
    try:
        act()
    except DagbookError as error:
        yield Problem(loc, str(error))


def _refused(loc: Loc, act: Callable[[], Any], text: str) -> Iterator[Problem]:
    # Dagster's own rules, in words for somebody who does not know Dagster.
    try:
        act()
    except Exception:
        yield Problem(loc, text)


@functools.lru_cache(maxsize=1024)
def _can_own(owner: str) -> bool:
    try:
        dg.AssetSpec("x", owners=[owner])
    except Exception:
        return False
    return True


def _is_fine(act: Callable[[], Any]) -> bool:
    return not list(_raised((), act))
