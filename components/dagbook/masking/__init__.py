"""Masking: known values are replaced in whatever a run stores, shows or sends."""

from dagbook.masking.bundle import masked_bundle
from dagbook.masking.exceptions import masked_error
from dagbook.masking.masker import Masker
from dagbook.masking.stream import StreamMask

__all__ = ["Masker", "StreamMask", "masked_bundle", "masked_error"]
