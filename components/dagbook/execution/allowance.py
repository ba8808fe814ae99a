"""What one execution may use where a platform file governs its notebook, decided or refused."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from dagbook.errors import DagbookError
from dagbook.execution.clock import RunBudget
from dagbook.execution.outputs import OutputLimits
from dagbook.notebook import Notebook
from dagbook.policy.connections import KernelRules
from dagbook.policy.cost import budget_reached, seconds_for
from dagbook.policy.decision import decide
from dagbook.policy.decision import options as options_of
from dagbook.policy.platform import Platform
from dagbook.policy.platform_file import find_platform
from dagbook.policy.request import Decision, Request
from dagbook.policy.sizes import Size, find_size


@dataclass(frozen=True)
class Allowance:
    """What a run may use; whatever it asks for, it gets no more."""

    decision: Decision
    size: Size
    sizes: tuple[Size, ...]
    """All that the notebook may choose from"""
    budget: RunBudget | None
    """What the run may cost; None: nothing bounds that"""
    output_limits: OutputLimits
    """The most that is kept"""
    kernels: KernelRules | None = None
    """What the platform says about the kernel's process; None where it says nothing"""


def decide_allowance(
    root: Path, notebook: Notebook, kernel: str, asked: str | Size | None
) -> Allowance:
    """Decide about a notebook that is run as it is, by nobody's component.

    Args:
        root: the folder whose platform file governs it.
        notebook: what is to run.
        kernel: the kernel it is to run on.
        asked: the size that was asked for; None for the platform's default.

    Raises:
        DagbookError: it is refused, or the platform file cannot be read.
    """
    platform = find_platform(root)
    name = asked.name if isinstance(asked, Size) else asked or platform.default_size
    request = Request(
        # One that was never a file lies where its caller works.
        notebook=name_in_project(notebook.path or Path("notebook"), notebook.real_path, root),
        attributes={"compute_size": name},
        kernel=kernel,
        checks=check_names(notebook),
    )
    allowance = allowance_of(request, decide(request, platform), platform)
    if isinstance(asked, Size):
        _refuse_more(asked, allowance.size)
        # Less than what has this name is nobody's loss.
        return replace(allowance, size=asked)
    return allowance


def allowance_of(request: Request, decision: Decision, platform: Platform) -> Allowance:
    """What a decision comes to for a run.

    Raises:
        DagbookError: the decision is against it: the first objection, and how many more.
    """
    if decision.objections:
        more = len(decision.objections) - 1
        rest = f" (and {more} more)" if more else ""
        raise DagbookError(f"{decision.objections[0].text}{rest}")
    default = OutputLimits()
    per_cell, per_notebook = platform.outputs.per_cell, platform.outputs.per_notebook
    size = decision.size or find_size(platform.default_size, platform.sizes)
    return Allowance(
        decision=decision,
        size=size,
        sizes=tuple(
            platform.sizes[choice.name]
            for choice in options_of(platform, request.notebook, asset=request.asset)
            if choice.allowed
        ),
        output_limits=OutputLimits(
            default.per_cell if per_cell is None else per_cell,
            default.per_notebook if per_notebook is None else per_notebook,
        ),
        budget=_budget_of(decision, size, platform.currency),
        kernels=None if platform.kernels == KernelRules() else platform.kernels,
    )


def _budget_of(decision: Decision, size: Size, currency: str) -> RunBudget | None:
    seconds = seconds_for(decision.run_budget, size)
    if seconds is None or decision.run_budget is None:
        return None
    return RunBudget(seconds, budget_reached(decision.run_budget, currency))


def name_in_project(named: Path, real_path: Path | None, root: Path) -> str:
    """A notebook as rules name it: where its file really lies, relative to the project.

    Args:
        named: its path, links kept.
        real_path: what was opened there; None for what is no file.
        root: the project. For a file outside it, which only a link in it leads to, it is the
            link's place that counts.
    """
    named = named.absolute()
    for path in (real_path, named, named.parent.resolve() / named.name):
        for folder in (root.resolve(), root.absolute()):
            if path is not None and path.is_relative_to(folder):
                return path.relative_to(folder).as_posix()
    return named.name


def check_names(notebook: Notebook) -> tuple[str, ...]:
    """The names of a notebook's checks, in order."""
    return tuple(cell.role.name or "" for cell in notebook.checks if cell.role is not None)


def _refuse_more(asked: Size, most: Size) -> None:
    # Not `>`: what is no number is not larger either.
    wants = (asked.cpus, asked.memory_bytes, asked.max_runtime_seconds, asked.gpus)
    has = (most.cpus, most.memory_bytes, most.max_runtime_seconds, most.gpus)
    names = ("CPUs", "memory", "max_runtime", "GPUs")
    larger = [name for name, own, other in zip(names, wants, has, strict=True) if not own <= other]
    if larger or not asked.grace_seconds <= most.grace_seconds:
        what = ", ".join(larger or ["grace_seconds"])
        raise DagbookError(
            f"size {asked.name!r} was given more ({what}) than the platform file gives it: "
            f"{most.label}. Name a size instead of making one"
        )
