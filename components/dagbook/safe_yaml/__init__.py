"""Screens the text of component files before Dagster acts on it.

Dagster renders templates in ``defs.yaml`` with all of Python at hand, follows every alias and
imports whatever ``type:`` names. What is screened here is parsed as Dagster parses it, and nothing
of it is imported, rendered or executed.
"""

from dagbook.safe_yaml.project import ScreenedProject, Screening, refuse_unsafe
from dagbook.safe_yaml.registered import Registry
from dagbook.safe_yaml.rules import Refusal, ScreeningRules
from dagbook.safe_yaml.screen import Screened, screen_file, screen_text

__all__ = [
    "Refusal",
    "Registry",
    "Screened",
    "ScreenedProject",
    "Screening",
    "ScreeningRules",
    "refuse_unsafe",
    "screen_file",
    "screen_text",
]
