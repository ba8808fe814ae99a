"""A message too large to be kept is read without being held more than once."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from dagbook.execution.large_message import LEFT_OUT, read_large


def packed(value: Any, **how: Any) -> memoryview:
    return memoryview(json.dumps(value, **how).encode())


def test_a_long_text_keeps_both_ends_and_says_what_is_missing():
    text = "first" + "x" * 10_000_000 + "last"
    read = read_large(packed({"name": "stdout", "text": text}), keep=1000)
    assert read["name"] == "stdout"
    assert read["text"].startswith("firstxxx")
    assert read["text"].endswith("xxxlast")
    assert len(read["text"]) == 2000
    assert read[LEFT_OUT] == len(text) - 2000


@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_text_is_not_cut_through_an_escape_or_a_letter(ascii_only):
    chance = random.Random(3)
    for _ in range(200):
        text = "".join(chance.choice('a\\"\né€😀') for _ in range(500))
        keep = chance.randrange(20, 60)
        content = packed({"text": text}, ensure_ascii=ascii_only)
        read = read_large(content, keep)["text"]
        head = next(n for n in range(len(read), -1, -1) if text.startswith(read[:n]))
        tail = next(n for n in range(len(read), -1, -1) if text.endswith(read[len(read) - n :]))
        # Where the ends meet, part of an escape may stand, which a cap of `keep` cuts out.
        assert len(read) - head - tail <= 12
        assert head >= (keep - 12) // 12
        assert tail >= (keep - 12) // 12


def test_whatever_is_small_is_as_it_was():
    content = {
        "data": {"text/html": "x" * 5_000_000, "text/plain": "a [text] with {signs}, \"'\\\\"},
        "metadata": {"a": [1, 2.5, None, True, {"b": []}], "": {}},
        "transient": {"display_id": "d"},
        "execution_count": 7,
    }
    read = read_large(packed(content, indent=1), keep=100)
    assert read.pop(LEFT_OUT) == 5_000_000 - 200
    assert read["data"].pop("text/html") == "x" * 200
    del content["data"]["text/html"]
    assert read == content


@pytest.mark.parametrize(
    ("rows", "row"),
    [
        (2_000_000, lambda n: n),
        (500_000, lambda n: [n, n]),
        (300_000, lambda n: {"a": n, "b": ']}"[{'}),
        (200_000, lambda n: {"a": {"b": [{"c": [n]}]}}),
    ],
    ids=["numbers", "pairs", "records", "nested"],
)
def test_a_table_of_many_small_values_is_passed_over(rows, row):
    table = [row(n) for n in range(rows)]
    content = {"data": {"application/json": table, "text/plain": "small"}, "metadata": {}}
    read = read_large(packed(content), keep=100_000)
    assert read["data"]["text/plain"] == "small"
    assert read["metadata"] == {}
    assert len(json.dumps(read)) < 300_000
    assert read[LEFT_OUT] > 3_000_000


def test_a_long_list_of_long_texts_is_bounded():
    read = read_large(packed({"traceback": ["y" * 50_000] * 1000}), keep=10_000)
    assert sum(map(len, read["traceback"])) < 4_100_000


@pytest.mark.parametrize("broken", ['["a"]', "", '{"a": "b', '{"a": [1, 2', "{"])
def test_what_is_no_json_object_is_told(broken):
    padded = broken.replace("b", "b" * 1000)
    with pytest.raises(ValueError):
        read_large(padded.encode(), keep=10)
