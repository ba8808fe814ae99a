"""Replaces the values of a run's credentials in texts, JSON and bytes, in whatever form."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Mapping
from typing import Any

from dagbook.credentials.delivery import SHORTEST_SECRET, Secret
from dagbook.errors import DagbookError
from dagbook.masking.forms import clear_forms, view_forms
from dagbook.masking.stream import StreamMask
from dagbook.masking.values import Values, replaced

#: What a name may hold so that it means nothing special in HTML, JSON, a URL or a shell.
_NO_LABEL = re.compile(r"[^A-Za-z0-9_.-]+")

#: A letter in JSON in JSON: ``\\\\u0041``, and one more of colours and ends of lines.
_ESCAPED = 16
_FURTHEST = 256_000


class Masker:
    """Knows the values that must not be seen, and puts a name in the place of each.

    ``***analytics_prod.password***`` stands where the value of that field stood: in clear, in
    base64 or hex, escaped for JSON, HTML, a URL, a shell or by `repr`, also several times over,
    with a terminal's colours in it or wrapped over lines.

    False while it knows none: whoever asks first pays nothing. It may be used, and given more
    values, by several threads; what was masked before is not looked at again.
    """

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        """Know `secrets`.

        Raises:
            DagbookError: one is too short to be masked.
        """
        self._lock = threading.Lock()
        self._names: dict[str, str] = {}
        self._values: Values | None = None
        self.add(secrets)

    def add(self, secrets: Iterable[Secret]) -> None:
        """Know more of them from now on.

        Raises:
            DagbookError: one is too short to be masked; none is taken then.
        """
        secrets = list(secrets)
        for secret in secrets:
            if len(secret.value.strip()) < SHORTEST_SECRET:
                raise DagbookError(
                    f"{secret.label}: its value has fewer than {SHORTEST_SECRET} characters, too "
                    "few to be kept out of what a run stores; it needs a longer one"
                )
        with self._lock:
            names = dict(self._names)
            for secret in secrets:
                names.setdefault(secret.value, _NO_LABEL.sub("-", secret.label))
            if names != self._names:
                # Made whole before anybody uses it: others may be masking meanwhile.
                self._values = _prepared(names)
                self._names = names

    def __bool__(self) -> bool:
        """Whether there is anything to mask."""
        return self._values is not None

    def __repr__(self) -> str:
        """How many values it knows, and nothing of them."""
        return f"<Masker of {len(self._names)} values>"

    def text(self, text: str) -> str:
        """The text with a name in the place of every known value."""
        return text if self._values is None else self._values.masked(text)

    def name(self, text: str) -> str:
        """The same for what may hold letters, digits, ``_``, ``-`` and ``.`` only."""
        masked = self.text(text)
        return text if masked == text else masked.replace("***", "")

    def holds(self, text: str) -> bool:
        """Whether a known value is in the text."""
        return self._values is not None and bool(self._values.places(text))

    def value(self, value: Any) -> Any:
        """The same of whatever JSON can hold, the names in it too.

        A number that is a known value becomes a text.
        """
        if self._values is None:
            return value
        if isinstance(value, str):
            return self.text(value)
        try:
            # In one go, which is a hundred times faster than text by text.
            if not self.holds(json.dumps(value, ensure_ascii=False, default=str)):
                return value
        except (TypeError, ValueError):
            pass  # no JSON after all
        except RecursionError:
            return "[dagbook left this out: it is nested too deeply to be masked]"
        return self._each(value)

    def _each(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            masked: dict[Any, Any] = {}
            for name, item in value.items():
                shown = self._each(name)
                while shown in masked:
                    shown = f"{shown} again"  # two forms of the same value
                masked[shown] = self._each(item)
            return masked
        if isinstance(value, list | tuple):
            return list(map(self._each, value))
        if value is None or isinstance(value, bool):
            return value
        shown = str(value)
        masked_text = self.text(shown)
        return value if masked_text == shown else masked_text

    def data(self, data: bytes) -> bytes:
        """The same of bytes, whatever they are: text of any encoding, or what holds some."""
        if not self.holds_data(data):
            return data
        masked = self.text(data.decode("utf-8", "surrogateescape"))
        return masked.encode("utf-8", "surrogateescape")

    def holds_data(self, data: bytes) -> bool:
        """Whether a known value is in bytes; in those that are no text, only as it is or encoded.

        What is compressed or encrypted in them is not looked into.
        """
        if self._values is None:
            return False
        try:
            return self.holds(data.decode())
        except UnicodeDecodeError:
            # Every second byte of UTF-16 is a zero.
            return any(self._values.is_in(d) for d in (data, data.replace(b"\0", b"")))

    def before_cut(self, text: str) -> str:
        """The text, masked, without an end that may be the beginning of a known value."""
        return self.stream().feed(text)

    def after_cut(self, text: str, reach: int) -> str:
        """The text, masked, from about `reach` on: never from within a known value."""
        if self._values is None:
            return text[reach:]
        places = self._values.places(text)
        start = max((end for begin, end, _ in places if begin < reach), default=0)
        start = max(start, reach)
        return replaced(text, [place for place in places if place[0] >= start], start)

    @property
    def reach(self) -> int:
        """How many characters a known value may take in a text, however it is written there."""
        return 0 if self._values is None else min(_ESCAPED * self._values.longest, _FURTHEST)

    def stream(self, after: StreamMask | None = None) -> StreamMask:
        """A mask for text that comes in pieces; `after`: the stream that it goes on."""
        return StreamMask(self.known, after)

    def known(self) -> Values | None:
        """The values as they are looked for now; None while there are none."""
        return self._values


def _prepared(names: Mapping[str, str]) -> Values | None:
    clear: dict[str, str] = {}
    view: dict[str, str] = {}
    # What is shown must not be a value itself, nor hold one.
    shown = {value: f"***{name}***" for value, name in names.items()}
    for value in names:
        for form in clear_forms(value):
            clear.setdefault(form, shown[value])
        for form in view_forms(value):
            if len(form) >= SHORTEST_SECRET:
                view.setdefault(form, shown[value])
    values = Values(clear, view)
    for plain in ("***masked***", "******"):
        wrong = {label for label in shown.values() if values.places(label)}
        if not wrong:
            break
        for forms in (clear, view):
            forms.update({f: plain for f, label in forms.items() if label in wrong})
        shown = {value: plain if s in wrong else s for value, s in shown.items()}
        values = Values(clear, view)
    return values if names else None
