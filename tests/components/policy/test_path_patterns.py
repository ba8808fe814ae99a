"""Patterns of paths."""

from __future__ import annotations

import signal

import pytest

from dagbook.policy.path_patterns import fits, path_pattern_problem


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("models/**", "models/a.ipynb"),
        ("models/**", "models/x/y/a.ipynb"),
        ("models", "models/a/b.ipynb"),
        ("models/", "models/a.ipynb"),
        ("models/a.ipynb", "models/a.ipynb"),
        ("models/*", "models/a.ipynb"),
        ("*/growth", "models/growth/a.ipynb"),
        ("**/gpu/*.ipynb", "a/b/gpu/x.ipynb"),
        ("**/gpu/*.ipynb", "gpu/x.ipynb"),
        ("a/**/b/**/c", "a/x/b/y/z/c"),
        ("a/**/b/**/c", "a/b/c"),
        ("**/x/**/y", "x/y/x/q/y"),
        ("**", "a.ipynb"),
        ("?/a", "b/a"),
        ("*ab*b.ipynb", "xabxbb.ipynb"),
        ("a.b/**", "a.b/c"),
        ("über/*", "über/ß.ipynb"),
        ("a/*", "a/line\nbreak.ipynb"),
    ],
)
def test_a_path_fits(pattern: str, path: str) -> None:
    assert fits(pattern, path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("models/**", "models"),
        ("models/**", "old/models/a.ipynb"),
        ("models", "models2/a.ipynb"),
        ("models", "Models/a.ipynb"),
        ("models/*", "models/a/b.ipynb"),
        ("a?b", "a/b"),
        ("a.b/**", "axb/c"),
        ("a/**/b/**/c", "a/x/c"),
        ("*.ipynb", "a/b.ipynb"),
        ("[ab]", "a"),
        ("a", "a\n"),
    ],
)
def test_a_path_does_not_fit(pattern: str, path: str) -> None:
    assert not fits(pattern, path)


@pytest.mark.parametrize("path", ["models/../secret/a.ipynb", "../models/a", "/models/a", ".."])
def test_a_path_that_leads_out_of_its_folder_fits_nothing(path: str) -> None:
    assert not fits("**", path)
    assert not fits("models/**", path)


def test_no_path_takes_long() -> None:
    # A pattern that backtracked would take years; the alarm ends the test, whatever holds it up.
    before = signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(60)
    try:
        assert not fits("**/a*a*a*a*a*a*a*a*b/**/a*a*a*a*c", "a" * 3000 + "/" + "a/" * 3000)
        assert not fits("**/a/**/a/**/a/**/a/**/b", "a/" * 3000)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("pattern", ["models/**", "models", "models/", "**", "a/*/b?.ipynb"])
def test_a_pattern_that_can_be_used(pattern: str) -> None:
    assert path_pattern_problem(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("/models", "'/models' begins at the root: write it relative to the project"),
        (
            "a/../b",
            "'a/../b' is no pattern of paths: write folders with single slashes, no . or ..",
        ),
        ("./a", "'./a' is no pattern of paths: write folders with single slashes, no . or .."),
        ("a//b", "'a//b' is no pattern of paths: write folders with single slashes, no . or .."),
        ("models**", "'models**': ** stands alone between slashes, as in models/**"),
    ],
)
def test_a_pattern_that_cannot_be_used(pattern: str, text: str) -> None:
    assert path_pattern_problem(pattern) == text
