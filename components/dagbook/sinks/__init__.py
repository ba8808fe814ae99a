"""Where measurements of runs go: one file per integration, named after it.

A company's component adds sinks of its own by its method ``sinks()``.
"""

from dagbook.sinks.sink import Sink, SinkRun

__all__ = ["Sink", "SinkRun"]
