"""A small sample of ``make faults``: every way a fault happens, with every means, at least once."""

from __future__ import annotations

import pytest
from f08_bad_inputs import FAULT as BAD_INPUTS
from harness import Fault, Means, Variant, all_faults
from samples import assert_held, samples_of

pytestmark = pytest.mark.early

# Bad inputs have a file of their own, which another process can run meanwhile.
FAULTS = [fault for fault in all_faults() if fault.number != BAD_INPUTS.number]


@pytest.mark.parametrize(("variant", "means"), samples_of(FAULTS))
def test_what_must_hold_holds(
    variant: Variant, means: Means, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert_held(variant, means, tmp_path_factory)


@pytest.mark.parametrize("fault", all_faults(), ids=lambda fault: fault.number)
def test_every_variant_has_a_name_of_its_own(fault: Fault) -> None:
    names = [variant.name for variant in fault.variants]
    assert len(set(names)) == len(names)
