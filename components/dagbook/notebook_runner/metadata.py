"""What a run leaves on the asset's page: its metrics, what it used, and where to look."""

from __future__ import annotations

import math
from typing import Any

import dagster as dg

from dagbook.execution.result import ExecutionResult, Resources, json_safe
from dagbook.notebook import Notebook
from dagbook.notebook_runner.attributes import Measurement
from dagbook.policy.sizes import Size


def measurements(result: ExecutionResult, wanted: list[Measurement]) -> dict[str, float]:
    """What was measured of the run's processes, by the names series are kept under."""
    used, gpu = result.resources, result.resources.gpu
    known: dict[str, dict[str, float | None]] = {
        "runtime": {"runtime_seconds": round(result.duration_seconds, 3)},
        "memory_usage": {
            "peak_memory_bytes": used.peak_memory_bytes,
            "mean_memory_bytes": used.mean_memory_bytes,
        },
        "cpu_usage": {"cpu_seconds": round(used.cpu_seconds, 3)},
        "gpu_utilization": {
            "gpu_utilization_percent": gpu.mean_utilization_percent if gpu else None
        },
        "gpu_memory": {"gpu_peak_memory_bytes": gpu.peak_memory_bytes if gpu else None},
    }
    return {
        name: value
        for measurement in wanted
        for name, value in known[measurement].items()
        if value is not None
    }


def missing_gpu(resources: Resources, wanted: list[Measurement]) -> bool:
    """Whether GPU figures were asked for and there are none."""
    return resources.gpu is None and any(name.startswith("gpu") for name in wanted)


def run_metadata(
    result: ExecutionResult,
    notebook: Notebook,
    *,
    size: Size,
    code_version: str,
    wanted: list[Measurement],
) -> dict[str, Any]:
    """What every run tells, whatever became of it."""
    metadata: dict[str, Any] = {"status": str(result.status)}
    if result.reason:
        metadata["reason"] = result.reason
    if result.executed_notebook is not None:
        # "View notebook" in Dagster's page.
        metadata["executed_notebook"] = dg.MetadataValue.notebook(str(result.executed_notebook))
    if result.executed_html is not None:
        metadata["executed_html"] = dg.MetadataValue.path(str(result.executed_html))
    metadata |= {
        name: dg.MetadataValue.int(int(value)) if name.endswith("_bytes") else float(value)
        for name, value in measurements(result, wanted).items()
    }
    metadata["parameters"] = dg.MetadataValue.json(_all_parameters(result, notebook))
    metadata["size"] = size.label
    metadata["code_version"] = code_version
    metadata |= _provenance(result)
    if (last := result.last_good_run) is not None:
        metadata["last_good_run"] = dg.MetadataValue.notebook(str(last.notebook))
        metadata["different_from_last_good"] = dg.MetadataValue.json(last.differences)
    if result.checks:
        metadata["checks"] = dg.MetadataValue.json(
            {check.name: _verdict(check.passed, check.message) for check in result.checks}
        )
    return metadata


def metric_metadata(metrics: dict[str, float], taken: dict[str, Any]) -> dict[str, Any]:
    """The notebook's metrics, each a number that Dagster plots over time.

    Infinity and NaN, which it cannot plot, are text. A metric named like an entry of ours is
    kept as ``metric/…``.
    """
    return {
        f"metric/{name}" if name in taken else name: dg.MetadataValue.float(float(value))
        if math.isfinite(value)
        else dg.MetadataValue.text(repr(float(value)))
        for name, value in metrics.items()
    }


def _provenance(result: ExecutionResult) -> dict[str, Any]:
    """The part of it that fits on a page; the executed notebook has the rest."""
    found = result.provenance
    if found is None:
        return {}
    interpreter = found.interpreter
    told: dict[str, Any] = {}
    if interpreter:
        words = (interpreter["language"], interpreter["version"], interpreter["path"])
        told["interpreter"] = " ".join(word for word in words if word)
    if found.packages is not None and found.packages_hash is not None:
        told["packages"] = f"{len(found.packages)}, sha256 {found.packages_hash[:12]}"
    if found.git is not None:
        told["commit"] = found.git["commit"]
        if found.git["differing"]:
            told["not_as_committed"] = dg.MetadataValue.json(found.git["differing"])
    return told


def _all_parameters(result: ExecutionResult, notebook: Notebook) -> dict[str, Any]:
    values = {
        parameter.name: parameter.default if parameter.default_known else parameter.default_text
        for parameter in notebook.parameters
        if not parameter.required
    }
    shown: dict[str, Any] = json_safe({**values, **result.parameters})
    return shown


def _verdict(passed: bool, message: str) -> str:
    return "passed" if passed else f"failed: {message}" if message else "failed"
