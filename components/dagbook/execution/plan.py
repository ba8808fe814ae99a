"""Decides everything about an execution before anything starts, or refuses it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from dagbook.errors import DagbookError
from dagbook.execution.clock import RunBudget
from dagbook.execution.events import EventListener
from dagbook.execution.kernelspec import KernelSpec, find_kernel
from dagbook.execution.means import Means, find_means
from dagbook.execution.metrics import check_language
from dagbook.execution.outputs import OutputLimits
from dagbook.execution.provenance import Origin
from dagbook.execution.result import Cause
from dagbook.notebook import Notebook, RoleKind, read_notebook, resolve_parameters
from dagbook.policy import DEFAULT_SIZE, Size, find_size
from dagbook.policy.governing import governing_root
from dagbook.policy.presence import has_platform_file
from dagbook.project import find_project

if TYPE_CHECKING:
    from dagbook.credentials.delivery import Delivery
    from dagbook.execution.allowance import Allowance
    from dagbook.execution.kernel_user import KernelUser
    from dagbook.masking import Masker
    from dagbook.policy.connections import KernelRules
    from dagbook.policy.request import Decision

START_TIMEOUT_SECONDS = 60.0


class RunOptions(TypedDict, total=False):
    """How a notebook is to be run. Everything has a default.

    Attributes:
        parameters_are_text: the values come from a command line, to be read by type.
        output: the executed notebook's path; replaced in one step at the end.
        output_folder: instead of `output`, a folder for ``<time>-<state>.ipynb``; by default
            ``runs/<notebook>`` in the project, or beside the notebook.
        html: also write a page for reading, beside the executed notebook.
        size: what the run may use, by name; None for no limit. Where a platform file governs the
            notebook it decides, and None is its default size.
        timeout: seconds for the whole run, at most the size's.
        budget: what the run may cost; it ends like one that is out of time.
        cell_timeout: seconds for each cell.
        kernel: another kernel than the notebook's own.
        project_root: importable in the notebook, after its own folder.
        context: what `dagbook.context` says in the notebook.
        environment: variables for the kernel, beside the allow-list.
        output_limits: how much output is kept.
        on_event: called as cells start and end and measurements arrive.
        origin: what the caller knows of where the run comes from, for its provenance.
        good_runs: a folder whose good runs, or those of its sub-folders, a run that does not
            succeed is compared with; by default the folder of its own result.
        should_stop: asked several times a second; once it gives a reason, the run ends as
            cancelled, with that reason.
        record: a file into which the result is written if the run vanishes, by whoever
            recovers it; its folder is there.
        allowance: what was decided already by whoever knows the run's asset; then nothing is
            decided here, and `size` does not count.
        credentials: what the kernel is handed of its run's connections, in its environment and in
            private files; nothing of it is kept.
        masker: replaces their values wherever they turn up; it learns those that are new.
    """

    parameters_are_text: bool
    output: Path | None
    output_folder: Path | None
    html: bool
    size: str | Size | None
    timeout: float | None
    budget: RunBudget | None
    cell_timeout: float | None
    kernel: str | None
    project_root: Path | None
    context: Mapping[str, Any] | None
    environment: Mapping[str, str] | None
    output_limits: OutputLimits | None
    on_event: EventListener | None
    origin: Origin | None
    good_runs: Path | None
    should_stop: Callable[[], str | None] | None
    record: Path | None
    allowance: Allowance | None
    credentials: Delivery | None
    masker: Masker | None


@dataclass(frozen=True)
class Plan:
    """One execution, checked: what runs, with what, on what, and where the result goes."""

    notebook: Notebook
    parameters: Mapping[str, Any]
    kernelspec: KernelSpec
    size: Size | None
    run_seconds: float | None
    cell_seconds: float | None
    working_folder: Path
    project_root: Path | None
    output: Path | None
    output_folder: Path
    html: bool = False
    context: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    output_limits: OutputLimits = field(default_factory=OutputLimits)
    start_seconds: float = START_TIMEOUT_SECONDS
    means: Means = field(default_factory=Means)
    listener: EventListener | None = None
    origin: Origin = field(default_factory=Origin)
    good_runs: Path | None = None
    should_stop: Callable[[], str | None] | None = None
    record: Path | None = None
    budget: RunBudget | None = None
    sizes: tuple[Size, ...] | None = None
    """Those it may have instead, for advice; None: the built-in ones"""
    decision: Decision | None = None
    """What the platform's rules say to it, where there are any"""
    credentials: Delivery | None = field(default=None, repr=False)
    masker: Masker | None = field(default=None, repr=False)
    kernel_rules: KernelRules | None = None
    """What a platform says about the kernel's process; None where it says nothing"""
    kernel_user: KernelUser | None = None
    """Whom the kernel belongs to; None for the runner's own user"""

    @property
    def notebook_name(self) -> str | None:
        """The notebook's path as text, None for one that was never a file."""
        return None if self.notebook.path is None else str(self.notebook.path)

    @property
    def time_label(self) -> str:
        """Whose limit the run's time is, for the reason when it is over."""
        if self.is_bound_by_budget:
            assert self.budget is not None
            return self.budget.label
        if self.size is not None and self.run_seconds == self.size.max_runtime_seconds:
            return f"the limit of size {self.size.name}"
        return "the limit of this run"

    @property
    def time_cause(self) -> Cause:
        """What kind of limit that is."""
        return Cause.BUDGET if self.is_bound_by_budget else Cause.TIME

    @property
    def is_bound_by_budget(self) -> bool:
        """Whether the money is spent before the time is over."""
        return self.budget is not None and self.run_seconds == self.budget.seconds


def make_plan(
    notebook: str | Path | Notebook,
    parameters: Mapping[str, Any] | None = None,
    **options: Unpack[RunOptions],
) -> Plan:
    """Read and check everything a run needs, without starting anything.

    Raises:
        DagbookError: something is not as it must be: one line says what, where, what to do.
    """
    if not isinstance(notebook, Notebook):
        notebook = read_notebook(notebook)
    values = resolve_parameters(
        notebook, parameters or {}, from_text=options.get("parameters_are_text", False)
    )
    kernelspec = kernel_for(notebook, options.get("kernel"))
    _check_metrics(notebook)
    here = Path.cwd() if notebook.path is None else notebook.path.absolute().parent
    project_root = options.get("project_root")
    if project_root is None and (project := find_project(here)) is not None:
        project_root = project.root
    allowance = options.get("allowance")
    if allowance is None and (root := governed_root(notebook, here, project_root)) is not None:
        from dagbook.execution.allowance import decide_allowance

        allowance = decide_allowance(root, notebook, kernelspec.name, options.get("size"))
    size: str | Size | None = options.get("size", DEFAULT_SIZE)
    if allowance is not None:
        size = allowance.size
    elif isinstance(size, str):
        size = find_size(size)
    budget = _smaller(options.get("budget"), None if allowance is None else allowance.budget)
    output = options.get("output")
    stem = "notebook" if notebook.path is None else notebook.path.stem
    folder = options.get("output_folder") or (project_root or here) / "runs" / stem
    rules = None if allowance is None else allowance.kernels
    user = None if rules is None else _kernel_user(rules, output.parent if output else folder)
    return Plan(
        notebook=notebook,
        parameters=values,
        kernelspec=kernelspec,
        size=size,
        run_seconds=_run_seconds(options.get("timeout"), size, budget),
        budget=budget,
        cell_seconds=checked_seconds("cell_timeout", options.get("cell_timeout")),
        working_folder=here,
        project_root=project_root,
        output=None if output is None else _checked_output(output),
        output_folder=_absolute(folder),
        html=options.get("html", False),
        context=options.get("context") or {},
        environment=options.get("environment") or {},
        output_limits=_output_limits(options.get("output_limits"), allowance),
        means=find_means(),
        listener=options.get("on_event"),
        origin=options.get("origin") or Origin(),
        good_runs=options.get("good_runs"),
        should_stop=options.get("should_stop"),
        record=options.get("record"),
        sizes=None if allowance is None else allowance.sizes,
        decision=None if allowance is None else allowance.decision,
        # One without anything in it is none: it costs nothing.
        credentials=options.get("credentials") or None,
        masker=_masker(options.get("masker"), options.get("credentials")),
        kernel_rules=rules,
        kernel_user=user,
    )


def _masker(given: Masker | None, credentials: Delivery | None) -> Masker | None:
    """What knows every value of the run before anything could show one."""
    if not credentials:
        return given or None
    if given is None:
        from dagbook.masking import Masker

        given = Masker()
    given.add(credentials.secrets)
    return given


def _kernel_user(rules: KernelRules, folder: Path) -> KernelUser | None:
    if rules.run_as is None:
        return None
    from dagbook.execution.kernel_user import find_kernel_user, refuse_open_way

    user = find_kernel_user(rules.run_as)
    if user is not None:
        refuse_open_way(folder, user)
    return user


def governed_root(notebook: Notebook, here: Path, project_root: Path | None) -> Path | None:
    """The folder whose platform file a notebook has to hold to, if there is one.

    First of all that of the project in which the notebook's file lies, links followed: neither a
    link nor another `project_root` leads out of it.
    """
    real = None if notebook.real_path is None else notebook.real_path.parent
    for start in dict.fromkeys((real, here)):
        root = None if start is None else governing_root(start)
        if root is not None:
            return root
    return project_root if project_root and has_platform_file(project_root) else None


def _smaller(asked: RunBudget | None, most: RunBudget | None) -> RunBudget | None:
    if asked is None or most is None:
        return asked or most
    # What is no number is not less than anything.
    return asked if asked.seconds <= most.seconds else most


def _output_limits(asked: OutputLimits | None, allowance: Allowance | None) -> OutputLimits:
    asked = asked or OutputLimits()
    most = None if allowance is None else allowance.output_limits
    if most is None:
        return asked
    return OutputLimits(
        # In this order what is no number is not the smaller one.
        min(most.per_cell, asked.per_cell),
        min(most.per_notebook, asked.per_notebook),
    )


def kernel_for(notebook: Notebook, chosen: str | None) -> KernelSpec:
    """The kernel a notebook runs on: the one that was chosen, else its own, else its language's.

    Raises:
        DagbookError: it is not installed.
    """
    if chosen:
        return find_kernel(chosen)
    try:
        return find_kernel(notebook.kernel_name, notebook.language)
    except DagbookError as error:
        raise DagbookError(f"{notebook.label}: {error}") from None


def _check_metrics(notebook: Notebook) -> None:
    """Refuse metrics cells that could not be read afterwards, before a kernel starts."""
    for cell in notebook.cells:
        if cell.role is not None and cell.role.kind is RoleKind.METRICS:
            check_language(notebook.language, cell.number)
            notebook.metric_names(cell)


def _run_seconds(
    timeout: float | None, size: Size | None, budget: RunBudget | None
) -> float | None:
    limits = [
        checked_seconds("timeout", timeout),
        None if size is None else size.max_runtime_seconds,
        None if budget is None else budget.seconds,
    ]
    return min((limit for limit in limits if limit is not None), default=None)


def checked_seconds(name: str, seconds: float | None) -> float | None:
    """The same time, which has to be one.

    Raises:
        DagbookError: it is not above 0.
    """
    if seconds is not None and not seconds > 0:
        raise DagbookError(f"{name}: {seconds:g} is not a time; give seconds above 0")
    return seconds


def _absolute(path: Path) -> Path:
    # Not Path.resolve: a folder reached through a link is shown as the user named it.
    return Path(os.path.abspath(path))  # noqa: PTH100


def _checked_output(output: Path) -> Path:
    output = _absolute(output)
    if output.suffix != ".ipynb":
        raise DagbookError(f"{output}: the executed notebook's name must end in .ipynb")
    if output.is_dir():
        raise DagbookError(f"{output}: is a folder; give the file to write")
    if output.exists() and not output.is_file():
        raise DagbookError(f"{output}: is not a regular file; give another name")
    return output
