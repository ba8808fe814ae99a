"""Messages of Jupyter's protocol: what jupyter_client writes is read, what is none is none."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
import zmq
from jupyter_client.session import Session

from dagbook.execution.large_message import LARGE_BYTES, LEFT_OUT
from dagbook.execution.wire import DELIMITER, TEXT_JSON, Wire

KEYS = [b"", b"secret"]


@pytest.fixture
def pair() -> Iterator[tuple[zmq.Socket, zmq.Socket]]:
    """Two connected sockets."""
    context = zmq.Context()
    left, right = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
    left.bind("inproc://wire")
    right.connect("inproc://wire")
    yield left, right
    context.destroy(linger=0)


def sent_by_a_kernel(
    kind: str = "stream",
    content: dict[str, Any] | None = None,
    *,
    key: bytes = b"",
    buffers: list[bytes] | None = None,
    idents: tuple[bytes, ...] = (b"kernel.1.stream",),
) -> list[bytes]:
    session = Session(key=key)
    parent = session.msg("execute_request")
    message = session.msg(kind, {"name": "stdout", "text": "é\n"} if content is None else content)
    message["parent_header"] = parent["header"]
    return [*session.serialize(message, ident=list(idents)), *(buffers or [])]


@pytest.mark.parametrize("key", KEYS)
def test_what_a_kernel_sends_is_read(pair, key):
    left, right = pair
    left.send_multipart(sent_by_a_kernel(key=key, buffers=[b"one", b""], idents=(b"a", b"b")))
    message = Wire(key).receive(right, 0)
    assert message["msg_type"] == message["header"]["msg_type"] == "stream"
    assert message["msg_id"] == message["header"]["msg_id"]
    assert message["parent_header"]["msg_type"] == "execute_request"
    assert message["content"] == {"name": "stdout", "text": "é\n"}
    assert [bytes(buffer) for buffer in message["buffers"]] == [b"one", b""]
    with pytest.raises(zmq.Again):
        Wire(key).receive(right, zmq.NOBLOCK)


def received(pair, frames: list[bytes]) -> dict[str, Any]:
    left, right = pair
    left.send_multipart(frames)
    return Wire().receive(right, 0)["content"]


LONG = 'é "quoted" \\ and\ttabs\n' * 2_000


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_long_text_comes_with_its_json(pair, name):
    content = received(pair, sent_by_a_kernel(content={"name": name, "text": LONG}))
    assert content.pop(TEXT_JSON) == json.dumps(LONG, ensure_ascii=False)[1:-1].encode()
    assert content == {"name": name, "text": LONG}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b'{"name": "stdout", "text": "%s", "more": 1}', "x" * 20_000),
        (b'{"name": "stdout", "text": "%s", "text": "x"}', "x"),
        (b'{"text": "%s", "name": "stdout"}', "x" * 20_000),
        (b'{"name": "stdout", "text": "%s"} ', "x" * 20_000),
        (b'{"name": "stdout", "text": "\\u001b%s"}', "\x1b" + "x" * 20_000),
        (b'{"name": "stdout", "text": "\xff%s"}', "\ufffd" + "x" * 20_000),
    ],
    ids=["another name", "text twice", "another order", "space", "an escape", "no UTF-8"],
)
def test_any_other_long_content_is_only_read(pair, content, text):
    frames = sent_by_a_kernel()
    frames[-1] = content % (b"x" * 20_000)
    read = received(pair, frames)
    assert TEXT_JSON not in read
    assert (read["name"], read["text"]) == ("stdout", text)


@pytest.mark.parametrize("key", KEYS)
def test_what_is_sent_is_read_by_jupyter_client(key):
    wire, session = Wire(key), Session(key=key)
    parent = session.msg("comm_open")["header"]
    sent = wire.message("comm_msg", {"data": {"text": "\ud800é"}}, parent, {"m": 1})
    _, parts = session.feed_identities(wire.frames(sent))
    read = session.deserialize(parts)
    assert read["msg_id"] == sent["msg_id"]
    assert read["msg_type"] == "comm_msg"
    assert read["parent_header"]["msg_id"] == parent["msg_id"]
    assert read["content"] == {"data": {"text": "\ud800é"}}
    assert read["metadata"] == {"m": 1}


def test_every_message_has_an_id_of_its_own():
    wire = Wire()
    assert len({wire.message("execute_request")["msg_id"] for _ in range(100)}) == 100


@pytest.mark.parametrize("key", [b"", b"another"])
def test_with_a_key_a_message_of_another_is_none(key):
    assert Wire(b"secret").read(sent_by_a_kernel(key=key)) is None


def test_with_a_key_a_message_that_was_changed_is_none():
    frames = sent_by_a_kernel(key=b"secret")
    frames[-1] = frames[-1].replace(b"stdout", b"stderr")
    assert Wire(b"secret").read(frames) is None


def test_without_a_key_a_signature_does_not_matter():
    assert Wire().read(sent_by_a_kernel(key=b"any"))["msg_type"] == "stream"


HEADER = b'{"msg_id":"1","msg_type":"status","version":"5.3"}'


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [b""],
        [b"junk"],
        [DELIMITER],
        [DELIMITER, b""],
        [DELIMITER, b"", HEADER, b"{}", b"{}"],
        [DELIMITER, b"", b"", b"{}", b"{}", b"{}"],
        [DELIMITER, b"", b"{}", b"{}", b"{}", b"{}"],
        [DELIMITER, b"", b"null", b"{}", b"{}", b"{}"],
        [DELIMITER, b"", b'{"msg_type":["status"]}', b"{}", b"{}", b"{}"],
        [DELIMITER, b"", HEADER, b"[]", b"{}", b"{}"],
        [DELIMITER, b"", HEADER, b'{"msg_id":{}}', b"{}", b"{}"],
        [DELIMITER, b"", HEADER, b"{}", b"1", b"{}"],
        [DELIMITER, b"", HEADER, b"{}", b"{}", b'{"a":'],
        [DELIMITER, b"", HEADER, b"{}", b"{}", b"{} {}"],
        [DELIMITER, b"", HEADER, b"{}", b"{}", b"\xff"],
        [DELIMITER, b"", HEADER, b"{}", b"{}", b"[" * 100_000],
    ],
    ids=lambda frames: b" ".join(frames[1:])[:60].decode("latin-1") or f"{len(frames)} frames",
)
@pytest.mark.parametrize("key", KEYS)
def test_what_is_no_message_is_none(frames, key):
    if key and len(frames) > 2:
        frames = [frames[0], Wire(key)._signature(frames[2:6]), *frames[2:]]
    assert Wire(key).read(frames) is None


def test_nothing_that_is_cut_or_changed_somewhere_does_more_than_be_none():
    chance = random.Random(11)
    whole = sent_by_a_kernel(buffers=[b"buffer"])
    for _ in range(5_000):
        frames = list(whole)
        number = chance.randrange(len(frames))
        frame = bytearray(frames[number])
        for _ in range(chance.randrange(1, 4)):
            if frame:
                frame[chance.randrange(len(frame))] = chance.randrange(256)
        frames[number] = bytes(frame)[: chance.randrange(len(frame) + 1)] if frame else b"x"
        if chance.random() < 0.3:
            del frames[chance.randrange(len(frames))]
        message = Wire().read(frames)
        if message is not None:
            assert isinstance(message["msg_type"], str)
            assert isinstance(message["content"], dict)
            assert isinstance(message["parent_header"].get("msg_id", ""), str)


def test_space_around_a_part_does_not_matter():
    frames = [DELIMITER, b"", b" " + HEADER, b"{} ", b"\n{}", b'\t{"execution_state": "idle"}\n']
    assert Wire().read(frames)["content"] == {"execution_state": "idle"}


def test_bytes_that_are_no_text_are_marked_and_the_rest_is_kept():
    # ipykernel sends os.fsdecode(b"caf\xe9") so.
    frames = sent_by_a_kernel()
    frames[-1] = b'{"name":"stdout","text":"caf\xe9.csv\\n"}'
    assert Wire().read(frames)["content"]["text"] == "caf\ufffd.csv\n"


def test_large_buffers_are_not_copied_and_a_large_text_keeps_both_ends(pair):
    left, right = pair
    text = "first" + "x" * (LARGE_BYTES + 10_000) + "last"
    buffer = b"b" * (LARGE_BYTES + 1)
    left.send_multipart(
        sent_by_a_kernel(content={"name": "stdout", "text": text}, buffers=[buffer])
    )
    message = Wire(keep_bytes=1_000).receive(right, 0)
    assert message["buffers"][0] == buffer
    assert message["content"]["text"].startswith("firstx")
    assert message["content"]["text"].endswith("xlast")
    assert message["content"][LEFT_OUT] == len(text) - len(message["content"]["text"])


def test_a_large_text_is_signed_too(pair):
    left, right = pair
    content = {"name": "stdout", "text": "x" * (LARGE_BYTES + 1)}
    for key, is_read in ((b"secret", True), (b"another", False)):
        left.send_multipart(sent_by_a_kernel(content=content, key=key))
        assert (Wire(b"secret").receive(right, 0) is not None) == is_read


def test_a_message_of_protocol_4_is_read_as_one_of_today():
    header = {"msg_id": "1", "msg_type": "pyerr", "session": "s", "username": "u"}
    content = {"ename": "E", "evalue": "e", "traceback": []}
    frames = [DELIMITER, b"", *(json.dumps(part).encode() for part in (header, {}, {}, content))]
    message = Wire().read(frames)
    assert message["msg_type"] == message["header"]["msg_type"] == "error"


def test_messages_of_one_request_share_their_parent_and_others_do_not():
    wire = Wire()
    first, second = sent_by_a_kernel(), sent_by_a_kernel()
    ids = [wire.read(frames)["parent_header"]["msg_id"] for frames in (first, first, second, first)]
    assert ids[0] == ids[1] == ids[3] != ids[2]


def test_what_has_come_is_counted():
    wire = Wire()
    frames = sent_by_a_kernel()
    wire.read(frames)
    assert wire.received_bytes == len(frames[-1])
