"""Takes a credential from a program, as AWS defines it for ``credential_process``.

The program prints one JSON object: ``Version`` (1), fields of its own such as ``AccessKeyId``, and
perhaps ``Expiration``. What it prints is never shown.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
from pathlib import Path

from dagbook.credentials.moments import moment_from
from dagbook.credentials.provider import Fetched, Lookup, ProviderDown
from dagbook.errors import DagbookError

#: How long a program may take, in seconds, where nobody says otherwise.
TIMEOUT_SECONDS = 20.0
#: Less than all providers together are given, so that no program outlives the wait for it.
LONGEST_SECONDS = 40.0


def fetch(lookup: Lookup) -> Fetched:
    """Run the program and read what it prints."""
    argv = _argv(lookup)
    text = _output(argv, lookup)
    name = Path(argv[0]).name
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise DagbookError(f"the program {name} printed no JSON") from None
    if not isinstance(found, dict) or found.get("Version") != 1:
        raise DagbookError(
            f'the program {name} printed no JSON object with "Version": 1, as AWS defines it for '
            "credential_process"
        )
    fields = {key: value for key, value in found.items() if key != "Version"}
    expiration = fields.get("Expiration")
    expires_at = None
    if expiration is not None:
        expires_at = moment_from(expiration)
        if expires_at is None:
            raise DagbookError(
                f"the program {name} gave an Expiration that is no moment in ISO 8601"
            )
    return Fetched(fields, expires_at, whole=text.strip())


def _argv(lookup: Lookup) -> list[str]:
    try:
        argv = shlex.split(lookup.key)
    except ValueError:
        raise DagbookError("its `key` is no command line: a quote in it has no end") from None
    if not argv or not argv[0]:
        raise DagbookError("its `key` is no command line: it is empty")
    if argv[0].startswith("~/"):
        argv[0] = str(Path(lookup.environment.get("HOME") or "~").expanduser() / argv[0][2:])
    return argv


def _output(argv: list[str], lookup: Lookup) -> str:
    seconds = float(lookup.told("timeout_seconds") or TIMEOUT_SECONDS)
    if seconds > LONGEST_SECONDS:
        raise DagbookError(
            f"process: `timeout_seconds` is at most {LONGEST_SECONDS:g}, not {seconds:g}"
        )
    name = Path(argv[0]).name
    try:
        # A session of its own, so that what it starts ends with it.
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(lookup.environment),
            cwd=lookup.folder,
            start_new_session=True,
        )
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise DagbookError(f"the program {argv[0]} cannot be started: {why}") from None
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise ProviderDown(
            f"the program {name} did not end within {seconds:g} s: run it as the deployment's "
            "user, or raise `timeout_seconds`"
        ) from None
    finally:
        _end(process)
    if process.returncode != 0:
        raise ProviderDown(
            f"the program {name} failed with status {process.returncode}: run it as the "
            "deployment's user to see why"
        )
    try:
        return output.decode("utf-8")
    except UnicodeDecodeError:
        raise DagbookError(f"the program {name} printed no JSON") from None


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    if process.stdout is not None:
        process.stdout.close()
    process.wait()
