"""A notebook and a result as they may be stored: without the values of the run's credentials."""

from __future__ import annotations

from typing import Any

from dagbook.execution.provenance import Provenance
from dagbook.execution.result import (
    CellError,
    CheckResult,
    ExecutionResult,
    MetricPoint,
)
from dagbook.masking import Masker, masked_bundle


def mask_document(document: Any, masker: Masker) -> list[int]:
    """Mask a notebook that is to be run, in place, before it is written anywhere.

    What cells have put out is not looked at: it is masked as it comes.

    Args:
        document: nbformat 4.
        masker: what must not be in it.

    Returns:
        The positions of the cells whose text holds a value.
    """
    found = []
    for position, cell in enumerate(document["cells"]):
        source = masker.text(cell["source"])
        if source != cell["source"]:
            found.append(position)
            cell["source"] = source
        cell["metadata"] = masker.value(cell["metadata"])
        if cell.get("attachments"):
            cell["attachments"] = {
                masker.text(name): masked_bundle(masker, bundle)
                for name, bundle in cell["attachments"].items()
            }
    document["metadata"] = masker.value(document["metadata"])
    return found


def masked_result(result: ExecutionResult, masker: Masker) -> ExecutionResult:
    """Mask a result, in place, before anybody is told."""
    result.reason = masker.text(result.reason)
    for cell in result.cells:
        cell.role = None if cell.role is None else masker.text(cell.role)
        if cell.error is not None:
            error = cell.error
            cell.error = CellError(masker.text(error.name), masker.text(error.message))
    result.parameters = masker.value(result.parameters)
    result.metrics = masked_points(result.metrics, masker)
    result.checks = [
        CheckResult(masker.text(c.name), c.passed, c.blocking, masker.text(c.message))
        for c in result.checks
    ]
    result.notes = [masker.text(note) for note in result.notes]
    if result.provenance is not None:
        result.provenance = Provenance.from_json(masker.value(result.provenance.to_json()))
    return result


def masked_points(points: list[MetricPoint], masker: Masker) -> list[MetricPoint]:
    """Measurements with masked names, but for those whose very number is a known value."""
    return [
        MetricPoint(masker.name(point.name), point.value, point.step, point.timestamp)
        for point in points
        if not masker.holds(f"{point.value:f} {point.step}")
    ]
