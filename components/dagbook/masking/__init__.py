"""Masking: known values are replaced in whatever a run stores, shows or sends."""

from dagbook.masking.masker import Masker
from dagbook.masking.stream import StreamMask

__all__ = ["Masker", "StreamMask"]
