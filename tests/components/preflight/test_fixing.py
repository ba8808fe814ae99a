"""Edits of notebooks: applied, undone, refused where they come too late; files keep their form."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dagbook.errors import DagbookError
from dagbook.preflight.edits import (
    apply_edits,
    insert_edit,
    lines_edit,
    move_edit,
    tag_edit,
)
from dagbook.preflight.finding import Fix
from dagbook.preflight.fixing import MAX_STEPS, FixHistory, apply_to_file, edits_of


def document(*, ids: bool = True, as_list: bool = False) -> dict[str, Any]:
    """Three cells; the second is tagged."""
    cells = []
    for number, source in enumerate(("a = 1\nb = 2\n", "c = 3", "d = 4\n\ne = 5")):
        text: Any = source.splitlines(keepends=True) if as_list else source
        cell = {"cell_type": "code", "id": f"c{number}", "metadata": {}, "outputs": []}
        cells.append({**cell, "source": text, "execution_count": None})
        if not ids:
            del cells[-1]["id"]
    cells[1]["metadata"] = {"tags": ["mine"], "collapsed": True}
    return {"cells": cells, "metadata": {"z": 1, "a": 2}, "nbformat": 4, "nbformat_minor": 5}


EDITS = {
    "add a tag": [tag_edit(1, "c1", add="skip")],
    "add a first tag": [tag_edit(0, "c0", add="skip")],
    "take a tag": [tag_edit(1, "c1", remove="mine")],
    "change a line": [lines_edit(0, "c0", 2, ["b = 2"], ["# b = 2", "b = 3"])],
    "take a line": [lines_edit(0, "c0", 1, ["a = 1"], [])],
    "take every line": [lines_edit(1, "c1", 1, ["c = 3"], [])],
    "put a line in": [lines_edit(2, "c2", 1, ["d = 4"], ["import x", "d = 4"])],
    "insert a cell": [insert_edit(1, "c1", "new = 1\nmore = 2", tag="parameters")],
    "move up": [move_edit(2, "c2", 0)],
    "move down": [move_edit(0, "c0", 2)],
    "set a line apart": [
        lines_edit(0, "c0", 1, ["a = 1"], []),
        insert_edit(0, "c0", "a = 1", tag="skip"),
    ],
}


@pytest.mark.parametrize("as_list", [False, True], ids=["text", "lines"])
@pytest.mark.parametrize("ids", [True, False], ids=["ids", "no ids"])
@pytest.mark.parametrize("edits", EDITS.values(), ids=EDITS)
def test_what_is_applied_can_be_undone(edits: list[Any], ids: bool, as_list: bool) -> None:
    before = document(ids=ids, as_list=as_list)
    untouched = json.dumps(before)
    changed, undo = apply_edits(before, edits)
    assert json.dumps(before) == untouched
    assert changed != before
    json.loads(json.dumps(undo))
    again, redo = apply_edits(changed, undo)
    assert again == before
    assert apply_edits(again, redo)[0] == changed


def test_sources_stay_lists_of_lines() -> None:
    changed, _ = apply_edits(document(as_list=True), EDITS["set a line apart"])
    assert [cell["source"] for cell in changed["cells"][:2]] == [["a = 1"], ["b = 2\n"]]
    assert changed["cells"][0]["metadata"] == {"tags": ["skip"]}


def test_a_cell_is_found_by_its_id_wherever_it_is() -> None:
    moved, _ = apply_edits(document(), EDITS["move up"])
    changed, _ = apply_edits(moved, [lines_edit(2, "c2", 1, ["d = 4"], ["d = 5"])])
    assert changed["cells"][0]["source"] == "d = 5\n\ne = 5"


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (
            lines_edit(0, "c0", 2, ["b = 3"], []),
            "cell 1, line 2: was changed meanwhile; look at the notebook again",
        ),
        (
            tag_edit(1, "gone", add="skip"),
            "cell 2 is gone or has another id; look at the notebook again",
        ),
        ({"edit": "burn", "cell": 0, "cell_id": "c0"}, "`burn` is no edit of a notebook"),
    ],
)
def test_edits_that_come_too_late_are_refused(edit: Any, text: str) -> None:
    with pytest.raises(DagbookError, match=f"^{re.escape(text)}$"):
        apply_edits(document(), [edit])


def test_a_cell_that_was_written_in_since_is_not_taken_back() -> None:
    changed, undo = apply_edits(document(), EDITS["insert a cell"])
    changed["cells"][1]["source"] = "new = 2"
    with pytest.raises(DagbookError, match=r"^cell 2: was changed meanwhile; look at the notebook"):
        apply_edits(changed, undo)


def test_of_several_edits_all_are_applied_or_none(tmp_path: Path) -> None:
    path = tmp_path / "n.ipynb"
    path.write_text(json.dumps(document()))
    before = path.read_bytes()
    edits = [tag_edit(0, "c0", add="skip"), lines_edit(1, "c1", 1, ["no"], [])]
    with pytest.raises(DagbookError, match=r"n\.ipynb, cell 2, line 1: was changed meanwhile"):
        apply_to_file(path, edits)
    assert path.read_bytes() == before


FORMS = {
    "as Jupyter writes": {"indent": 1, "ensure_ascii": False, "end": "\n"},
    "without a newline": {"indent": 1, "ensure_ascii": False, "end": ""},
    "two spaces": {"indent": 2, "ensure_ascii": False, "end": "\n"},
    "tabs": {"indent": "\t", "ensure_ascii": False, "end": "\n"},
    "escaped": {"indent": 1, "ensure_ascii": True, "end": "\n"},
    "in one line": {"indent": None, "ensure_ascii": False, "end": ""},
    "packed": {"indent": None, "ensure_ascii": False, "separators": (",", ":"), "end": ""},
    "Windows": {"indent": 1, "ensure_ascii": False, "end": "\n", "newline": "\r\n"},
    "byte order mark": {"indent": 1, "ensure_ascii": False, "end": "\n", "mark": "\ufeff"},
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_file_keeps_its_form(form: dict[str, Any], tmp_path: Path) -> None:
    def written(value: Any) -> bytes:
        options = {k: v for k, v in form.items() if k not in ("end", "newline", "mark")}
        text = form.get("mark", "") + json.dumps(value, **options) + form["end"]
        return text.replace("\n", form.get("newline", "\n")).encode()

    before = document()
    before["cells"][0]["source"] = 'a = "Zürich ✓"\nb = 2'
    path = tmp_path / "n.ipynb"
    path.write_bytes(written(before))
    path.chmod(0o640)
    undo = apply_to_file(path, [tag_edit(2, "c2", add="skip")])
    before["cells"][2]["metadata"] = {"tags": ["skip"]}
    assert path.read_bytes() == written(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    apply_to_file(path, undo)
    before["cells"][2]["metadata"] = {}
    assert path.read_bytes() == written(before)


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        (
            "n.py",
            "x = 1",
            "n.py: only .ipynb files are changed; change a notebook as text by hand",
        ),
        ("n.ipynb", "{", "n.ipynb: is no notebook in JSON"),
        ("n.ipynb", "[]", "n.ipynb: save it in Jupyter first, in notebook format 4"),
        (
            "n.ipynb",
            '{"nbformat": 3, "worksheets": []}',
            "n.ipynb: save it in Jupyter first, in notebook format 4",
        ),
        ("n.ipynb", '{"nbformat": 4}', "n.ipynb: has no list of cells"),
    ],
)
def test_what_cannot_be_changed_is_refused(
    name: str, content: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(content)
    with pytest.raises(DagbookError, match=f"^{re.escape(text)}$"):
        apply_to_file(Path(name), [])


@pytest.mark.needs("other-uid")
def test_a_file_that_may_not_be_written_is_left_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    path = folder / "n.ipynb"
    path.write_text(json.dumps(document()))
    before = path.read_bytes()
    folder.chmod(0o555)
    code = (
        "import os, sys, secrets, fcntl, encodings.utf_8_sig\n"
        "from pathlib import Path\n"
        "from dagbook.errors import DagbookError\n"
        "from dagbook.preflight.edits import tag_edit\n"
        "from dagbook.preflight.fixing import apply_to_file\n"
        "os.chdir(sys.argv[1]); os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try:\n"
        "    apply_to_file(Path('n.ipynb'), [tag_edit(0, 'c0', add='skip')])\n"
        "except DagbookError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout == "n.ipynb: cannot be written (Permission denied)\n"
    assert path.read_bytes() == before
    assert [file.name for file in folder.iterdir()] == ["n.ipynb"]


def test_only_fixes_of_a_notebook_have_edits() -> None:
    assert edits_of(Fix("connection", "Use it", {"key": "database"})) is None
    assert edits_of(Fix("role", "Skip", {"edits": EDITS["add a tag"]})) == EDITS["add a tag"]


def test_fixes_are_taken_back_in_the_order_of_their_last(tmp_path: Path) -> None:
    history = FixHistory(tmp_path / ".dagbook")
    one, other = tmp_path / "one.ipynb", tmp_path / "sub" / "other.ipynb"
    assert history.last(one) is None
    history.remember(one, "first", EDITS["add a tag"])
    history.remember(other, "elsewhere", [])
    history.remember(one, "second", EDITS["take a line"])
    assert history.last(one) == ("second", EDITS["take a line"])
    assert stat.S_IMODE((tmp_path / ".dagbook" / "fixes.json").stat().st_mode) == 0o600
    history.forget_last(one)
    assert FixHistory(tmp_path / ".dagbook").last(one) == ("first", EDITS["add a tag"])
    history.forget_last(one)
    assert history.last(one) is None
    assert history.last(other) == ("elsewhere", [])


def test_a_history_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    history = FixHistory(tmp_path)
    for text in ("", "[]", '{"n.ipynb": 1}', '{"n.ipynb": ["x"]}'):
        (tmp_path / "fixes.json").write_text(text)
        assert history.last(tmp_path.parent / "n.ipynb") is None


def test_a_history_does_not_grow_for_ever(tmp_path: Path) -> None:
    history = FixHistory(tmp_path / ".dagbook")
    for number in range(MAX_STEPS + 5):
        history.remember(tmp_path / "n.ipynb", str(number), [])
    steps = json.loads((tmp_path / ".dagbook" / "fixes.json").read_text())["n.ipynb"]
    assert len(steps) == MAX_STEPS
    assert steps[-1]["title"] == str(MAX_STEPS + 4)
