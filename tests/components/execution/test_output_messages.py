"""Whatever a kernel sends, what is stored of it is a valid notebook."""

from __future__ import annotations

import itertools

import nbformat
import pytest

from dagbook.execution.output_messages import (
    display_id,
    error_output,
    execution_count,
    rich_output,
    stream_text,
)
from dagbook.execution.outputs import CellOutputs

ODD = [None, True, -1, 1.5, "text", ["a\n", "b"], ["a", 1], {"a": [1]}, []]


def is_valid(*outputs):
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell("", id="cell", outputs=list(outputs))]
    return not list(nbformat.validator.iter_validate(notebook))


@pytest.mark.parametrize("text", ODD, ids=repr)
@pytest.mark.parametrize("name", ODD, ids=repr)
def test_a_stream(name, text):
    outputs = CellOutputs(1000)
    outputs.add_stream(*stream_text({"name": name, "text": text}))
    assert is_valid(*outputs.finished())
    assert is_valid(*outputs.finished())  # nothing is consumed by looking


def test_a_stream_without_anything():
    assert stream_text({}) == ("stdout", "")


@pytest.mark.parametrize("value", ODD, ids=repr)
def test_an_error(value):
    for name in ("ename", "evalue", "traceback"):
        assert is_valid(error_output({"ename": "E", "evalue": "e", "traceback": [], name: value}))
    assert is_valid(error_output({"traceback": [value]}))


@pytest.mark.parametrize("value", ODD, ids=repr)
@pytest.mark.parametrize(
    "mime", ["text/plain", "image/png", "application/json", "application/x+json", "x", ""]
)
def test_a_display(mime, value):
    for kind, content in itertools.product(
        ("display_data", "execute_result"),
        (
            {"data": {mime: value}, "metadata": {}, "execution_count": 1},
            {"data": value, "metadata": value, "execution_count": value, "transient": value},
            {},
        ),
    ):
        assert is_valid(rich_output(kind, content))
        assert display_id(content) is None


def test_what_is_right_stays_as_it_is():
    data = {
        "text/plain": "x",
        "image/png": "aGk=",
        "application/json": {"a": [1]},
        "application/geo+json": [1],
    }
    content = {"data": data, "metadata": {"isolated": True}, "execution_count": 3}
    assert rich_output("execute_result", content) == {"output_type": "execute_result", **content}
    assert execution_count({"execution_count": 0}) == 0
    assert display_id({"transient": {"display_id": "d"}}) == "d"
    assert stream_text({"name": "stderr", "text": "\r"}) == ("stderr", "\r")
    assert error_output({"ename": "E", "evalue": "e", "traceback": ["t"]}) == {
        "output_type": "error",
        "ename": "E",
        "evalue": "e",
        "traceback": ["t"],
    }


def test_lines_are_joined():
    data = {"text/html": ["<b>\n", "</b>"]}
    assert rich_output("display_data", {"data": data})["data"] == {"text/html": "<b>\n</b>"}
