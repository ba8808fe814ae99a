"""Regular expressions of the platform file, and the texts that could hold them up."""

from __future__ import annotations

import signal

import pytest

from dagbook.policy.regexes import LONGEST_TEXT, regex_fault, regex_problem

#: Each with a text on which it would take longer than anybody waits.
FOREVER = [
    (r"(a+)+", "a" * 40 + "!"),
    (r"(a*)*b", "a" * 40),
    (r"(\w+\s?)*x", "a" * 40),
    (r"([a-z]+\.?)+@example\.com", "a" * 40),
    (r"(?:a|a)*b", "a" * 40),
    (r"(?P<word>a|aa)+b", "a" * 60),
    (r"(a?a?)*b", "a" * 60),
    (r"(a?){40}a{40}", "a" * 39),
    (r"(a{1,3}){2,}b", "a" * 60),
    (r"((a+)b?)*c", "a" * 40),
    (r"([)(]+)*x", "(" * 40),
    (r"(a+?)+?b", "a" * 40),
]


@pytest.mark.parametrize("pattern", [pattern for pattern, _ in FOREVER])
def test_an_expression_that_can_take_forever_is_refused(pattern: str) -> None:
    assert regex_problem(pattern) == (
        "repeats a group that itself repeats or chooses, which on some texts takes forever: write "
        "one more + behind the repeat, as in (/[a-z]+)*+"
    )


@pytest.mark.parametrize(
    "pattern",
    [
        r"team:.+|.+@example\.com",
        r"(team:.+|.+@example\.com)",
        r"(public|internal|secret)?",
        r"[a-z0-9_]+(/[a-z0-9_]+)*+",
        r"[a-z0-9_]+(/[a-z0-9_]++)*",
        r"(?>a+)+b",
        r"(?:ab)*c{2,}",
        r"(a{3})+",
        r"(\(+|\[+){1}x",
        r"[(+*]+x",
        r"\(a+\)+",
        r"(?#(a+)a",
        r"(?s).{20,}",
        r"a{,}+b",
        r"(?i:growth)_\d+",
        r"([a-z]+\.?)++@example\.com",
    ],
)
def test_an_expression_that_can_be_used(pattern: str) -> None:
    assert regex_problem(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"[a-z]+(/[a-z]+)*+", "a/" * 999 + "!"),
        (r"([a-z]+\.?)++@example\.com", "a" * 1999),
        (r"(?>a+)+b", "a" * 1999),
        (r"(?:a|a)*+b", "a" * 1999),
        (r"(/[a-z]++)*x", "/ab" * 600),
    ],
)
def test_what_can_be_used_takes_no_time(pattern: str, text: str) -> None:
    assert regex_problem(pattern) is None
    # The alarm ends the test, whatever holds it up.
    before = signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(60)
    try:
        assert regex_fault(pattern, text) is not None
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_the_whole_of_a_text_has_to_fit() -> None:
    assert regex_fault("a|b", "a") is None
    assert regex_fault("a|b", "ab") == "'ab', which is not of the form wanted here"
    assert regex_fault("a", "a\n") == "'a\\n', which is not of the form wanted here"
    assert regex_fault(".*", "a" * LONGEST_TEXT) is None
    assert regex_fault(".*", "a" * (LONGEST_TEXT + 1)) == "longer than 2,000 characters"
