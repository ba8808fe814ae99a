"""Turns what a provider gave into what a kernel is given: variables, files, and what is masked."""

from __future__ import annotations

import base64
import codecs
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dagbook.credentials.delivery import SHORTEST_SECRET, Secret, SecretFile
from dagbook.credentials.named_hosts import refuse_foreign_hosts
from dagbook.credentials.provider import Fetched
from dagbook.credentials.secret_parts import Part, is_public, leaves_of, parts_of
from dagbook.errors import DagbookError, did_you_mean
from dagbook.policy.connections import Connection
from dagbook.policy.objections import one_line

#: Linux takes no longer variable, in bytes with its name.
_LONGEST_VARIABLE = 131_000


@dataclass(frozen=True)
class Handed:
    """What one connection gives."""

    variables: Mapping[str, str] = field(repr=False)
    files: tuple[SecretFile, ...]
    secrets: tuple[Secret, ...] = field(repr=False)


def hand_over(connection: Connection, fetched: Fetched) -> Handed:
    """Pick what the connection's variables and files ask for.

    Raises:
        DagbookError: a field is not there, is empty, or is too short to be masked; it leads to a
            host the connection is not bound to; a variable cannot hold it. No value is told.
    """
    try:
        return _Picking(connection, fetched).all()
    except DagbookError as error:
        raise DagbookError(one_line(f"connection `{connection.name}`: {error}")) from None


def fields_of(fetched: Fetched) -> dict[str, object]:
    """The fields of a secret, by name; none where it is one text."""
    value = fetched.value
    if isinstance(value, str):
        if not value.lstrip().startswith("{"):
            return {}
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return dict(value) if isinstance(value, Mapping) else {}


class _Picking:
    def __init__(self, connection: Connection, fetched: Fetched) -> None:
        self._connection = connection
        self._fetched = fetched
        self._fields = fields_of(fetched)
        self._secrets: dict[str, Secret] = {}

    def all(self) -> Handed:
        connection = self._connection
        value = self._fetched.value
        refuse_foreign_hosts(connection, self._fields, value if isinstance(value, str) else None)
        variables = {
            name: self._variable(name, field_) for name, field_ in connection.variables.items()
        }
        files = tuple(
            SecretFile(file.variable, file.name, self._content(file.field))
            for file in connection.files
        )
        return Handed(variables, files, tuple(self._secrets.values()))

    def _variable(self, name: str, field_: str | None) -> str:
        content = self._content(field_)
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            raise DagbookError(
                f"the secret is no text, so `{name}` cannot hold it: deliver it as a file"
            ) from None
        if field_ is None:
            # As `$(cat file)` does: who wrote the file did not mean the end of its last line.
            text = text.rstrip("\r\n")
        if "\0" in text or len(content) + len(name) > _LONGEST_VARIABLE:
            raise DagbookError(
                f"`{name}` cannot hold {_said(field_)}, it is too long or no text: deliver it as a "
                "file"
            )
        return text

    def _content(self, field_: str | None) -> bytes:
        """The bytes of a field or of the whole, noted as what is masked."""
        if field_ is None:
            return self._whole()
        text = self._field(field_)
        if self._is_public(field_) or isinstance(self._fields[field_], bool):
            self._mask_parts(field_, parts_of(text, self._is_public) if "//" in text else ())
        else:
            self._mask(field_, [Part(f"field `{field_}`", text)])
            self._mask_parts(field_, parts_of(text, self._is_public))
        return text.encode("utf-8", "surrogatepass")

    def _whole(self) -> bytes:
        value, whole = self._fetched.value, self._fetched.whole
        if isinstance(value, bytes):
            if not value:
                raise DagbookError("the secret is empty")
            written = (base64.b64encode(value).decode(), value.hex())
            self._mask(None, [Part("the secret", form) for form in written])
            for read in _read_as_text(value):
                self._mask(None, [Part("the secret", read.strip())])
                self._mask_parts(None, parts_of(read, self._is_public))
            return value
        text = whole if whole is not None else value
        if not isinstance(text, str):
            text = _json(self._fields, "the secret")
        self._mask(None, [Part("the secret", text.strip())])
        if self._fields:
            self._mask_parts(None, leaves_of(self._fields, self._is_public))
        if not isinstance(value, str) or not self._fields:
            self._mask_parts(None, parts_of(text, self._is_public))
        return text.encode("utf-8", "surrogatepass")

    def _field(self, name: str) -> str:
        if name not in self._fields:
            if not self._fields:
                raise DagbookError(
                    f"the secret is one text without fields, so it has no `{name}`: leave the "
                    "field out"
                )
            known = did_you_mean(name, map(str, self._fields))
            raise DagbookError(f"the secret has no field `{name}`. {known}")
        value = self._fields[name]
        if value is None or value == "":
            raise DagbookError(f"the field `{name}` of the secret is empty")
        return value if isinstance(value, str) else _json(value, _said(name))

    def _mask_parts(self, field_: str | None, parts: Iterable[Part]) -> None:
        within = "" if field_ is None else f" in field `{field_}`"
        self._mask(
            field_,
            (
                Part(None if p.name is None else f"{_quoted(p.name)}{within}", p.value)
                for p in parts
            ),
        )

    def _mask(self, field_: str | None, parts: Iterable[Part]) -> None:
        name = self._connection.name
        label = name if field_ is None else f"{name}.{field_}"
        for part in parts:
            if len(part.value.strip()) >= SHORTEST_SECRET:
                # What prints it may well leave out the blanks around it.
                for value in (part.value, part.value.strip()):
                    self._secrets.setdefault(value, Secret(value, label))
            elif part.name is not None:
                raise DagbookError(
                    f"{part.name} is shorter than {SHORTEST_SECRET} characters, which cannot be "
                    f"masked: make it longer{_other_way(part.name)}"
                )

    def _is_public(self, name: str) -> bool:
        public = self._connection.public_fields
        return is_public(name) if public is None else name in public


def _read_as_text(value: bytes) -> list[str]:
    """What a notebook makes of bytes that are no UTF-8; nothing where they are no text at all."""
    if value.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return [value.decode("utf-16", "replace")]
    if b"\0" in value:
        return []
    # Also what `repr` shows of the bytes, Windows' letters where they differ, and what a terminal
    # makes of them.
    found = [value.decode(name, "replace") for name in ("latin-1", "cp1252", "utf-8")]
    return list(dict.fromkeys(found))


def _json(value: object, what: str) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        raise DagbookError(f"{what} is neither text nor what JSON can hold") from None


def _quoted(name: str) -> str:
    # What has no words of its own is the name of a field.
    return name if " " in name else f"field `{name}`"


def _other_way(name: str) -> str:
    if name == "the secret":
        return ", or one of `values` if it is no secret"
    if name.startswith("field "):
        return ", or a field of `public_fields` if it is no secret"
    return ""


def _said(field_: str | None) -> str:
    return "the secret" if field_ is None else f"the field `{field_}`"
