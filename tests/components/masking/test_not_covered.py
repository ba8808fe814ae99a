"""What masking does not cover, each with the proof: docs/masking.md points here.

These hold as long as they are so; one that fails has become better than the documentation.
"""

from __future__ import annotations

import base64
import codecs
import hashlib
import json
import zlib

import pytest

from dagbook.credentials.delivery import Secret
from dagbook.masking import Masker, masked_bundle

PASSWORD = "wJalrXUtnFEMI/K7MDENG"


@pytest.fixture
def masker() -> Masker:
    return Masker([Secret(PASSWORD, "db.password")])


def is_shown(masker: Masker, text: str) -> bool:
    return masker.text(text) == text


def test_a_reversed_value_is_not_masked(masker: Masker) -> None:
    assert is_shown(masker, PASSWORD[::-1])


def test_a_value_in_other_letters_is_not_masked(masker: Masker) -> None:
    assert is_shown(masker, PASSWORD.upper())
    assert is_shown(masker, codecs.encode(PASSWORD, "rot13"))


def test_a_part_of_a_value_is_not_masked(masker: Masker) -> None:
    assert is_shown(masker, PASSWORD[:10])
    assert is_shown(masker, PASSWORD[:-1])


def test_a_value_split_by_markup_is_not_masked(masker: Masker) -> None:
    assert is_shown(masker, f"<b>{PASSWORD[:8]}</b>{PASSWORD[8:]}")
    assert is_shown(masker, f"{PASSWORD[:8]}<wbr>{PASSWORD[8:]}")


def test_a_value_split_by_other_text_is_not_masked(masker: Masker) -> None:
    assert is_shown(masker, " ".join(PASSWORD))
    assert is_shown(masker, "|\n".join([PASSWORD[:8], PASSWORD[8:]]))
    assert is_shown(masker, str(list(PASSWORD)))
    assert is_shown(masker, json.dumps({"first": PASSWORD[:8], "second": PASSWORD[8:]}))


def test_a_value_printed_letter_by_letter_with_other_text_between_is_not_masked(
    masker: Masker,
) -> None:
    stream = masker.stream()
    shown = "".join(stream.feed(f"letter {n}: {letter}\n") for n, letter in enumerate(PASSWORD))

    assert f"letter 20: {PASSWORD[20]}" in shown + stream.end()


def test_a_value_corrected_with_backspaces_that_come_apart_is_not_masked(masker: Masker) -> None:
    stream = masker.stream()

    assert masker.text("wJalxx\b\brXUtnFEMI/K7MDENG") == "***db.password***"
    assert stream.feed("wJalxx") + stream.feed("\b\brXUtnFEMI/K7MDENG") == (
        "wJalxx\b\brXUtnFEMI/K7MDENG"
    )


def test_the_numbers_of_its_bytes_are_not_masked(masker: Masker) -> None:
    assert is_shown(masker, str(list(PASSWORD.encode())))
    assert is_shown(masker, bin(int.from_bytes(PASSWORD.encode(), "big")))


def test_base64_of_base64_is_not_masked(masker: Masker) -> None:
    once = base64.b64encode(PASSWORD.encode())

    assert is_shown(masker, base64.b64encode(once).decode())


def test_other_encodings_are_not_masked(masker: Masker) -> None:
    assert is_shown(masker, base64.b32encode(PASSWORD.encode()).decode())
    assert is_shown(masker, base64.b85encode(PASSWORD.encode()).decode())


def test_a_hash_or_a_cipher_of_a_value_is_not_masked(masker: Masker) -> None:
    assert is_shown(masker, hashlib.sha256(PASSWORD.encode()).hexdigest())
    assert is_shown(masker, bytes(byte ^ 1 for byte in PASSWORD.encode()).hex())


def test_a_compressed_value_is_not_masked(masker: Masker) -> None:
    data = zlib.compress(PASSWORD.encode() * 9)

    assert masker.data(data) is data
    shown = {"application/octet-stream": base64.b64encode(data).decode()}
    assert masked_bundle(masker, shown) == shown


def test_the_picture_of_a_value_is_not_masked(masker: Masker) -> None:
    drawn = {"image/png": base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(100)).decode()}

    assert masked_bundle(masker, drawn) == drawn


def test_what_was_shown_before_a_value_was_known_is_not_masked(masker: Masker) -> None:
    shown = masker.text("renewed: fresh-value")
    masker.add([Secret("fresh-value", "db.renewed")])

    assert shown == "renewed: fresh-value"
