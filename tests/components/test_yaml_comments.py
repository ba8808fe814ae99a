"""Keys are renamed where they stand, and comments of what was taken out stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from dagbook.defs_yaml import ComponentFile
from dagbook.errors import DagbookError
from dagbook.yaml_comments import comments_of


def file(text: str) -> ComponentFile:
    return ComponentFile(Path("defs.yaml"), text, before=text.encode())


def test_a_comment_is_told_from_text_that_looks_like_one() -> None:
    text = (
        "# first\n"
        "a: 'x # no'  # second\n"
        'b: "y # no"\n'
        "c: z#no\n"
        "d: |\n  # no\n  text\n"
        "e: [1,  # third\n  2]\n"
        "#fourth\n"
    )
    assert comments_of(text) == [(0, "# first"), (1, "# second"), (7, "# third"), (9, "#fourth")]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a:\n  old: 1  # why\n  b: 2\n", "a:\n  new: 1  # why\n  b: 2\n"),
        ("a: {'old': [1], b: 2} # why\n", "a: {'new': [1], b: 2} # why\n"),
        ("a:\r\n  old:\r\n    - 1\r\n", "a:\r\n  new:\r\n    - 1\r\n"),
    ],
)
def test_a_key_is_renamed_where_it_stands(before: str, after: str) -> None:
    changed = file(before)
    changed.documents[0].rename(("a", "old"), "new")
    assert changed.text == after


def test_a_key_is_not_renamed_to_one_that_is_there() -> None:
    changed = file("a:\n  old: 1\n  b: 2\n")
    with pytest.raises(DagbookError) as error:
        changed.documents[0].rename(("a", "old"), "b")
    assert str(error.value) == "defs.yaml:2: `b` is there already"
    assert not changed.changed


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # The comment of a key goes to a line of its own, as far in as the key was.
        ("a:\n  old: 1  # why\n  b: 2\n", "a:\n  # why\n  b: 2\n"),
        ("a:\n  b: 2\n  old: 1  # why\n", "a:\n  b: 2\n  # why\n"),
        (
            "a:\n  old:  # one\n    # two\n    c: 1 # three\n  b: 2\n",
            "a:\n  # one\n    # two\n    # three\n  b: 2\n",
        ),
        # One above a key stays by itself.
        ("a:\n  # why\n  old: 1\n  b: 2\n", "a:\n  # why\n  b: 2\n"),
        # As often as it stood there.
        ("a:\n  old: 1 # x\n  b: 2 # x\n", "a:\n  # x\n  b: 2 # x\n"),
        ("a:\r\n  old: 1 # x\r\n  b: 2\r\n", "a:\r\n  # x\r\n  b: 2\r\n"),
    ],
)
def test_comments_of_a_key_that_is_taken_out_stay(before: str, after: str) -> None:
    changed = file(before)
    changed.documents[0].delete(("a", "old"))
    changed.restore_comments(before)
    assert changed.text == after


def test_a_comment_for_which_there_is_no_place_goes_to_the_top() -> None:
    before = "a:\n  b: >-\n    text\n  c: [1, # why\n    2]\n"
    changed = file(before)
    changed.documents[0].set(("a", "c"), [3])
    changed.restore_comments(before)
    assert "# why" in changed.text
    assert changed.documents[0].value == {"a": {"b": "text", "c": [3]}}
