"""An exception is masked where it is, with what it came from."""

from __future__ import annotations

import traceback

import pytest

from dagbook.credentials.delivery import Secret
from dagbook.errors import DagbookError
from dagbook.masking import Masker, masked_error

PASSWORD = "wJalrXUtnFEMI/K7MDENG"


@pytest.fixture
def masker() -> Masker:
    return Masker([Secret(PASSWORD, "db.password")])


class Detailed(Exception):
    """Its text is not made of its arguments."""

    def __init__(self, detail: object) -> None:
        super().__init__()
        self.detail = detail

    def __str__(self) -> str:
        return f"went wrong: {self.detail}"


class Hidden:
    def __str__(self) -> str:
        return PASSWORD


def said(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def test_arguments_notes_and_causes_are_masked(masker: Masker) -> None:
    try:
        try:
            raise KeyError(PASSWORD)
        except KeyError as inner:
            inner.add_note(f"with {PASSWORD}")
            raise DagbookError(f"no login with {PASSWORD}") from inner
    except DagbookError as outer:
        error = masked_error(masker, outer)

    assert str(error) == "no login with ***db.password***"
    assert isinstance(error.__cause__, KeyError)
    assert error.__cause__.args == ("***db.password***",)
    assert PASSWORD not in said(error)
    assert "with ***db.password***" in said(error)


def test_an_exception_keeps_its_kind_and_what_it_holds(masker: Masker) -> None:
    error = masked_error(masker, FileNotFoundError(2, "missing", f"/home/{PASSWORD}"))

    assert isinstance(error, FileNotFoundError)
    assert (error.errno, error.filename) == (2, "/home/***db.password***")
    assert PASSWORD not in said(error)
    assert masked_error(masker, Detailed(PASSWORD)).detail == "***db.password***"


def test_one_that_shows_a_value_by_other_means_shows_nothing(masker: Masker) -> None:
    error = masked_error(masker, Detailed(Hidden()))

    assert isinstance(error, Detailed)
    assert str(error) == "Detailed, whose text holds the value of a credential"
    assert PASSWORD not in said(error)


def test_those_of_a_group_are_masked_each(masker: Masker) -> None:
    group = masked_error(masker, ExceptionGroup("two", [ValueError(PASSWORD), TypeError("x")]))

    assert PASSWORD not in said(group)
    assert [str(error) for error in group.exceptions] == ["***db.password***", "x"]


def test_without_values_nothing_is_touched() -> None:
    error = ValueError(PASSWORD)

    assert masked_error(Masker(), error) is masked_error(None, error) is error
    assert error.args == (PASSWORD,)
