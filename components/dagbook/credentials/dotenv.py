"""Takes credentials out of a file of variables, as `.env` files are written."""

from __future__ import annotations

import io

from dotenv import dotenv_values

from dagbook.credentials.private_file import find_path, read_private_text
from dagbook.credentials.provider import Fetched, Lookup


def fetch(lookup: Lookup) -> Fetched:
    """Read the file; nothing in it refers to other variables."""
    text = read_private_text(find_path(lookup.key, lookup), lookup.options)
    # Without interpolation: `$NAME` in a password is a part of the password.
    return Fetched(dotenv_values(stream=io.StringIO(text), interpolate=False), whole=text)
