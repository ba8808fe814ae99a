"""Run one notebook now, exactly as production would, without Dagster."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dagbook.cli.progress_bar import ProgressBar
from dagbook.cli.size_option import SizeOption
from dagbook.credential_parameters import refuse_credentials
from dagbook.errors import DagbookError
from dagbook.execution import Cause, ExecutionResult, RunStatus, run_notebook
from dagbook.execution.clock import RunBudget
from dagbook.execution.plan import RunOptions, governed_root
from dagbook.execution.result import CheckResult
from dagbook.execution.words import in_bytes, in_time
from dagbook.notebook import read_notebook

if TYPE_CHECKING:
    from dagbook.credentials.delivery import Delivery
    from dagbook.execution.allowance import Allowance

EXAMPLES = """\
  dagbook run churn.ipynb
  dagbook run churn.ipynb -p region=DE -p days=30
  dagbook run churn.ipynb --size medium --timeout 600 --output out/churn.ipynb
  dagbook run churn.ipynb --json | jq .metrics

exit status: 0 succeeded, 1 failed, 2 refused before start, 3 killed, 4 timed out, 130 cancelled"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `dagbook run` takes."""
    parser.add_argument("notebook", help="an .ipynb, or a .py or .md of jupytext")
    parser.add_argument(
        "-p", "--parameter", action="append", default=[], metavar="NAME=VALUE",
        help="a value for a name of the parameters cell; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--output", type=Path, metavar="PATH",
        help="the executed notebook (default: runs/<notebook>/<time>-<state>.ipynb)",
    )  # fmt: skip
    parser.add_argument("--size", action=SizeOption, metavar="NAME")
    parser.add_argument(
        "--timeout", type=float, metavar="SECONDS", help="for the run, within the size's limit"
    )
    parser.add_argument("--kernel", metavar="NAME", help="another kernel than the notebook's own")
    parser.add_argument(
        "--component", metavar="NAME",
        help="whose connections it uses, where several components run the notebook",
    )  # fmt: skip
    parser.add_argument("--html", action="store_true", help="also write a page for reading")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Run the notebook and print what came of it; the exit status says how it ended."""
    progress = None if args.json else ProgressBar(sys.stderr)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        result = _run(args, progress)
    except KeyboardInterrupt as interruption:
        cancelled = getattr(interruption, "dagbook_result", None)
        if cancelled is None:
            raise
        result = cancelled
    except DagbookError as error:
        if not args.json:
            raise
        result = ExecutionResult(
            RunStatus.REFUSED, reason=str(error), size=args.size or "", cause=Cause.REFUSED
        )
    finally:
        if progress is not None:
            progress.close()
    if args.json:
        is_utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
        print(json.dumps(result.to_json(), indent=1, ensure_ascii=not is_utf8))
    else:
        _print(result)
    return result.status.exit_code


def _run(args: argparse.Namespace, progress: ProgressBar | None) -> ExecutionResult:
    parameters = split_parameters(args.parameter)
    notebook = read_notebook(args.notebook)
    # Before the ledger is asked, which keeps a hash of them.
    refuse_credentials(parameters, notebook.label)

    def execute(
        allowance: Allowance | None = None,
        budget: RunBudget | None = None,
        credentials: Delivery | None = None,
    ) -> ExecutionResult:
        options: RunOptions = {
            "parameters_are_text": True,
            "output": args.output,
            "html": args.html,
            "timeout": args.timeout,
            "kernel": args.kernel,
            "on_event": progress,
            "allowance": allowance,
            "budget": budget,
            "credentials": credentials,
        }
        if args.size is not None:
            options["size"] = args.size
        try:
            return run_notebook(notebook, parameters, **options)
        finally:
            if progress is not None:
                # What is said of the cost comes after it.
                progress.close()

    root = governed_root(notebook, Path(args.notebook).absolute().parent, None)
    if root is None:
        if args.component is not None:
            raise DagbookError("--component: without a platform file no component has connections")
        return execute()
    from dagbook.cli.accounted_run import run_accounted

    return run_accounted(
        root,
        notebook,
        execute,
        parameters=parameters,
        size=args.size,
        kernel=args.kernel,
        timeout=args.timeout,
        component=args.component,
        quiet=args.json,
    )


def split_parameters(given: Sequence[str]) -> dict[str, str]:
    """Read ``NAME=VALUE`` words.

    Raises:
        DagbookError: a word without ``=``, or a name given twice.
    """
    values: dict[str, str] = {}
    for word in given:
        name, equals, value = word.partition("=")
        if not equals:
            raise DagbookError(f"-p {word}: give a parameter as NAME=VALUE")
        if name in values:
            raise DagbookError(f"-p {name}: it is given twice")
        values[name] = value
    return values


def _interrupt(*_: object) -> None:
    # A termination stores the notebook as cancelled, like Ctrl-C.
    raise KeyboardInterrupt


def _print(result: ExecutionResult) -> None:
    mark = {RunStatus.SUCCEEDED: "✓", RunStatus.CANCELLED: "■"}.get(result.status, "✕")
    state = str(result.status).replace("_", " ")
    figures = [in_time(result.duration_seconds)]
    if result.resources.peak_memory_bytes:
        figures.append(f"peak {in_bytes(result.resources.peak_memory_bytes)}")
    figures.append(f"size {result.size}")
    print(f"{mark} {state}" + (f": {result.reason}" if result.reason else ""))
    print(f"  {' · '.join(figures)}")
    for note in result.notes:
        print(f"  note: {note}")
    for name, value in result.last_metrics.items():
        print(f"  {name} = {value:g}")
    for check in result.checks:
        print(f"  {_check_line(check)}")
    if (last := result.last_good_run) is not None:
        print(f"  last good run: {last.moment}, {last.notebook}")
        for line in last.differences or ["nothing known is different from it"]:
            print(f"    {line}")
    if result.executed_notebook is not None:
        print(f"  {result.executed_notebook}")
    if result.executed_html is not None:
        print(f"  {result.executed_html}")


def _check_line(check: CheckResult) -> str:
    if check.passed:
        return f"✓ check {check.name}"
    kind = "" if check.blocking else " (noted only)"
    return f"✕ check {check.name}{kind}" + (f": {check.message}" if check.message else "")
