"""Every bad input once; `test_faults.py` has the other faults."""

from __future__ import annotations

import pytest
from f08_bad_inputs import FAULT
from harness import Means, Variant
from samples import assert_held, samples_of

pytestmark = pytest.mark.early


@pytest.mark.parametrize(("variant", "means"), samples_of([FAULT]))
def test_what_must_hold_holds(
    variant: Variant, means: Means, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert_held(variant, means, tmp_path_factory)
