"""A sensor that many components hand out, and a location has once."""

from __future__ import annotations

from typing import Any, Self

import dagster as dg


class SharedSensor(dg.SensorDefinition):
    """One sensor that many components hand out.

    Dagster takes the same object for one sensor and a copy for another of the same name; of what
    comes out of a component's YAML it makes copies, to note the file.
    """

    def with_attributes(self, **_: Any) -> Self:
        """Stay the one that everybody has."""
        return self
