"""Run a notebook as a sample, for real, that is recorded nowhere.

It runs as its component says, in the smallest size it may use, for the last complete partition
where it has any. Its notebook and page go to a folder of their own.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagbook.cli.progress import say
from dagbook.cli.run import split_parameters
from dagbook.execution.words import in_bytes, in_time

if TYPE_CHECKING:
    from dagbook.sample_run import SampleRun

EXAMPLES = """\
  dagbook test churn.ipynb
  dagbook test shop/defs/churn/defs.yaml
  dagbook test churn.ipynb -p days=1 --json

exit status: 0 succeeded, 1 did not succeed, 2 refused before start"""

SCHEMA_ID = "dagbook.test/1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `dagbook test` takes."""
    parser.add_argument("file", type=Path, metavar="FILE", help="a notebook or a component file")
    parser.add_argument(
        "-p", "--parameter", action="append", default=[], metavar="NAME=VALUE",
        help="another value for a name of the parameters cell; may be repeated",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Run each component of the file once, and say what came out."""
    from dagbook.sample_run import components_in, run_sample
    from dagbook.services.instance import require_dagster

    require_dagster()
    parameters = split_parameters(args.parameter)
    _, components = components_in(args.file)
    done = []
    for component in components:
        if not args.json:
            say(f"running {component.notebook}")
        done.append(run_sample(component, parameters))
        if not args.json:
            _print(done[-1])
    if args.json:
        answer = {"schema": SCHEMA_ID, "runs": [_as_json(sample) for sample in done]}
        print(json.dumps(answer, indent=1, ensure_ascii=False, default=str))
    if any(sample.metadata.get("status") == "refused" for sample in done):
        return 2
    return 0 if all(sample.succeeded for sample in done) else 1


def _print(sample: SampleRun) -> None:
    from dagbook.tour import what_came_out

    metadata = sample.metadata
    state = str(metadata.get("status", "failed")).replace("_", " ")
    about = f" for {sample.partition}" if sample.partition else ""
    print(f"{'✓' if sample.succeeded else '✕'} {sample.notebook} as a sample{about}: {state}")
    figures = [f"size {sample.size}"]
    if "runtime_seconds" in metadata:
        figures.insert(0, in_time(metadata["runtime_seconds"]))
    if metadata.get("peak_memory_bytes"):
        figures.insert(1, f"peak {in_bytes(metadata['peak_memory_bytes'])}")
    print(f"  {' · '.join(figures)}")
    for line in what_came_out(sample.result):
        print(f"  {line}")
    for name in ("executed_notebook", "executed_html"):
        if name in metadata:
            print(f"  {metadata[name]}")


def _as_json(sample: SampleRun) -> dict[str, Any]:
    return {
        "component": sample.component,
        "notebook": sample.notebook,
        "partition": sample.partition,
        "size": sample.size,
        "succeeded": sample.succeeded,
        "folder": str(sample.folder),
        "metadata": dict(sample.metadata),
    }
