"""Plain values that may stand under a resource's key: a bucket, an address, and patterns of them.

``company-*`` and ``company-data/growth`` are patterns as of paths: a star stays between slashes,
and one without a star means what lies below it too. An address is compared part by part: its
scheme, its host as `hosts.py` compares hosts, and its path.
"""

from __future__ import annotations

from urllib.parse import unquote

from dagbook.policy.hosts import host_pattern_problem, leads_to
from dagbook.policy.path_patterns import matches

_MARK = "://"


def value_pattern_problem(pattern: str) -> str | None:
    """What is wrong with a pattern of plain values; None when nothing is."""
    if not pattern.isprintable() or any(c.isspace() for c in pattern):
        return f"{pattern!r} holds blanks: write one pattern"
    if not pattern.strip("*/"):
        return f"{pattern!r} is every value: write more of it, as in company-*"
    scheme, mark, rest = pattern.partition(_MARK)
    if not mark:
        return None
    if "*" in scheme or not scheme:
        return f"{pattern!r}: write the scheme out, as in https://"
    if any(character in rest for character in "@\\?#"):
        return f"{pattern!r} is no pattern of addresses: write scheme, host and path alone"
    problem = host_pattern_problem(rest.partition("/")[0])
    return None if problem is None else f"{pattern!r}: its host {problem}"


def fits_value(pattern: str, value: str) -> bool:
    """Whether a plain value fits a pattern. One that could be read in two ways fits none."""
    if not value.isprintable() or any(c.isspace() for c in value) or "\\" in value:
        return False
    if ".." in unquote(value).split("/"):
        return False
    scheme, mark, rest = value.partition(_MARK)
    wanted, wanted_mark, pattern_rest = pattern.partition(_MARK)
    if bool(mark) != bool(wanted_mark):
        return False
    if not mark:
        return matches(pattern, value.removesuffix("/"))
    if scheme.lower() != wanted.lower() or any(c in rest for c in "?#"):
        return False
    host, slash, path = pattern_rest.partition("/")
    if not leads_to(value, [host]):
        return False
    # An address without a path means the whole host.
    return not slash or not path or matches(path, rest.partition("/")[2].removesuffix("/"))
