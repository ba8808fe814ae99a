"""Answers that are no: in MLflow's own words, with a code that its client does not ask again on."""

from __future__ import annotations

#: By MLflow's error code, the HTTP status. MLflow's client repeats 408, 429 and most of 5xx for
#: minutes, so these are not among them.
STATUS = {
    "BAD_REQUEST": 400,
    "INVALID_PARAMETER_VALUE": 400,
    "RESOURCE_ALREADY_EXISTS": 400,
    "PERMISSION_DENIED": 403,
    "RESOURCE_DOES_NOT_EXIST": 404,
    "ENDPOINT_NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 413,
    "TEMPORARILY_UNAVAILABLE": 424,
    "NOT_IMPLEMENTED": 400,
    "INTERNAL_ERROR": 400,
}


class Refusal(Exception):
    """A call that is not taken; the text says why, in one line."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message

    @property
    def status(self) -> int:
        """The HTTP status."""
        return STATUS[self.code]

    def as_json(self) -> dict[str, str]:
        """It as MLflow's client reads it."""
        return {"error_code": self.code, "message": self.message}


def bad_value(message: str) -> Refusal:
    """A value that MLflow would not take either."""
    return Refusal("INVALID_PARAMETER_VALUE", message)


def no_such(what: str) -> Refusal:
    """Something that does not exist."""
    return Refusal("RESOURCE_DOES_NOT_EXIST", what)


def not_now(message: str) -> Refusal:
    """What only the server could answer, and it does not."""
    return Refusal("TEMPORARILY_UNAVAILABLE", message)
