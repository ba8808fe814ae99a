"""What a kernel sends is masked message by message, and in its order."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from dagbook.credentials.delivery import Secret
from dagbook.execution.large_message import LEFT_OUT, read_large
from dagbook.execution.masked_messages import MaskedMessages
from dagbook.execution.wire import TEXT_JSON, Message
from dagbook.masking import Masker

PASSWORD = "wJalrXUtnFEMI/K7MDENG"
LABEL = "***db.password***"


class Reader:
    """Takes in messages as the collector does."""

    def __init__(self, *secrets: str) -> None:
        values = secrets or (PASSWORD,)
        self.masked = MaskedMessages(Masker(Secret(value, "db.password") for value in values))
        self.taken: list[tuple[int, Message]] = []

    def send(self, kind: str, content: Mapping[str, Any], cell: int = 0, **more: Any) -> None:
        message = {"msg_type": kind, "parent_header": {"msg_id": f"of {cell}"}, **more}
        self.masked.take(cell, {**message, "content": dict(content)}, self._take)

    def print(self, text: str, name: str = "stdout", cell: int = 0) -> None:
        self.send("stream", {"name": name, "text": text}, cell)

    def end_cell(self) -> None:
        self.masked.end_cell(self._take)

    def end(self) -> None:
        self.masked.pause(self._take)

    def _take(self, cell: int, message: Message) -> None:
        self.taken.append((cell, message))

    @property
    def texts(self) -> list[tuple[int, str, str]]:
        """Of each stream message its cell, its name and its text; of others their type."""
        return [
            (cell, m["content"]["name"], m["content"]["text"])
            if m["msg_type"] == "stream"
            else (cell, m["msg_type"], "")
            for cell, m in self.taken
        ]


def test_a_message_without_a_value_is_the_very_same() -> None:
    reader = Reader()
    content = {"name": "stdout", "text": "hello\n", TEXT_JSON: memoryview(b"hello\\n")}
    message = {"msg_type": "stream", "parent_header": {}, "content": content}

    reader.masked.take(0, message, reader._take)

    assert reader.taken[0][1] is message


def test_a_masked_text_has_no_raw_json_beside_it() -> None:
    reader = Reader()

    reader.send("stream", {"name": "stdout", "text": PASSWORD, TEXT_JSON: memoryview(b"x")})

    assert reader.taken[0][1]["content"] == {"name": "stdout", "text": LABEL}


def test_each_stream_is_masked_by_itself() -> None:
    reader = Reader()
    for at in range(0, len(PASSWORD), 5):
        reader.print(PASSWORD[at : at + 5])
        reader.print(PASSWORD[at : at + 5], "stderr")

    assert reader.texts == [(0, "stdout", LABEL), (0, "stderr", LABEL)]


def test_a_few_letters_come_before_what_else_is_shown_and_their_rest_is_masked() -> None:
    reader = Reader()
    reader.print("so wJ")
    reader.send("display_data", {"data": {}, "metadata": {}})
    reader.print(PASSWORD[2:] + ".")

    assert reader.texts == [
        (0, "stdout", "so "),
        (0, "stdout", "wJ"),
        (0, "display_data", ""),
        (0, "stdout", f"{LABEL}."),
    ]


def test_more_of_a_value_waits_past_what_else_is_shown() -> None:
    reader = Reader()
    reader.print("so wJalr")
    reader.send("display_data", {"data": {}, "metadata": {}})
    reader.print(PASSWORD[5:])
    reader.print("and wJalr")
    reader.send("execute_result", {"data": {}, "metadata": {}})
    reader.print("es")

    assert reader.texts == [
        (0, "stdout", "so "),
        (0, "display_data", ""),
        (0, "stdout", LABEL),
        (0, "stdout", "and "),
        (0, "execute_result", ""),
        (0, "stdout", "wJalres"),
    ]


def test_what_a_cell_holds_back_belongs_to_it_when_the_next_one_goes_on() -> None:
    reader = Reader()
    reader.print("a wJalr", cell=1)
    reader.end_cell()
    reader.print(f"{PASSWORD[5:]} b wJalr", cell=2)
    reader.end_cell()
    reader.print("es c", cell=3)
    reader.end()

    assert reader.texts == [
        (1, "stdout", "a "),
        (1, "stdout", LABEL),
        (2, "stdout", " b "),
        (2, "stdout", "wJalr"),
        (3, "stdout", "es c"),
    ]


def test_what_is_held_back_goes_to_its_cell_at_the_end() -> None:
    reader = Reader()
    reader.print("a wJalr", cell=1)
    reader.print(PASSWORD[:12], "stderr", cell=2)
    reader.end()

    assert reader.texts == [(1, "stdout", "a "), (1, "stdout", "wJalr"), (2, "stderr", LABEL)]
    assert reader.taken[1][1]["parent_header"] == {"msg_id": "of 1"}


def test_the_answer_to_a_question_of_ours_is_whole_when_it_ends() -> None:
    reader = Reader()
    reader.print("a wJalr", cell=1)
    reader.end_cell()
    reader.print("metric wJalr", cell=-1)
    reader.end_cell()
    reader.print(f"{PASSWORD[5:]} b", cell=2)

    assert reader.texts == [
        (1, "stdout", "a "),
        (-1, "stdout", "metric "),
        (-1, "stdout", "wJalr"),
        (1, "stdout", LABEL),
        (2, "stdout", " b"),
    ]


def test_what_is_cleared_is_not_shown_later() -> None:
    reader = Reader()
    reader.print("old wJalr")
    reader.send("clear_output", {"wait": False})
    reader.print("XUtnFEMI/K7MDENG more")
    reader.end()

    assert reader.texts == [
        (0, "stdout", "old "),
        (0, "clear_output", ""),
        (0, "stdout", f"{LABEL} more"),
    ]


def test_a_stream_keeps_its_name_whatever_the_values_are() -> None:
    reader = Reader("stdout", PASSWORD)
    reader.print("the stdout\n")
    reader.print("x\n", f"my {PASSWORD}")

    assert reader.texts == [
        (0, "stdout", f"the {LABEL}\n"),
        (0, f"my {LABEL}", "x\n"),
    ]


def test_errors_are_masked_also_from_one_line_of_a_traceback_to_the_next() -> None:
    reader = Reader()
    lines = ["Traceback", f"\x1b[31m{PASSWORD[:9]}\x1b[0m", f"{PASSWORD[9:]} end", "last"]
    reader.send("error", {"ename": f"E{PASSWORD}", "evalue": f"no {PASSWORD}", "traceback": lines})

    assert reader.taken[0][1]["content"] == {
        "ename": f"E{LABEL}",
        "evalue": f"no {LABEL}",
        "traceback": ["Traceback", f"\x1b[31m{LABEL} end", "last"],
    }


def test_a_reply_is_masked_and_its_questions_keep_their_names() -> None:
    reader = Reader("accuracy", PASSWORD)
    answer = {"status": "ok", "data": {"text/plain": PASSWORD}, "metadata": {PASSWORD: 1}}

    assert reader.masked.masked_content(
        {"status": "ok", "user_expressions": {"accuracy": answer, "odd": PASSWORD}}
    ) == {
        "status": "ok",
        "user_expressions": {
            "accuracy": {"status": "ok", "data": {"text/plain": LABEL}, "metadata": {LABEL: 1}},
            "odd": LABEL,
        },
    }


def test_a_widget_s_state_and_buffers_are_masked() -> None:
    reader = Reader()
    reader.send(
        "comm_open",
        {"comm_id": "1", "data": {"state": {"value": PASSWORD}, "buffer_paths": [["b"]]}},
        buffers=[memoryview(b"\xff\x00" + PASSWORD.encode()), memoryview(b"\x00\x01")],
        metadata={"version": PASSWORD},
    )

    message = reader.taken[0][1]
    assert message["content"]["data"]["state"] == {"value": LABEL}
    assert message["metadata"] == {"version": LABEL}
    assert [bytes(b) for b in message["buffers"]] == [
        b"\xff\x00" + LABEL.encode(),
        b"\x00\x01",
    ]


@pytest.mark.parametrize(
    "written", [PASSWORD, PASSWORD.encode().hex(), PASSWORD.replace("/", "%2F")]
)
def test_where_a_large_text_is_cut_no_part_of_a_value_is_left(written: str) -> None:
    masker = Masker([Secret(PASSWORD, "db.password")])
    keep = 3_000
    for shift in range(len(written) + 2):
        text = "x" * shift + f"{written}-" * 20_000 + "y" * shift
        read = read_large(json.dumps({"text": text}).encode(), keep, masker)

        shown = masker.text(read["text"])
        assert read[LEFT_OUT] > 0
        rest = shown.replace(LABEL, "").replace("\n…\n", "").strip("xy")
        assert set(rest) == {"-"}


def test_a_large_text_that_is_nearly_kept_is_read_whole() -> None:
    masker = Masker([Secret(PASSWORD, "db.password")])
    text = "x" * 4_000 + PASSWORD + "y" * 4_000

    read = read_large(json.dumps({"text": text}).encode(), 4_000, masker)

    assert read == {"text": text}
