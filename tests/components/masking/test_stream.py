"""Text that comes in pieces is masked however a value is split between them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dagbook.credentials.delivery import Secret
from dagbook.masking import Masker

PASSWORD = "wJalrXUtnFEMI/K7MDENG"


@pytest.fixture
def masker() -> Masker:
    return Masker([Secret(PASSWORD, "db.password")])


def test_only_what_may_be_the_beginning_of_a_value_is_held_back(masker: Masker) -> None:
    stream = masker.stream()

    assert stream.feed("all of this is seen at once: wJalrYes") == (
        "all of this is seen at once: wJalrYes"
    )
    assert stream.feed("this is not: wJalr") == "this is not: "
    assert stream.holds
    assert stream.feed("XUtnFEMI/K7 no") == "wJalrXUtnFEMI/K7 no"
    assert not stream.holds


def test_a_value_that_comes_letter_by_letter_is_masked_with_its_last(masker: Masker) -> None:
    stream = masker.stream()

    assert [shown for letter in PASSWORD if (shown := stream.feed(letter))] == ["***db.password***"]


def test_an_escape_that_is_not_finished_is_held_back(masker: Masker) -> None:
    stream = masker.stream()

    assert stream.feed("wJalr") == ""
    assert stream.feed("XUtnFEMI%") == ""
    assert stream.feed("2") == ""
    assert stream.feed("FK7MDENG!") == "***db.password***!"


def test_a_line_is_not_held_back_for_its_last_letter_and_yet_a_wrapped_value_is_masked(
    masker: Masker,
) -> None:
    stream = masker.stream()

    assert stream.feed("it ends in w\n") == "it ends in w\n"
    assert stream.feed("JalrXUtnFEMI/K7MDENG\n") == "***db.password***\n"


def test_more_of_a_value_at_the_end_of_a_line_holds_it_back(masker: Masker) -> None:
    stream = masker.stream()

    assert stream.feed("it ends in wJalr\n") == "it ends in "
    assert stream.feed("XUtnFEMI/K7MDENG\n") == "***db.password***\n"


@pytest.mark.parametrize(("letters", "shown"), [(3, "wJa"), (5, ""), (20, "")])
def test_little_is_let_go_when_something_else_comes_out(
    masker: Masker, letters: int, shown: str
) -> None:
    stream = masker.stream()
    stream.feed(PASSWORD[:letters])

    assert stream.yield_few() == shown
    assert stream.feed(PASSWORD[letters:]) == "***db.password***"


@pytest.mark.parametrize(
    ("letters", "shown"), [(3, "wJa"), (10, "wJalrXUtnF"), (11, "***db.password***")]
)
def test_the_greater_part_of_a_value_is_masked_at_the_end(
    masker: Masker, letters: int, shown: str
) -> None:
    stream = masker.stream()
    stream.feed(PASSWORD[:letters])

    assert stream.end() == shown


def test_what_follows_a_pause_is_masked_where_it_goes_on_with_a_value(masker: Masker) -> None:
    stream = masker.stream()
    stream.feed("wJalrXU")

    assert stream.pause() == "wJalrXU"
    assert stream.feed("tnFEMI/K7MDENG!") == "***db.password***!"


def test_a_stream_goes_on_another(masker: Masker) -> None:
    first = masker.stream()
    first.feed("a wJalrXU")
    second = masker.stream(first)

    assert not first.holds
    assert second.feed_apart("tnFEMI/K7MDENG!") == ("***db.password***", "!")
    assert masker.stream(second).feed_apart("more") == ("", "more")


def test_a_longer_value_that_begins_like_another_is_waited_for() -> None:
    masker = Masker([Secret("hunter2", "short"), Secret("hunter2-and-more", "long")])
    stream = masker.stream()

    assert stream.feed("hunter2") == ""
    assert stream.feed("-and") == ""
    assert stream.feed("-more") == "***long***"
    assert stream.feed("hunter2") + stream.feed("-or") + stream.end() == "***short***-or"


def test_a_value_learnt_meanwhile_is_masked_from_then_on(masker: Masker) -> None:
    stream = masker.stream()

    assert stream.feed("renewed: fresh-value") == "renewed: fresh-value"
    masker.add([Secret("fresh-value", "db.renewed")])
    assert stream.feed("renewed: fresh-") == "renewed: "
    assert stream.feed("value") == "***db.renewed***"


@pytest.mark.parametrize("make", [str.upper, str.lower])
def test_other_letters_are_another_text(masker: Masker, make: Callable[[str], str]) -> None:
    assert masker.text(make(PASSWORD)) == make(PASSWORD)
