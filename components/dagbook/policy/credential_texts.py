"""Whether a text looks like a credential itself, where only the name of one belongs.

What is found is never shown: a message says where it stands and what to write instead.
"""

from __future__ import annotations

import re

#: A user name and a password before the host of an address, also such as stand in examples.
_LOGIN = re.compile(r"://[^\s/?#@:]*:[^\s/?#@]+@")
#: ``password=…`` in a connection string, a query or a command line.
_GIVEN = re.compile(
    r"(?i)(?:^|[;?&\s'\"-])(?:password|passwd|pwd|secret|token|api_?key|access_?key)"
    r"\s*=\s*(?![{$<])[^\s;&]{4,}"
)


def looks_like_credential(text: str) -> bool:
    """Whether a text holds a login, or a key or token of a known form."""
    if any(pattern.search(text) is not None for pattern in (_LOGIN, _GIVEN)):
        return True
    # All the forms there are take as long to compile as the rest of the policy does.
    from dagbook.preflight.credential_patterns import find_known

    return next(find_known(text), None) is not None
