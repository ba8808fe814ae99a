"""Component files (``defs.yaml``): read with positions, changed in place, written atomically."""

from __future__ import annotations

import copy
import difflib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dagbook.atomic_write import write_atomically
from dagbook.errors import DagbookError
from dagbook.yaml_comments import with_comments_of
from dagbook.yaml_edit import (
    CannotEdit,
    KeyPath,
    Splice,
    insert_entry,
    remove_entry,
    rename_key,
    replace_item,
    replace_value,
    same,
)
from dagbook.yaml_nodes import Node, YamlProblem, YamlTextError, parse_documents
from dagbook.yaml_text import block_text

#: Larger than any component file; a notebook or a data file given by mistake is not read.
MAX_BYTES = 1_000_000

_MISSING: Any = object()


class ComponentFile:
    """One component file: its documents, and the text they are written in.

    Changes are made to the text, so that comments, order, quotes, indentation and line ends of
    everything else stay as they are. Nothing reaches the disk before :meth:`write`.
    """

    def __init__(self, path: Path, text: str, *, before: bytes | None) -> None:
        self.path = path
        self.text = text
        self._before = before
        self._nodes: list[Node] = []
        self.duplicate_keys: list[YamlProblem] = []
        self._read()

    @classmethod
    def load(cls, path: Path | str, *, allow_duplicates: bool = False) -> ComponentFile:
        """Read a component file.

        Args:
            path: the file.
            allow_duplicates: keep a file with a key written twice and list it in
                ``duplicate_keys`` instead of refusing it. The last one counts, as for Dagster.

        Raises:
            DagbookError: the file cannot be read or is not valid YAML: ``file:line: text``.
        """
        path = Path(path)
        data = _read_bytes(path)
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            line = data[: error.start].count(b"\n") + 1
            raise DagbookError(f"{shown_path(path)}:{line}: not UTF-8 text") from None
        file = cls(path, text, before=data)
        if file.duplicate_keys and not allow_duplicates:
            raise file._error(file.duplicate_keys[0])
        return file

    @classmethod
    def new(cls, path: Path | str, type_name: str, attributes: Mapping[str, Any]) -> ComponentFile:
        """A component file that does not exist yet, with one component in it."""
        text = f"type: {type_name}\n"
        if attributes:
            text += "attributes:\n  " + block_text(attributes, 2) + "\n"
        return cls(Path(path), text, before=None)

    def copy(self) -> ComponentFile:
        """The same file, to be changed without changing this one."""
        # What was parsed is replaced by a change, never changed itself.
        return copy.copy(self)

    @property
    def data(self) -> bytes | None:
        """The bytes that were read; None for a file that is not on disk yet."""
        return self._before

    @property
    def documents(self) -> list[Document]:
        """The documents of the file, separated by ``---`` in its text."""
        return [Document(self, index) for index in range(len(self._nodes))]

    @property
    def changed(self) -> bool:
        """Whether :meth:`write` would change the file on disk."""
        return self._before is None or self.text.encode("utf-8") != self._before

    @property
    def is_new(self) -> bool:
        """Whether the file is not on disk yet."""
        return self._before is None

    def diff(self) -> str:
        """What :meth:`write` would change, as a unified diff; empty when nothing."""
        name = shown_path(self.path)
        before = "" if self._before is None else self._before.decode("utf-8")
        lines = difflib.unified_diff(
            before.splitlines(),
            self.text.splitlines(),
            "/dev/null" if self._before is None else name,
            name,
            lineterm="",
        )
        return "".join(f"{line}\n" for line in lines)

    def write(self) -> bool:
        """Write the file in one step; says whether there was anything to write.

        Raises:
            DagbookError: the file cannot be written, or is not what it was when it was read.
        """
        if not self.changed:
            return False
        try:
            if self._before is None:
                if self.path.exists():
                    raise DagbookError(f"{shown_path(self.path)} exists already")
            elif _read_bytes(self.path) != self._before:
                raise DagbookError(
                    f"{shown_path(self.path)} was changed by somebody else in the meantime: "
                    "nothing was written, try again"
                )
            write_atomically(self.path, self.text)
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise DagbookError(f"cannot write {shown_path(self.path)}: {reason}") from error
        self._before = self.text.encode("utf-8")
        return True

    def restore_comments(self, before: str) -> None:
        """Put back comments that stood in the text before, near where they stood.

        A key that was taken out takes the comment on its line along. Here it gets a line of its
        own.
        """
        for text in with_comments_of(before, self.text):
            nodes, values = self._nodes, [node.value for node in self._nodes]
            was, self.text = self.text, text
            try:
                self._read()
                if same([node.value for node in self._nodes], values):
                    return
            except DagbookError:
                pass
            self.text, self._nodes = was, nodes

    def _read(self) -> None:
        try:
            self._nodes, self.duplicate_keys = parse_documents(self.text)
        except YamlTextError as error:
            raise self._error(error.problem) from None

    def _error(self, problem: YamlProblem) -> DagbookError:
        return DagbookError(f"{shown_path(self.path)}:{problem.line}: {problem.text}")


class Document:
    """One component of a file: its values, where they stand, and ways to change them.

    A key path is a tuple of keys and list positions, ``("attributes", "schedule", "cron")``.
    """

    def __init__(self, file: ComponentFile, index: int) -> None:
        self.file = file
        self.index = index

    @property
    def value(self) -> Any:
        """The document as Dagster reads it; a mapping, if it is a component at all."""
        return self._node.value

    @property
    def type(self) -> str | None:
        """The component's type, such as ``dagbook.NotebookRunnerComponent``."""
        value = self.get(("type",))
        return value if isinstance(value, str) else None

    @property
    def attributes(self) -> dict[str, Any]:
        """The component's attributes; empty when there are none."""
        value = self.get(("attributes",))
        return value if isinstance(value, dict) else {}

    def get(self, path: Sequence[Any], default: Any = None) -> Any:
        """The value at a key path."""
        value = self.value
        for part in path:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return default
        return value

    def position(self, path: Sequence[Any] = ()) -> tuple[int, int]:
        """Line and column, from 1, of a key or list item; of what holds it where it is missing."""
        node = self._node
        line, column = node.line, node.column
        for part in path:
            if node.kind == "mapping" and (entry := node.entry(part)):
                key, node = entry
                line, column = key.line, key.column
            elif node.kind == "sequence" and isinstance(part, int) and part < len(node.items):
                node = node.items[part]
                line, column = node.line, node.column
            else:
                break
        return line, column

    def set(self, path: Sequence[Any], value: Any) -> None:
        """Set a value; keys that are missing on the way are added.

        A mapping in place of a mapping is merged into it key by key, so that its comments stay;
        afterwards it holds exactly the keys given.

        Raises:
            DagbookError: the value cannot be changed without rewriting its surroundings.
        """
        path = tuple(path)
        value = _plain(value)
        before = self.get(path, _MISSING)
        if before is not _MISSING and same(before, value):
            return
        if isinstance(before, dict) and isinstance(value, dict) and before and value:
            for key in [key for key in before if key not in value]:
                self.delete((*path, key))
            for key, item in value.items():
                self.set((*path, key), item)
        elif isinstance(before, list) and isinstance(value, list) and len(before) == len(value):
            for index, item in enumerate(value):
                self.set((*path, index), item)
        elif before is _MISSING and len(path) > 1 and self.get(path[:-1]) in (None, {}):
            self.set(path[:-1], {path[-1]: value})
        else:
            self._edit(path, value)

    def delete(self, path: Sequence[Any]) -> bool:
        """Take a key out, with the comment on its line; says whether it was there.

        Raises:
            DagbookError: the key cannot be removed without rewriting its surroundings.
        """
        path = tuple(path)
        if self.get(path, _MISSING) is _MISSING:
            return False
        if len(path) > 1 and self.get(path[:-1]) == {path[-1]: self.get(path)}:
            self._edit(path[:-1], {})
        else:
            self._edit(path, _MISSING)
        return True

    def rename(self, path: Sequence[Any], name: str) -> None:
        """Give a key another name; its value and its comments stay where they are.

        Raises:
            DagbookError: there is a key of that name, or it cannot be renamed safely.
        """
        path = tuple(path)
        expected, holder = self._expected(path)
        if name in holder:
            line, _ = self.position(path)
            raise DagbookError(f"{shown_path(self.file.path)}:{line}: `{name}` is there already")
        holder[name] = holder.pop(path[-1])
        self._change(path, expected, lambda: rename_key(self._key(path), name))

    @property
    def _node(self) -> Node:
        return self.file._nodes[self.index]

    def _expected(self, path: KeyPath) -> tuple[list[Any], Any]:
        """The values of the file, to be changed, and what holds the last key of a path in them."""
        expected = [_unshared(node.value) for node in self.file._nodes]
        holder = expected[self.index]
        for part in path[:-1]:
            holder = holder[part]
        return expected, holder

    def _key(self, path: KeyPath) -> Node:
        parent = self._node
        for part in path[:-1]:
            parent = _child(parent, part)
        entry = parent.entry(path[-1]) if parent.kind == "mapping" else None
        if entry is None:
            raise CannotEdit
        return entry[0]

    def _edit(self, path: KeyPath, value: Any) -> None:
        expected, holder = self._expected(path)
        if value is _MISSING:
            del holder[path[-1]]
        else:
            holder[path[-1]] = value
        self._change(path, expected, lambda: self._splice(path, value))

    def _change(self, path: KeyPath, expected: list[Any], make: Callable[[], Splice]) -> None:
        """Change the text, if it then says what is expected."""
        line, _ = self.position(path)
        text, nodes = self.file.text, self.file._nodes
        try:
            splice = make()
            written = splice.text.replace("\n", "\r\n") if "\r\n" in text else splice.text
            self.file.text = Splice(splice.start, splice.end, written).apply(text)
            self.file._read()
            if not same([node.value for node in self.file._nodes], expected):
                raise CannotEdit
        except (CannotEdit, DagbookError, ValueError):
            self.file.text, self.file._nodes = text, nodes
            raise DagbookError(
                f"{shown_path(self.file.path)}:{line}: `{path[-1]}` is written in a way that "
                "cannot be changed safely: change it by hand"
            ) from None

    def _splice(self, path: KeyPath, value: Any) -> Splice:
        text, parent = self.file.text, self._node
        for part in path[:-1]:
            parent = _child(parent, part)
        last = path[-1]
        if parent.kind == "sequence" and value is not _MISSING:
            return replace_item(parent.items[last], value)
        if parent.kind != "mapping":
            raise CannotEdit
        entry = parent.entry(last)
        if value is _MISSING:
            if entry is None:
                raise CannotEdit
            index = next(i for i, (key, _) in enumerate(parent.entries) if key is entry[0])
            return remove_entry(text, parent, index)
        if entry is None:
            return insert_entry(text, parent, last, value, step=self._step)
        return replace_value(text, *entry, value, parent, step=self._step)

    @property
    def _step(self) -> int:
        # As far as the file itself indents, seen at the first mapping inside another.
        for key, value in self._node.entries:
            if value.kind == "mapping" and not value.flow and value.start > key.end:
                return max(value.column - key.column, 1)
        return 2


def shown_path(path: Path) -> str:
    """A path as a reader wants it: relative to the working directory where it lies below."""
    absolute = path.absolute()
    here = Path.cwd()
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else str(path)


def _read_bytes(path: Path) -> bytes:
    name = shown_path(path)
    try:
        if not path.is_file():
            raise DagbookError(
                f"{name} is not a file" if path.exists() else f"{name} does not exist"
            )
        if path.stat().st_size > MAX_BYTES:
            raise DagbookError(f"{name} is larger than {MAX_BYTES:,} bytes: no component file is")
        return path.read_bytes()
    except OSError as error:
        raise DagbookError(f"cannot read {name}: {os.strerror(error.errno or 0)}") from None


def _child(node: Node, part: Any) -> Node:
    if node.kind == "sequence" and isinstance(part, int) and part < len(node.items):
        return node.items[part]
    entry = node.entry(part) if node.kind == "mapping" else None
    if entry is None or entry[1].start < entry[0].end:
        raise CannotEdit
    return entry[1]


def _unshared(value: Any) -> Any:
    # Unlike `copy.deepcopy`: what an alias stands for must not change with its anchor.
    if isinstance(value, dict):
        return {key: _unshared(item) for key, item in value.items()}
    return [_unshared(item) for item in value] if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    # What is read back is made of plain dicts, lists and scalars; dates come back as text.
    if isinstance(value, Mapping):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, str):
        return str(value)
    return value
