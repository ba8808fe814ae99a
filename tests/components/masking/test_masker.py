"""Known values are found in every form, and a name stands in their place."""

from __future__ import annotations

import base64
import html
import json
import random
import shlex
import textwrap
import threading
import urllib.parse
from collections.abc import Callable

import pytest

from dagbook.credentials.delivery import SHORTEST_SECRET, Secret
from dagbook.errors import DagbookError
from dagbook.masking import Masker
from dagbook.masking.forms import SHORTEST_VALUE

#: How many times a text is cut at random.
TRIALS = 2_000

VALUES = {
    "plain": "hunter2!x",
    "shortest": "abcdef",
    "digits": "12345678",
    "key id": "AKIAIOSFODNN7EXAMPLE",
    "access key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "punctuation": "a b+c/d=e?f&g;h:i@j#k,l$m!n",
    "quotes": 'it\'s "so" $HOME `x`',
    "looks escaped": "p%41ss\\nw0rd&amp;\\u0041!",
    "no ascii": "äöü€pass😀word",
    "a path": "C:\\users\\night\\secret",
    "token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
    "key": "-----BEGIN PRIVATE KEY-----\n"
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKB\n"
    "wYfnzVtWq/e8hh7sDgPzHkPbM8hLHBkd9L0tVjhV9pFkLlp3wD6gN3C+xMzXQeVL\n"
    "-----END PRIVATE KEY-----\n",
}


def _encoded(
    shift: int, encode: Callable[[bytes], bytes] = base64.b64encode
) -> Callable[[str], str]:
    return lambda value: encode(b"xyz"[:shift] + value.encode() + b"tail"[:shift]).decode()


FORMS: dict[str, Callable[[str], str]] = {
    "clear": str,
    **{f"base64 from byte {n}": _encoded(n) for n in range(3)},
    **{f"URL-safe base64 from byte {n}": _encoded(n, base64.urlsafe_b64encode) for n in range(3)},
    "base64 in lines": lambda v: base64.encodebytes(b"q" * 50 + v.encode() + b"z" * 20).decode(),
    "base64 in a URL": lambda v: urllib.parse.quote(base64.b64encode(v.encode()), safe=""),
    "base64 of JSON": lambda v: base64.b64encode(json.dumps({"k": v}).encode()).decode(),
    "in a path": urllib.parse.quote,
    "in a URL": lambda v: urllib.parse.quote(v, safe=""),
    "in a query": urllib.parse.quote_plus,
    "in a URL in a URL": lambda v: urllib.parse.quote(urllib.parse.quote(v)),
    "percent, small": lambda v: "".join(f"%{byte:02x}" for byte in v.encode()),
    "percent, capitals": lambda v: "".join(f"%{byte:02X}" for byte in v.encode()),
    "HTML": html.escape,
    "HTML without quotes": lambda v: html.escape(v, quote=False),
    "HTML, decimal": lambda v: "".join(f"&#{ord(letter)};" for letter in v),
    "HTML, hex": lambda v: "".join(f"&#x{ord(letter):X};" for letter in v),
    "JSON": json.dumps,
    "JSON, as it is": lambda v: json.dumps(v, ensure_ascii=False),
    "JSON with slashes": lambda v: json.dumps(v).replace("/", "\\/"),
    "JSON, each letter": lambda v: "".join(
        f"\\u{unit:04x}"
        for unit in memoryview(v.encode("utf-16-le", "surrogatepass")).cast("H").tolist()
    ),
    "JSON in JSON": lambda v: json.dumps(json.dumps({"a": v})),
    "JSON in a URL": lambda v: urllib.parse.quote(json.dumps({"a": v})),
    "JSON in HTML": lambda v: html.escape(json.dumps(v)),
    "repr": repr,
    "repr in single quotes": lambda v: repr(v + '"'),
    "repr in double quotes": lambda v: repr(v + "'"),
    "repr of bytes": lambda v: repr(v.encode()),
    "repr of a repr": lambda v: repr(repr(v)),
    "ascii": ascii,
    "hex": lambda v: v.encode().hex(),
    "hex in capitals": lambda v: v.encode().hex().upper(),
    "hex with colons": lambda v: v.encode().hex(":"),
    "hex with blanks": lambda v: v.encode().hex(" ").upper(),
    "hex with backslashes": lambda v: "".join(f"\\x{byte:02x}" for byte in v.encode()),
    "shell": shlex.quote,
    "shell, each quote": lambda v: "'" + v.replace("'", "'\\''") + "'",
    "SQL": lambda v: "'" + v.replace("'", "''") + "'",
    "CSV": lambda v: '"' + v.replace('"', '""') + '"',
    "in colours": lambda v: "".join(f"\x1b[38;5;{n}m{c}\x1b[0m" for n, c in enumerate(v)),
    "JSON of colours": lambda v: json.dumps("".join(f"\x1b[1m{c}\x1b[0m" for c in v)),
    "wrapped": lambda v: "\n".join(v[at : at + 7] for at in range(0, len(v), 7)),
    "wrapped as a terminal does": lambda v: "\r\n".join(
        v[at : at + 8] for at in range(0, len(v), 8)
    ),
    "corrected while typed": lambda v: f"{v[:4]}xy\b\b{v[4:]}",
    "UTF-16": lambda v: v.encode("utf-16-le").decode("latin-1"),
}


@pytest.fixture(scope="module")
def masker() -> Masker:
    return Masker(Secret(value, name.replace(" ", "_")) for name, value in VALUES.items())


@pytest.mark.parametrize(
    ("name", "form"),
    [
        (name, form)
        for name, value in VALUES.items()
        for form in FORMS
        # Read as latin-1 it would be another text.
        if form != "UTF-16" or value.isascii()
    ],
)
def test_a_value_is_masked_in_every_form(masker: Masker, name: str, form: str) -> None:
    text = FORMS[form](VALUES[name])

    for before, after in (("", ""), ("x=", " and so on"), ("ab", "cd"), ("{", "}\n")):
        masked = masker.text(before + text + after)

        assert f"***{name.replace(' ', '_')}***" in masked
        # What is left besides is what the form has around the value.
        assert masker.text(masked) == masked
        assert VALUES[name] not in masked


@pytest.mark.parametrize("before", ["\\", "%4", "&am", "\\u00", "\x1b", "C:\\new", "100%"])
def test_what_stands_before_a_value_does_not_hide_it(masker: Masker, before: str) -> None:
    assert masker.text(f"{before}hunter2!x") == f"{before}***plain***"


def test_a_text_without_a_value_is_the_very_same(masker: Masker) -> None:
    text = "50% done, C:\\temp\\new & \x1b[31mred\x1b[0m <b>&lt;</b>\n" * 100

    assert masker.text(text) is text
    assert masker.value(found := {"a": [1, 2.5, None, True, text]}) is found
    assert masker.data(data := text.encode() + b"\xff\x00") is data


def test_the_longest_of_values_within_another_is_named(masker: Masker) -> None:
    both = Masker([Secret("postgres", "user"), Secret("postgres://u:hunter2@db", "url")])

    assert both.text("postgres, postgres://u:hunter2@db") == "***user***, ***url***"


def test_values_that_overlap_are_masked_together() -> None:
    both = Masker([Secret("abcdefgh", "first"), Secret("efghijklm", "second")])

    assert both.text("x abcdefghijklm y") == "x ***second*** y"
    assert both.text("abcdefghijabcdefgh") == "***first***ij***first***"


def test_a_long_line_of_a_value_is_masked_by_itself(masker: Masker) -> None:
    line = VALUES["key"].splitlines()[1]

    assert masker.text(f"line: {line}.") == "line: ***key***."
    # The rest is of the last letter alone.
    assert masker.text(base64.b64encode(line.encode()).decode()) == "***key***g=="
    assert masker.text("-----BEGIN PRIVATE KEY-----") == "-----BEGIN PRIVATE KEY-----"


def test_a_wrapped_line_ends_where_it_did(masker: Masker) -> None:
    wrapped = textwrap.fill("the access key is wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY, ok", 30)

    assert masker.text(wrapped) == "the access key is ***access_key***,\nok"


def test_names_and_numbers_in_json_are_masked(masker: Masker) -> None:
    value = {"hunter2!x": {"n": [12345678, 1.5, None, True, {"deep": ["x", "hunter2!x"]}]}}

    assert masker.value(value) == {
        "***plain***": {"n": ["***digits***", 1.5, None, True, {"deep": ["x", "***plain***"]}]}
    }


def test_two_names_that_are_the_same_value_are_both_kept(masker: Masker) -> None:
    value = {"hunter2!x": 1, "68756e7465723221" + "78": 2}

    assert masker.value(value) == {"***plain***": 1, "***plain*** again": 2}


def test_what_is_nested_too_deeply_is_left_out(masker: Masker) -> None:
    value: object = "hunter2!x"
    for _ in range(5_000):
        value = [value]

    assert masker.value(value) == ("[dagbook left this out: it is nested too deeply to be masked]")


def test_bytes_are_masked_whatever_else_they_are(masker: Masker) -> None:
    assert masker.data(b"\xff\x00hunter2!x\xfe") == b"\xff\x00***plain***\xfe"
    assert masker.data("é hunter2!x".encode()) == "é ***plain***".encode()
    assert b"h\0u\0n\0" not in masker.data("a hunter2!x b".encode("utf-16"))


def test_a_name_is_of_letters_that_go_everywhere() -> None:
    masker = Masker([Secret("hunter2!x", 'the "main" db/password')])

    assert masker.text("hunter2!x") == "***the-main-db-password***"
    assert masker.name("loss of hunter2!x") == "loss of the-main-db-password"


@pytest.mark.parametrize(
    ("value", "label", "shown"),
    [
        ("analytics", "analytics.password", "***masked***"),
        ("masked", "masked", "******"),
        ("*** db.key ***", "db.key", "***db.key***"),
    ],
)
def test_what_is_shown_never_holds_a_value(value: str, label: str, shown: str) -> None:
    masker = Masker([Secret(value, label)])

    assert masker.text(f"x {value} y") == f"x {shown} y"


def test_a_value_too_short_is_refused_and_not_told() -> None:
    with pytest.raises(DagbookError) as refused:
        Masker([Secret("hunter2!x", "db.user"), Secret("abcde ", "db.password")])

    assert str(refused.value) == (
        "db.password: its value has fewer than 6 characters, too few to be kept out of what a run "
        "stores; it needs a longer one"
    )


def test_what_is_too_short_here_is_too_short_as_a_credential() -> None:
    assert SHORTEST_VALUE == SHORTEST_SECRET


def test_one_without_values_is_false_and_changes_nothing() -> None:
    masker = Masker()
    text = "hunter2!x"

    assert not masker
    assert masker.text(text) is text
    assert masker.value(found := {text: text}) is found
    assert masker.data(data := text.encode()) is data
    assert masker.stream().feed(text) == text


def test_it_tells_nothing_of_what_it_knows(masker: Masker) -> None:
    assert repr(masker) == f"<Masker of {len(VALUES)} values>"


def test_it_learns_more_while_others_use_it() -> None:
    masker = Masker([Secret("hunter2!x", "db.password")])
    wrong: list[str] = []
    over = threading.Event()

    def use() -> None:
        while not over.is_set():
            if (shown := masker.text("a hunter2!x b")) != "a ***db.password*** b":
                wrong.append(shown)

    threads = [threading.Thread(target=use) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(50):
        masker.add([Secret(f"renewed value {number}", "db.password")])
        assert masker.text(f"renewed value {number}") == "***db.password***"
    over.set()
    for thread in threads:
        thread.join()

    assert wrong == []


def test_a_cut_leaves_no_part_of_a_value(masker: Masker) -> None:
    for at in range(1, len(VALUES["access key"])):
        value = VALUES["access key"]
        head, tail = f"head {value[:at]}", f"{value[at:]} and {'x' * 100} tail"

        assert masker.before_cut(head) == "head "
        shown = masker.after_cut(tail, reach=60)
        assert shown == tail[60:]


def test_a_value_that_a_cut_goes_through_is_left_out_whole(masker: Masker) -> None:
    tail = "x" * 50 + VALUES["access key"] + "y" * 50 + VALUES["access key"]

    assert masker.after_cut(tail, reach=60) == "y" * 50 + "***access_key***"


def _cut(text: str, chance: random.Random) -> list[str]:
    pieces = []
    while text:
        size = chance.choice([1, 1, 2, 3, 5, 9, 17, 40])
        pieces.append(text[:size])
        text = text[size:]
    return pieces


def test_nothing_leaks_however_a_text_is_cut() -> None:
    # Not all of them together: of values whose beginnings are alike the order would matter.
    chance = random.Random(5)
    maskers = {name: Masker([Secret(value, name)]) for name, value in VALUES.items()}
    leaks = []
    for trial in range(TRIALS):
        name = chance.choice(list(VALUES))
        masker = maskers[name]
        form = chance.choice(
            [form for form in FORMS if form not in ("wrapped", "corrected while typed")]
        )
        between = chance.choice(["plain text ", "line\n", "50% done\r", "a\x1b[0mb ", ""])
        text = "".join(
            [between, FORMS[form](VALUES[name]), chance.choice(["\n", " ", "", ";"])] * 2
        )
        stream = masker.stream()
        shown = "".join(map(stream.feed, _cut(text, chance))) + stream.end()
        if shown != masker.text(text):
            leaks.append((trial, name, form))

    assert leaks == []
