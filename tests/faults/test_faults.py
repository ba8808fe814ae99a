"""A small sample of ``make faults``: every way a fault happens, with every means, at least once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import LASTING, Fault, Means, Trial, Variant, all_faults

pytestmark = pytest.mark.early

CASES = [
    pytest.param(
        variant,
        means,
        id=f"{fault.number}-{variant.name}-{means}".replace(" ", "_"),
        marks=[pytest.mark.needs(name) for name in variant.needs],
    )
    for fault in all_faults()
    for variant in fault.variants
    if variant.sample
    for means in variant.means
]


@pytest.fixture(scope="session", autouse=True)
def nothing_outlives_the_tests() -> Iterator[None]:
    """A process that runs tests beside others is given little time to exit."""
    yield
    LASTING.close()


@pytest.mark.parametrize(("variant", "means"), CASES)
def test_what_must_hold_holds(variant: Variant, means: Means, tmp_path: Path) -> None:
    for number in range(variant.sample):
        folder = tmp_path / str(number)
        folder.mkdir()
        with means.applied():
            outcome = variant.dagbook(Trial(number, folder))
        assert outcome.held, outcome.note


@pytest.mark.parametrize("fault", all_faults(), ids=lambda fault: fault.number)
def test_every_variant_has_a_name_of_its_own(fault: Fault) -> None:
    names = [variant.name for variant in fault.variants]
    assert len(set(names)) == len(names)
