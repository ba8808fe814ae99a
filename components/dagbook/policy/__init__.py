"""What is allowed: sizes, teams, rules and budgets, and the one place that decides.

Only the sizes are handed on here: `dagbook run` starts without the rest where no platform file
asks for it.
"""

from dagbook.policy.sizes import BUILT_IN_SIZES, DEFAULT_SIZE, Size, find_size

__all__ = ["BUILT_IN_SIZES", "DEFAULT_SIZE", "Size", "find_size"]
