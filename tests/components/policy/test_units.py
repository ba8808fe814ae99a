"""Amounts with their units."""

from __future__ import annotations

import re

import pytest

from dagbook.policy.units import (
    BYTES_PATTERN,
    SECONDS_PATTERN,
    bytes_from,
    bytes_text,
    money_text,
    seconds_from,
    seconds_text,
)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("16 GiB", 16 * 1024**3),
        ("16GiB", 16 * 1024**3),
        (" 500 MB ", 500_000_000),
        ("64kB", 64_000),
        ("1.5 GiB", 3 * 1024**3 // 2),
        ("0.1 MB", 100_000),
        ("7 b", 7),
        ("2 TiB", 2 * 1024**4),
        ("3 KiB", 3072),
    ],
)
def test_bytes_are_read(text: str, count: int) -> None:
    assert bytes_from(text) == count
    assert re.search(BYTES_PATTERN, text)


@pytest.mark.parametrize(
    "text",
    ["", "16", "GiB", "16 G", "16 gigs", "-1 MB", "1e3 MB", "1 MB 2 KB", "١ MB", "9" * 16 + " B"],
)
def test_no_amount_of_bytes(text: str) -> None:
    with pytest.raises(ValueError) as refused:
        bytes_from(text)
    assert str(refused.value) == (
        f"{text!r} is no amount of memory: write it like 16 GiB or 500 MB"
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("4 h", 14400),
        ("4h", 14400),
        ("90 min", 5400),
        ("15 minutes", 900),
        ("1 minute", 60),
        ("1 h 30 min", 5400),
        ("1h30min", 5400),
        ("1.5 hours", 5400),
        ("2 d", 172800),
        ("1 Day", 86400),
        ("10 sec", 10),
        ("0.5 s", 0.5),
    ],
)
def test_spans_of_time_are_read(text: str, seconds: float) -> None:
    assert seconds_from(text) == seconds
    assert re.search(SECONDS_PATTERN, text.lower())


@pytest.mark.parametrize(
    "text", ["", "4", "h", "4 hx", "1 h 30", "-4 h", "4 weeks", "4 m", "1,5 h"]
)
def test_no_span_of_time(text: str) -> None:
    with pytest.raises(ValueError) as refused:
        seconds_from(text)
    assert str(refused.value) == f"{text!r} is no span of time: write it like 4 h or 90 min"


@pytest.mark.parametrize("count", [1, 7, 1000, 1024, 1500, 65_536, 10**6, 3 * 1024**3 // 2, 2**44])
def test_bytes_are_written_so_that_they_can_be_read(count: int) -> None:
    assert bytes_from(bytes_text(count)) == count


@pytest.mark.parametrize("seconds", [0.5, 1, 59, 60, 90, 3600, 5400, 86400, 1.000001])
def test_spans_are_written_so_that_they_can_be_read(seconds: float) -> None:
    assert seconds_from(seconds_text(seconds)) == seconds


def test_amounts_are_written_in_the_largest_unit_without_a_fraction() -> None:
    assert [bytes_text(n) for n in (16 * 1024**3, 1536 * 1024**2, 1_500_000, 0)] == [
        "16 GiB",
        "1536 MiB",
        "1500 KB",
        "0 B",
    ]
    assert [seconds_text(n) for n in (14400, 5400, 45, 2.5, 0)] == [
        "4 h",
        "90 min",
        "45 s",
        "2.5 s",
        "0 s",
    ]
    assert [money_text(n, "EUR") for n in (12, 0.35, 1234.5)] == [
        "12 EUR",
        "0.35 EUR",
        "1,234.50 EUR",
    ]
