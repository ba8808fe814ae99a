"""The account of `dagbook run` where a platform file governs the notebook."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dagbook.cli.run_resources import resources_of
from dagbook.errors import DagbookError
from dagbook.execution.allowance import allowance_of, check_names, name_in_project
from dagbook.execution.clock import RunBudget
from dagbook.execution.plan import checked_seconds, kernel_for
from dagbook.execution.result import ExecutionResult, RunStatus
from dagbook.notebook import Notebook
from dagbook.policy.decision import decide
from dagbook.policy.platform_file import find_platform
from dagbook.policy.request import Request
from dagbook.worker import worker_of

Run = Callable[..., ExecutionResult]


def run_accounted(
    root: Path,
    notebook: Notebook,
    run: Run,
    *,
    parameters: Mapping[str, str],
    size: str | None,
    kernel: str | None,
    timeout: float | None,
    component: str | None,
    quiet: bool,
) -> ExecutionResult:
    """Run a notebook, its launch and end written into the ledger of its project.

    Args:
        root: the project.
        notebook: what is run.
        run: runs it, with what it is told it may use.
        parameters: what it runs with. Their names are kept, and one hash.
        size: the size that was asked for; None: the platform's default.
        kernel: the kernel that was asked for.
        timeout: how long it may take at most, in seconds.
        component: whose connections it uses, where several run the notebook.
        quiet: say nothing of the cost; for `--json`.

    Raises:
        DagbookError: refused.
    """
    from dagbook.ledger.account import Account, account_name
    from dagbook.ledger.budgets import End
    from dagbook.ledger.lost import as_text, settle_lost
    from dagbook.ledger.occasion import Occasion
    from dagbook.services.ledger import open_ledger

    checked_seconds("timeout", timeout)
    platform = find_platform(root)
    name = name_in_project(notebook.path or Path("notebook"), notebook.real_path, root)
    ledger = open_ledger(root)
    occasion = Occasion(
        who=account_name(),
        trigger="dagbook run",
        run=str(uuid.uuid4()),
        asset="",
        notebook=name,
        project=root,
        parameters=parameters,
        worker=as_text(worker_of(os.getpid())),
    )
    account = Account(ledger, platform, occasion)
    resources = resources_of(root, name, platform, component)
    request = Request(
        name,
        attributes={
            "compute_size": size or platform.default_size,
            **({"resources": resources} if resources else {}),
        },
        # The very one that would start: a notebook that names none gets that of its language.
        kernel=_kernel_name(notebook, kernel),
        checks=check_names(notebook),
    )
    decision = decide(request, platform)
    if not decision.allowed:
        account.refuse(
            [objection.rule for objection in decision.objections],
            [objection.text for objection in decision.objections],
        )
    allowance = allowance_of(request, decision, platform)
    # Whoever was killed here before has not settled anything.
    settle_lost(ledger)
    credentials = None
    connections: tuple[str, ...] = ()
    if resources:
        from dagbook.credentials.trial import trial_credentials

        entitlement, credentials = trial_credentials(request, platform, root)
        connections = entitlement.names
    started = account.launch(decision, longest=timeout, connections=connections)
    words = started.expected.words()
    lines = [f"expected cost: {words}"] if words is not None else []
    _say(quiet, [*lines, *started.warnings])
    budget = None
    if started.budget_seconds is not None:
        budget = RunBudget(started.budget_seconds, started.budget_label)
    end = End(str(RunStatus.FAILED), "runner")
    try:
        result = run(allowance=allowance, budget=budget, credentials=credentials)
        end = _end_of(result)
    except DagbookError:
        end = End(str(RunStatus.REFUSED), "refused", seconds=0.0)
        raise
    except BaseException as interruption:
        cancelled = getattr(interruption, "dagbook_result", None)
        is_cancel = not isinstance(interruption, Exception)
        if isinstance(cancelled, ExecutionResult):
            end = _end_of(cancelled)
        elif is_cancel:
            end = End(str(RunStatus.CANCELLED), "cancelled")
        raise
    finally:
        settled = account.end(end, is_urgent=end.status == RunStatus.CANCELLED)
        if account.trouble is not None:
            _say(quiet, [f"the ledger has a gap: {account.trouble}"])
        if settled is not None and settled.cost is not None:
            from dagbook.policy.cost import in_money

            team = settled.team or "no team"
            cost = in_money(settled.cost, settled.currency)
            _say(quiet, [f"cost {cost}; {team}: {settled.month_to_date}", *settled.warnings])
        if settled is not None and settled.advice is not None:
            _say(quiet, [settled.advice])
    return result


def _kernel_name(notebook: Notebook, chosen: str | None) -> str | None:
    try:
        return kernel_for(notebook, chosen).name
    except DagbookError:
        return chosen or notebook.kernel_name  # none will start, and the run says why


def _end_of(result: ExecutionResult) -> Any:
    from dagbook.ledger.budgets import End

    used = result.resources
    return End(
        str(result.status),
        str(result.cause),
        result.duration_seconds,
        used.peak_memory_bytes,
        used.cpu_seconds,
    )


def _say(quiet: bool, lines: list[str]) -> None:
    if not quiet:
        for line in lines:
            print(f"dagbook: {line}", file=sys.stderr)
