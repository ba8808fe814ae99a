"""What a notebook displays is masked by type, and what would not be valid any more is left out."""

from __future__ import annotations

import base64
import struct
import zlib

import pytest

from dagbook.credentials.delivery import Secret
from dagbook.masking import Masker, masked_bundle

PASSWORD = "wJalrXUtnFEMI/K7MDENG"


@pytest.fixture
def masker() -> Masker:
    return Masker([Secret(PASSWORD, "db.password")])


def png(comment: str) -> str:
    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    text = chunk(b"tEXt", b"Comment\0" + comment.encode())
    image = head + text + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")
    return base64.encodebytes(b"\x89PNG\r\n\x1a\n" + image).decode()


def test_texts_and_json_are_masked_names_too(masker: Masker) -> None:
    assert masked_bundle(
        masker,
        {
            "text/plain": PASSWORD,
            "text/html": f"<b>{PASSWORD}</b>",
            "image/svg+xml": f"<svg><text>{PASSWORD}</text></svg>",
            "application/json": {PASSWORD: [PASSWORD]},
            f"application/x-{PASSWORD}": "1",
        },
    ) == {
        "text/plain": "***db.password***",
        "text/html": "<b>***db.password***</b>",
        "image/svg+xml": "<svg><text>***db.password***</text></svg>",
        "application/json": {"***db.password***": ["***db.password***"]},
        "application/x-***db.password***": "1",
    }


@pytest.mark.parametrize("comment", [PASSWORD, PASSWORD.encode().hex()])
def test_an_image_with_a_value_in_its_comment_is_left_out(masker: Masker, comment: str) -> None:
    assert masked_bundle(masker, {"image/png": png(comment), "text/plain": "<Figure>"}) == {
        "text/plain": "<Figure>\n[dagbook left out image/png: the value of a credential is in it]"
    }


def test_any_other_image_is_kept_as_it_is(masker: Masker) -> None:
    bundle = {"image/png": png("nothing"), "text/plain": "<Figure>"}

    assert masked_bundle(masker, bundle) == bundle


def test_a_document_that_is_only_the_base64_of_a_value_is_left_out(masker: Masker) -> None:
    content = base64.b64encode(b"%PDF-1.4 /Title (" + PASSWORD.encode() + b")").decode()

    assert masked_bundle(masker, {"application/pdf": content}) == {
        "text/plain": "[dagbook left out application/pdf: the value of a credential is in it]"
    }


def test_what_is_called_an_image_and_is_none_is_masked_as_text(masker: Masker) -> None:
    assert masked_bundle(masker, {"image/png": f"no base64: {PASSWORD}"}) == {
        "image/png": "no base64: ***db.password***"
    }
