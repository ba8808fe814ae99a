"""Takes credentials out of a file of variables, as `.env` files are written."""

from __future__ import annotations

import io

from dagbook.credentials.private_file import find_path, read_private_text
from dagbook.credentials.provider import Fetched, Lookup
from dagbook.errors import DagbookError


def fetch(lookup: Lookup) -> Fetched:
    """Read the file; nothing in it refers to other variables."""
    try:
        from dotenv import dotenv_values
    except ImportError:
        raise DagbookError(
            "the provider dotenv needs python-dotenv: `pip install 'dagbook[runner]'`"
        ) from None
    text = read_private_text(find_path(lookup.key, lookup), lookup.options)
    # Without interpolation: `$NAME` in a password is a part of the password.
    return Fetched(dotenv_values(stream=io.StringIO(text), interpolate=False), whole=text)
