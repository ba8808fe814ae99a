"""Component files: read as Dagster reads them, changed without touching anything else."""

from __future__ import annotations

import datetime
import os
import random
import stat
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from dagster_shared.yaml_utils import parse_yamls_with_source_position
from ruamel.yaml import YAML

from dagbook.defs_yaml import ComponentFile, Document
from dagbook.errors import DagbookError
from dagbook.yaml_edit import same
from dagbook.yaml_text import scalar_text

MESSY = """\
# The churn model
type: dagbook.NotebookRunnerComponent   # ours

attributes:
    notebook: 'models/churn.ipynb'  # the notebook
    # every night
    schedule: {cron: "0 2 * * *", timezone: UTC, }   # while all sleep
    description: |
      A model.

      It says who leaves.

    # what it takes
    parameters:   # typed
        alpha:   0.1   # learning rate
        beta: "x"

        # weights
        gamma: [1,2,  3]
        opt:
    owners:
    - team:growth
    - {x: 1,
       y: 2}
# --- the second
---
type: acme.Thing
attributes: {}
...
"""


def load(tmp_path: Path, text: str, name: str = "defs.yaml") -> ComponentFile:
    path = tmp_path / name
    path.write_bytes(text.encode())
    return ComponentFile.load(path)


def as_dagster_reads(text: str) -> list[Any]:
    return [tree.value for tree in parse_yamls_with_source_position(text)]


def changed_lines(file: ComponentFile) -> list[str]:
    return [line for line in file.diff().splitlines()[2:] if line[:1] in "+-"]


def attribute(*path: Any) -> tuple[Any, ...]:
    return ("attributes", *path)


# Reading


@pytest.mark.parametrize(
    "text",
    """
    on|off|yes|No|TRUE|y|n|~|null|Null|NULL|''|010|0o10|0x1F|0b101|1_000|6:30|06:30|190:20:30|+7|-3
    1.5|1e5|1.0e+5|1e+5|.5|-.5|.inf|-.INF|.nan|1.|1_0.5|6:30.5|2026-01-01|2026-01-01 10:00:00
    "3"|'on'|"a\\tb"|a b|a:b|a#b|{}|[]|<<|=|-|?x|!!str 3|!!int "3"|09|0|-0|+.5|0x|12345678901234567890
    """.replace("\n", "|").split("|"),
)  # fmt: skip
def test_scalars_mean_what_they_mean_to_dagster(text: str) -> None:
    text = text.strip()
    document = f"a: {text}\n"
    try:
        (expected,) = as_dagster_reads(document)
    except Exception:
        with pytest.raises(DagbookError):
            ComponentFile(Path("defs.yaml"), document, before=None)
        return
    (read,) = ComponentFile(Path("defs.yaml"), document, before=None).documents
    assert same(read.value, expected)


@pytest.mark.parametrize(
    "text",
    [
        "a: &x {b: 1}\nc: *x\n",
        "base: &base {a: 1, b: 2}\nreal: {<<: *base, b: 3}\n",
        "base: &base {a: 1, b: 2}\nother: &other {b: 4, c: 5}\nreal: {<<: [*base, *other]}\n",
        "a: >\n  folded\n  text\nb: |-\n  kept\n\nc: 1\n",
        "'quoted key': 1\n\"other\": 2\n3: three\n",
        "- a\n- b: 1\n  c: 2\n- - d\n",
        "a: 1\n---\nb: 2\n...\n---\n- 3\n",
        "a:\r\n  b: 1\r\n  c: |\r\n    x\r\n",
        "{a: [1, {b: c}], d: }\n",
        "---\n---\n",
        "",
        "# only a comment\n",
        "\ufeffa: 1\n",
    ],
)
def test_documents_mean_what_they_mean_to_dagster(text: str) -> None:
    read = ComponentFile(Path("defs.yaml"), text, before=None).documents
    assert [document.value for document in read] == as_dagster_reads(text)


def test_a_file_is_read_with_the_place_of_every_key(tmp_path: Path) -> None:
    first, second = load(tmp_path, MESSY).documents
    assert first.type == "dagbook.NotebookRunnerComponent"
    assert first.attributes["schedule"] == {"cron": "0 2 * * *", "timezone": "UTC"}
    assert first.attributes["parameters"] == {
        "alpha": 0.1,
        "beta": "x",
        "gamma": [1, 2, 3],
        "opt": None,
    }
    assert first.position(("type",)) == (2, 1)
    assert first.position(attribute("notebook")) == (5, 5)
    assert first.position(attribute("schedule", "timezone")) == (7, 35)
    assert first.position(attribute("parameters", "gamma", 2)) == (19, 23)
    assert first.position(attribute("owners", 1, "y")) == (24, 8)
    assert (second.type, second.attributes) == ("acme.Thing", {})
    assert second.position() == (27, 1)


def test_what_is_missing_stands_where_it_would_belong(tmp_path: Path) -> None:
    (document,) = load(tmp_path, "type: a.B\nattributes:\n  x: {y: 1}\n").documents
    assert document.position(attribute("x", "z")) == (3, 3)
    assert document.position(attribute("nothing", "here")) == (2, 1)
    assert document.get(attribute("x", "y")) == 1
    assert document.get(attribute("x", "y", "z"), "none") == "none"


def test_a_key_is_found_by_what_it_means_and_by_how_it_is_written(tmp_path: Path) -> None:
    (document,) = load(tmp_path, "attributes:\n  retries: {max: 1, on: [error]}\n").documents
    assert document.attributes == {"retries": {"max": 1, True: ["error"]}}
    assert document.position(attribute("retries", "on")) == (2, 21)
    assert document.position(attribute("retries", True)) == (2, 21)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "a:\n  b: 1: 2\n",
            "2: `: ` is not allowed here; indent as the lines above, or put the value in quotes",
        ),
        ("a:\n\tb: 1\n", "2: a tab; indent with spaces"),
        ("a: 1\nb: @x\n", "2: text that starts with @ needs quotes"),
        ("a: %x\n", "1: text that starts with % needs quotes"),
        ("a: `x`\n", "1: text that starts with ` needs quotes"),
        ("a: *x\n", "1: an alias `*…` whose anchor `&…` is missing"),
        ("a: &x [*x]\n", "1: an alias inside what it stands for"),
        ("? [a]\n: 1\n", "1: a list or a mapping cannot be a key"),
        ("a: !!python/object:os.system x\n", "1: the tag !!python/object:os.system is not allowed here"),
        ("a: !env X\n", "1: the tag !env is not allowed here"),
        ("a: 1\nb: \x07\n", "2: a character that YAML does not allow"),
        ("a: 1\nb: 2\na: 3\n", "3: `a` is written twice, first in line 1"),
        ("x: {<<: 3}\n", "1: `<<` takes mappings only"),
        ("a: [1, 2\n", "2: expected ',' or ']', but got '<stream end>', while parsing a flow "
         "sequence that starts in line 1"),
        ("[" * 5000, "1: nested too deeply"),
    ],
)  # fmt: skip
def test_a_broken_file_is_refused_in_one_line_with_its_place(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(DagbookError) as refused:
        load(tmp_path, text)
    assert str(refused.value) == f"{tmp_path / 'defs.yaml'}:{said}"


def test_aliases_that_multiply_are_refused_at_once(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(DagbookError) as refused:
        load(tmp_path, "\n".join(lines))
    assert str(refused.value) == (
        f"{tmp_path / 'defs.yaml'}:5: aliases make more than 100,000 values of this"
    )


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "latin.yaml").write_bytes(b"a: 1\nb: \xe9\n")
    (tmp_path / "large.yaml").write_bytes(b"# " + b"x" * 1_000_001)
    said = {}
    for name in ("missing.yaml", "folder", "latin.yaml", "large.yaml"):
        with pytest.raises(DagbookError) as refused:
            ComponentFile.load(tmp_path / name)
        said[name] = str(refused.value).removeprefix(f"{tmp_path}/")
    assert said == {
        "missing.yaml": "missing.yaml does not exist",
        "folder": "folder is not a file",
        "latin.yaml": "latin.yaml:2: not UTF-8 text",
        "large.yaml": "large.yaml is larger than 1,000,000 bytes: no component file is",
    }


def test_all_keys_written_twice_are_listed_for_who_asks(tmp_path: Path) -> None:
    path = tmp_path / "defs.yaml"
    path.write_text("a: 1\na: 2\nb: {c: 1, c: 2}\n")
    file = ComponentFile.load(path, allow_duplicates=True)
    assert [(p.line, p.column, p.text) for p in file.duplicate_keys] == [
        (3, 11, "`c` is written twice, first in line 3"),
        (2, 1, "`a` is written twice, first in line 1"),
    ]
    assert file.documents[0].value == {"a": 2, "b": {"c": 2}}


# Changing


@pytest.mark.parametrize(
    ("path", "value", "lines"),
    [
        (
            ("schedule", "cron"),
            "0 3 * * *",
            [
                '-    schedule: {cron: "0 2 * * *", timezone: UTC, }   # while all sleep',
                '+    schedule: {cron: "0 3 * * *", timezone: UTC, }   # while all sleep',
            ],
        ),
        (
            ("schedule", "own_job"),
            True,
            [
                '-    schedule: {cron: "0 2 * * *", timezone: UTC, }   # while all sleep',
                '+    schedule: {cron: "0 2 * * *", timezone: UTC, own_job: true, }   # while all sleep',
            ],
        ),
        (
            ("schedule",),
            "0 3 * * *",
            [
                '-    schedule: {cron: "0 2 * * *", timezone: UTC, }   # while all sleep',
                '+    schedule: "0 3 * * *"   # while all sleep',
            ],
        ),
        (
            ("notebook",),
            "it's.ipynb",
            [
                "-    notebook: 'models/churn.ipynb'  # the notebook",
                "+    notebook: 'it''s.ipynb'  # the notebook",
            ],
        ),
        (
            ("parameters", "alpha"),
            1e-05,
            [
                "-        alpha:   0.1   # learning rate",
                "+        alpha:   1.0e-05   # learning rate",
            ],
        ),
        (("parameters", "opt"), False, ["-        opt:", "+        opt: false"]),
        (
            ("parameters", "opt"),
            {"lr": 0.1, "name": "on"},
            ["-        opt:", '+        opt: {lr: 0.1, name: "on"}'],
        ),
        (("parameters", "opt", "lr"), 1, ["-        opt:", "+        opt: {lr: 1}"]),
        (
            ("parameters", "gamma", 1),
            [True],
            ["-        gamma: [1,2,  3]", "+        gamma: [1,[true],  3]"],
        ),
        (("parameters", "new"), "a: b", ['+        new: "a: b"']),
        (
            ("description",),
            "Short.",
            [
                "-    description: |",
                "-      A model.",
                "-",
                "-      It says who leaves.",
                "+    description: Short.",
            ],
        ),
        (
            ("owners",),
            ["team:growth"],
            ["-    - {x: 1,", "-       y: 2}"],
        ),
        (("owners", 1, "y"), 3, ["-       y: 2}", "+       y: 3}"]),
        (("compute_size",), "medium", ["+    compute_size: medium"]),
        (
            ("limits", "max_runtime_hours"),
            2,
            ["+    limits: {max_runtime_hours: 2}"],
        ),
        (
            ("notes",),
            {"first": "word " * 12 + "end", "second": {"third": "word " * 8 + "end"}},
            [
                "+    notes:",
                f"+        first: {'word ' * 12}end",
                "+        second: {third: " + "word " * 8 + "end}",
            ],
        ),
    ],
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_a_value_is_set_and_nothing_else_is_touched(
    tmp_path: Path, path: tuple[Any, ...], value: Any, lines: list[str]
) -> None:
    file = load(tmp_path, MESSY)
    document = file.documents[0]
    document.set(attribute(*path), value)
    assert changed_lines(file) == lines
    assert document.get(attribute(*path)) == value
    assert as_dagster_reads(file.text) == [document.value for document in file.documents]


@pytest.mark.parametrize(
    ("path", "lines"),
    [
        (
            ("schedule", "timezone"),
            [
                '-    schedule: {cron: "0 2 * * *", timezone: UTC, }   # while all sleep',
                '+    schedule: {cron: "0 2 * * *", }   # while all sleep',
            ],
        ),
        (
            ("schedule",),
            ['-    schedule: {cron: "0 2 * * *", timezone: UTC, }   # while all sleep'],
        ),
        (("parameters", "beta"), ['-        beta: "x"']),
        (("parameters", "opt"), ["-        opt:"]),
        (
            ("description",),
            [
                "-    description: |",
                "-      A model.",
                "-",
                "-      It says who leaves.",
            ],
        ),
        (
            ("owners", 1, "x"),
            ["-    - {x: 1,", "-       y: 2}", "+    - {y: 2}"],
        ),
    ],
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_a_key_is_taken_out_and_nothing_else_is_touched(
    tmp_path: Path, path: tuple[Any, ...], lines: list[str]
) -> None:
    file = load(tmp_path, MESSY)
    assert file.documents[0].delete(attribute(*path))
    assert changed_lines(file) == lines
    assert as_dagster_reads(file.text) == [document.value for document in file.documents]
    assert not file.documents[0].delete(attribute(*path))


def test_a_mapping_is_merged_key_by_key_so_that_its_comments_stay(tmp_path: Path) -> None:
    file = load(tmp_path, MESSY)
    file.documents[0].set(attribute("parameters"), {"beta": "y", "alpha": 0.1, "delta": 3})
    assert changed_lines(file) == [
        '-        beta: "x"',
        '+        beta: "y"',
        "+        delta: 3",
        "-        gamma: [1,2,  3]",
        "-        opt:",
    ]
    assert "# weights" in file.text


def test_a_document_behind_another_can_be_changed(tmp_path: Path) -> None:
    file = load(tmp_path, MESSY)
    file.documents[1].set(attribute("colour"), "on")
    assert changed_lines(file) == ["-attributes: {}", '+attributes: {colour: "on"}']


def test_setting_what_is_there_already_changes_nothing(tmp_path: Path) -> None:
    file = load(tmp_path, MESSY)
    for document in file.documents:
        document.set((), document.value)
        for key, value in document.attributes.items():
            document.set(attribute(key), value)
    document = file.documents[0]
    document.set(attribute("schedule"), {"timezone": "UTC", "cron": "0 2 * * *"})
    assert not document.delete(attribute("nothing"))
    assert file.text == MESSY
    assert not file.changed
    assert file.diff() == ""
    assert not file.write()
    assert file.path.read_text() == MESSY


def test_one_is_not_true_and_not_one_point_nought(tmp_path: Path) -> None:
    file = load(tmp_path, "attributes:\n  a: 1\n")
    file.documents[0].set(attribute("a"), True)
    assert file.text == "attributes:\n  a: true\n"
    file.documents[0].set(attribute("a"), 1.0)
    assert file.text == "attributes:\n  a: 1.0\n"


def test_the_last_key_leaves_an_empty_mapping_and_comes_back(tmp_path: Path) -> None:
    file = load(tmp_path, "type: a.B\nattributes:\n  x: 1")
    document = file.documents[0]
    document.delete(attribute("x"))
    assert file.text == "type: a.B\nattributes: {}"
    document.set(attribute("y"), "z")
    assert file.text == "type: a.B\nattributes: {y: z}"


def test_attributes_are_added_to_a_component_without_any(tmp_path: Path) -> None:
    file = load(tmp_path, "type: a.B  # bare\n")
    file.documents[0].set(attribute("x"), 1)
    assert file.text == "type: a.B  # bare\nattributes: {x: 1}\n"


def test_windows_line_ends_are_kept(tmp_path: Path) -> None:
    file = load(tmp_path, "type: a.B\r\nattributes:\r\n  x: 1\r\n")
    file.documents[0].set(attribute("y"), {"k" * 50: "v" * 60})
    assert file.text == (
        f"type: a.B\r\nattributes:\r\n  x: 1\r\n  y:\r\n    {'k' * 50}: {'v' * 60}\r\n"
    )
    file.documents[0].delete(attribute("y"))
    assert file.text == "type: a.B\r\nattributes:\r\n  x: 1\r\n"


def test_a_dates_text_is_quoted_and_arrives_as_text(tmp_path: Path) -> None:
    file = load(tmp_path, "attributes:\n  x: 1\n")
    file.documents[0].set(attribute("day"), datetime.date(2026, 1, 2))
    assert file.text == 'attributes:\n  x: 1\n  day: "2026-01-02"\n'
    assert file.documents[0].attributes["day"] == "2026-01-02"


def test_what_an_alias_shares_is_not_changed_behind_ones_back(tmp_path: Path) -> None:
    text = "type: a.B\nattributes:\n  a: &x {k: 1}\n  b: *x\n  c: 2\n"
    file = load(tmp_path, text)
    document = file.documents[0]
    for path, line in [(("a",), 3), (("b",), 4), (("a", "k"), 3), (("b", "k"), 3)]:
        with pytest.raises(DagbookError) as refused:
            document.set(attribute(*path), 3)
        assert str(refused.value) == (
            f"{file.path}:{line}: `{path[-1]}` is written in a way that cannot be changed "
            "safely: change it by hand"
        )
    assert file.text == text
    document.set(attribute("c"), 3)
    document.delete(attribute("b"))
    assert file.text == "type: a.B\nattributes:\n  a: &x {k: 1}\n  c: 3\n"


def test_what_yaml_cannot_say_is_refused(tmp_path: Path) -> None:
    file = load(tmp_path, "attributes:\n  x: 1\n")
    with pytest.raises(DagbookError):
        file.documents[0].set(attribute("x"), object())
    assert file.text == "attributes:\n  x: 1\n"


TEXTS = [
    *["", " ", "a", "daily", "0 6 * * *", "@daily", "on", "Yes", "n", "null", "~", "true", "None"],
    *["3", "20260101", "1e5", "1e-5", "1_000", "010", "0o10", "0x1f", ".5", ".inf", ".nan", "6:30"],
    *["2026-01-01", "2026-01-01T10:00:00Z", "06:00", "-", "- a", "?", ": ", "a: b", "a:b", "a #b"],
    *[
        "#a",
        "&a",
        "*a",
        "!a",
        "%a",
        "`a",
        "'",
        '"',
        "it's",
        'say "no"',
        "{{ run_date }}",
        "{a",
        "[a",
    ],
    *["a, b", "a\nb", "\n", "a\n", "\ta", "a\tb", "a ", " a", "über", "日本", "🙂", "\x00", "\x7f"],
    *["\x85", "\u2028", "\ufeff", "a\\b", "\\", "<<", "=", "---", "...", "models/churn v2.ipynb"],
    *["/abs/path.ipynb", "team:growth", "a@b.example", "C:\\x", "1.2.3", "v2.3", "1 2", "-1", "+1"],
]


@pytest.mark.parametrize("quote", [None, "'", '"'])
def test_text_arrives_as_it_was_for_every_reader(quote: str | None) -> None:
    for text in TEXTS:
        written = scalar_text(text, quote=quote)
        for document in (f"a: {written}\n", f"a: {{b: {written}}}\n", f"a: [{written}, x]\n"):
            (value,) = as_dagster_reads(document)
            newer = YAML(typ="safe", pure=True).load(document)
            assert newer == value, document
            found = value["a"]
            found = found["b"] if isinstance(found, dict) else found
            assert (found[0] if isinstance(found, list) else found) == text, document


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("daily", "daily"),
        ("models/churn v2.ipynb", "models/churn v2.ipynb"),
        ("Europe/Berlin", "Europe/Berlin"),
        ("0 6 * * *", '"0 6 * * *"'),
        ("20260101", '"20260101"'),
        ("on", '"on"'),
        ("{{ run_date }}", '"{{ run_date }}"'),
        (None, "null"),
        (True, "true"),
        (10**20, "100000000000000000000"),
        (1e22, "1.0e+22"),
        (-0.0, "-0.0"),
        (float("nan"), ".nan"),
        (float("-inf"), "-.inf"),
    ],
)
def test_quotes_are_used_where_they_are_needed(value: Any, written: str) -> None:
    assert scalar_text(value) == written


@pytest.mark.parametrize("seed", range(40))
def test_random_edits_of_random_files_change_what_they_say_and_nothing_else(seed: int) -> None:
    chance = random.Random(seed)
    text = random_file(chance)
    file = ComponentFile(Path("defs.yaml"), text, before=None)
    for _ in range(12):
        document = file.documents[0]
        path = random_path(chance, document.value)
        expected = as_dagster_reads(file.text)
        holder = expected[0]
        for part in path[:-1]:
            holder = holder[part]
        comments = file.text.count("# note")
        if chance.random() < 0.3 and path[-1] in holder:
            emptied = path[:-1] if len(holder) == 1 else path
            own = comments_of(document, emptied, file.text)
            assert document.delete(path)
            del holder[path[-1]]
            assert file.text.count("# note") >= comments - own
        else:
            value = random_value(chance, 1)
            own = comments_of(document, path, file.text)
            document.set(path, value)
            holder[path[-1]] = value
            assert file.text.count("# note") >= comments - own
        assert as_dagster_reads(file.text) == expected
        if not expected[0].get("attributes"):
            return


def comments_of(document: Document, path: tuple[Any, ...], text: str) -> int:
    """How many comments stand inside a value or behind it on its line, and may go with it."""
    node = document._node
    start = end = 0
    for part in path:
        if node.kind == "sequence":
            node = node.items[part]
            start, end = node.start, node.end
        else:
            entry = node.entry(part)
            if entry is None:
                return 0
            key, node = entry
            start, end = key.start, max(key.end, node.end)
    stop = text.find("\n", end)
    return text[start : stop if stop >= 0 else len(text)].count("# note")


def random_value(chance: random.Random, depth: int) -> Any:
    if depth and chance.random() < 0.3:
        return {f"k{n}": random_value(chance, depth - 1) for n in range(chance.randint(1, 3))}
    if depth and chance.random() < 0.2:
        return [random_value(chance, depth - 1) for _ in range(chance.randint(1, 3))]
    return chance.choice([1, 2.5, True, None, "word", "two words", "on", "3", "a: b", "x\ny", ""])


def random_path(chance: random.Random, value: Any) -> tuple[Any, ...]:
    path: tuple[Any, ...] = ("attributes",)
    value = value["attributes"]
    while True:
        if not isinstance(value, dict) or not value or chance.random() < 0.2:
            break
        key = chance.choice([*value, *value, "new"])
        path += (key,)
        if key == "new" and key not in value:
            break
        value = value[key]
    return path if len(path) > 1 else (*path, "new")


def random_file(chance: random.Random) -> str:
    step = chance.choice([2, 4])
    lines = ["type: a.B"] if chance.random() < 0.5 else ["# note", "type: a.B", ""]
    lines += ["attributes:" + chance.choice(["", "  # note"])]

    def scalar() -> str:
        return chance.choice(
            ["1", "word", '"x y"', "'it''s'", "", "2026-01-01", "[1, 2]", "{a: 1}"]
        )

    def mapping(indent: int, depth: int) -> None:
        for n in range(chance.randint(1, 4)):
            if chance.random() < 0.2:
                lines.append(" " * indent + "# note")
            if chance.random() < 0.1:
                lines.append("")
            key = " " * indent + f"k{n}:"
            kind = chance.random()
            if depth and kind < 0.35:
                lines.append(key + chance.choice(["", "   # note"]))
                mapping(indent + step, depth - 1)
            elif kind < 0.45:
                lines.append(key + " |")
                lines.extend(" " * (indent + step) + word for word in ("some", "text"))
            elif kind < 0.6:
                lines.append(key)
                offset = indent + chance.choice([0, step])
                for _ in range(chance.randint(1, 3)):
                    lines.append(" " * offset + "- " + (scalar() or "x"))
            else:
                lines.append(key + f" {scalar()}".rstrip() + chance.choice(["", "  # note"]))

    mapping(step, 2)
    end = chance.choice(["\n", "\r\n"])
    return end.join(lines) + chance.choice(["", end, end + "# note" + end])


# Writing


def test_a_new_file_holds_one_component(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "defs.yaml"
    file = ComponentFile.new(
        path,
        "dagbook.NotebookRunnerComponent",
        {"notebook": "churn.ipynb", "schedule": {"cron": "0 6 * * *", "timezone": "UTC"}},
    )
    text = (
        "type: dagbook.NotebookRunnerComponent\n"
        "attributes:\n"
        "  notebook: churn.ipynb\n"
        '  schedule: {cron: "0 6 * * *", timezone: UTC}\n'
    )
    assert file.is_new and file.changed and file.text == text
    assert not path.exists()
    assert file.write()
    assert path.read_text() == text
    assert not file.is_new and not file.changed and not file.write()


def test_a_new_file_does_not_replace_one_that_came_meanwhile(tmp_path: Path) -> None:
    file = ComponentFile.new(tmp_path / "defs.yaml", "a.B", {})
    (tmp_path / "defs.yaml").write_text("mine")
    with pytest.raises(DagbookError) as refused:
        file.write()
    assert str(refused.value) == f"{tmp_path / 'defs.yaml'} exists already"
    assert (tmp_path / "defs.yaml").read_text() == "mine"


def test_a_file_changed_by_somebody_else_is_not_overwritten(tmp_path: Path) -> None:
    file = load(tmp_path, "attributes:\n  x: 1\n")
    file.documents[0].set(attribute("x"), 2)
    file.path.write_text("attributes:\n  x: 3\n")
    with pytest.raises(DagbookError) as refused:
        file.write()
    assert str(refused.value) == (
        f"{file.path} was changed by somebody else in the meantime: nothing was written, try again"
    )
    assert file.path.read_text() == "attributes:\n  x: 3\n"


def test_mode_and_link_survive_a_write_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    real = tmp_path / "real" / "defs.yaml"
    real.parent.mkdir()
    real.write_text("attributes:\n  x: 1\n")
    real.chmod(0o640)
    link = tmp_path / "defs.yaml"
    link.symlink_to(real)
    file = ComponentFile.load(link)
    file.documents[0].set(attribute("x"), 2)
    assert file.write()
    assert link.is_symlink() and link.readlink() == real
    assert real.read_text() == "attributes:\n  x: 2\n"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert list(real.parent.iterdir()) == [real]
    assert sorted(tmp_path.iterdir()) == [link, real.parent]


def test_a_write_that_fails_midway_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "defs.yaml"
    path.write_text("attributes:\n  x: 1\n")
    program = textwrap.dedent(
        f"""
        import resource, signal
        from dagbook.defs_yaml import ComponentFile
        from dagbook.errors import DagbookError
        file = ComponentFile.load({str(path)!r})
        file.documents[0].set(("attributes", "x"), "y" * 100_000)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        try:
            file.write()
        except DagbookError as error:
            print(error)
        """
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ran.stdout == f"cannot write {path}: File too large\n", ran.stderr
    assert path.read_text() == "attributes:\n  x: 1\n"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.needs("other-uid")
def test_a_folder_that_may_not_be_written_keeps_its_file(tmp_path: Path) -> None:
    file = load(tmp_path, "attributes:\n  x: 1\n")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == 0 and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    file.documents[0].set(attribute("x"), 2)
    os.seteuid(65534)
    try:
        with pytest.raises(DagbookError) as refused:
            file.write()
    finally:
        os.seteuid(0)
    assert str(refused.value) == f"cannot write {file.path}: Permission denied"
    assert file.path.read_text() == "attributes:\n  x: 1\n"


def test_the_core_writes_without_dagster_and_reads_with_ruamel_only() -> None:
    program = (
        "import sys, dagbook.defs_yaml, dagbook.project, dagbook.schedule_words, "
        "dagbook.scheduling, dagbook.time_zones\n"
        "print(sorted(set(sys.modules) & {'dagster', 'yaml', 'papermill', 'IPython', 'jinja2', "
        "'pydantic', 'nbformat', 'ruamel.yaml'}))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("[]\n", "")
