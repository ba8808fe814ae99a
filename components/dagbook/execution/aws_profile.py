"""Short-lived AWS credentials in a form that the notebook's own AWS library reads again by itself.

An AWS library reads keys in a file once and for all. But of a profile with ``credential_process``
it asks that program again when what it has comes to its end. So a connection that delivers what
such a program would print (``{"Version": 1, "AccessKeyId": …, "Expiration": …}``, which is what
`aws_assume_role` gives as a whole) in the variable of a profile file gets a profile whose program
prints the file that the runner renews.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from dagbook.credentials.delivery import SecretFile

#: The variables in which AWS's libraries look for a file of profiles.
VARIABLES = ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE")
#: Beside the profile, what its program prints.
PRINTED_NAME = "printed.json"


def contents_of(file: SecretFile, path: Path) -> Iterator[tuple[str, bytes]]:
    """What a file becomes, as names and contents, the one it depends on first.

    Args:
        file: any file of a delivery; nearly all stay as they are.
        path: where it will lie.
    """
    if file.variable in VARIABLES and _is_printed(file.content):
        yield PRINTED_NAME, file.content
        profile = f'[default]\ncredential_process = cat "{path.parent / PRINTED_NAME}"\n'
        yield file.name, profile.encode()
    else:
        yield file.name, file.content


def _is_printed(content: bytes) -> bool:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.get("Version") == 1 and "AccessKeyId" in found
