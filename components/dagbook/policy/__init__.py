"""What is allowed: compute sizes and the limits they set."""

from dagbook.policy.sizes import BUILT_IN_SIZES, DEFAULT_SIZE, Size, find_size

__all__ = ["BUILT_IN_SIZES", "DEFAULT_SIZE", "Size", "find_size"]
