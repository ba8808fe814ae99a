"""What components there are: what each one takes under the policy in force, and who uses it."""

from dagbook.catalogue.attributes import Attribute, describe_attributes
from dagbook.catalogue.entries import Entry, Package, find_entries, find_entry
from dagbook.catalogue.examples import find_example
from dagbook.catalogue.usage import count_notebooks

__all__ = [
    "Attribute",
    "Entry",
    "Package",
    "count_notebooks",
    "describe_attributes",
    "find_entries",
    "find_entry",
    "find_example",
]
