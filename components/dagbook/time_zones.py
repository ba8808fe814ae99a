"""Time zones by name: the machine's own, and the one a schedule asks for."""

from __future__ import annotations

import os
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from dagbook.errors import DagbookError, did_you_mean, nearest_first


def find_zone(name: str) -> ZoneInfo:
    """The time zone of a name such as ``Europe/Berlin`` or ``UTC``.

    Raises:
        DagbookError: no such zone; the text lists the nearest names.
    """
    zone = _zone(name)
    if zone is not None:
        return zone
    names = _names()
    if not names:
        raise DagbookError(
            f"time zone {name!r} cannot be looked up: this machine has no time zone data, "
            "install the package `tzdata`"
        )
    city = name.strip().lower().replace(" ", "_")
    same_city = [known for known in names if known.lower().split("/")[-1] == city]
    if same_city:
        meant = nearest_first(name, same_city)[0]
        raise DagbookError(f"time zone {name!r} does not exist. Did you mean `{meant}`?")
    raise DagbookError(f"time zone {name!r} does not exist. {did_you_mean(name, names, limit=5)}")


def local_zone_name() -> str:
    """The name of this machine's time zone, ``UTC`` where it has none that says so."""
    for name in (os.environ.get("TZ", "").removeprefix(":"), _etc_timezone(), _localtime_link()):
        if name and _zone(name) is not None:
            return "UTC" if name in ("Etc/UTC", "Etc/UCT", "UCT", "Zulu", "Etc/Zulu") else name
    return "UTC"


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        # ValueError for `../x`, OSError for the name of a folder.
        return None


def _names() -> list[str]:
    return sorted(name for name in available_timezones() if not name.startswith("Etc/"))


def _etc_timezone() -> str:
    try:
        return Path("/etc/timezone").read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _localtime_link() -> str:
    target = os.path.realpath("/etc/localtime")
    return target.partition("/zoneinfo/")[2].removeprefix("posix/").removeprefix("right/")
