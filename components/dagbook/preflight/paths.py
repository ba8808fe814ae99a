"""Reading the paths that a notebook's Python names: literals, and what is plainly made of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple


class Way(StrEnum):
    """What is done with a file."""

    READ = "read"
    WRITE = "write"
    FOLDER = "folder"
    """It becomes the working folder"""
    IMPORT = "import"
    """Modules are looked for there"""


class PathUse(NamedTuple):
    """One path that a call uses."""

    path: str
    line: int
    way: Way
    is_certain: bool
    """Whether the call is made in every run"""
    literal: ast.Constant | None
    """The path as a plain text in the call or behind a name, where it is just that"""


#: Readers by their last word, with the modules they are called on; none: whatever they belong to.
_READERS: Mapping[str, frozenset[str]] = {
    **{
        f"read_{kind}": frozenset(
            {"pd", "pandas", "pl", "polars", "gpd", "geopandas", "dd", "cudf"}
        )
        for kind in [
            "csv",
            "excel",
            "parquet",
            "json",
            "pickle",
            "feather",
            "table",
            "hdf",
            "sas",
            "spss",
            "stata",
            "orc",
            "xml",
            "fwf",
            "ndjson",
            "avro",
            "ipc",
            "file",
        ]
    },
    **{f"scan_{kind}": frozenset({"pl", "polars"}) for kind in ("csv", "parquet", "ndjson", "ipc")},
    **dict.fromkeys(
        ("load", "loadtxt", "genfromtxt", "fromfile", "memmap"), frozenset({"np", "numpy"})
    ),
    "imread": frozenset({"plt", "cv2", "imageio", "mpimg", "io", "iio", "skimage"}),
    "open_dataset": frozenset({"xr", "xarray"}),
    "ExcelFile": frozenset({"pd", "pandas"}),
    "load_workbook": frozenset({"openpyxl"}),
    "loadmat": frozenset({"scipy", "sio", "io"}),
}
_LOADERS = frozenset({"joblib", "torch"})
_PATH_READERS = frozenset({"read_text", "read_bytes"})
_WRITERS = frozenset(
    [
        "to_csv",
        "to_excel",
        "to_parquet",
        "to_json",
        "to_pickle",
        "to_feather",
        "to_hdf",
        "to_stata",
        "to_orc",
        "to_xml",
        "to_html",
        "to_markdown",
        "write_csv",
        "write_parquet",
        "savefig",
    ]
)
_PATH_TYPES = frozenset({"Path", "PosixPath", "PurePath"})


class PathReader:
    """Knows the values of names that are set once, to a text or a path made of texts."""

    def __init__(self, modules: list[ast.Module], unknown: frozenset[str]) -> None:
        """Take in the whole notebook; `unknown` names get their values from elsewhere."""
        self._values: dict[str, ast.expr] = {}
        bound: dict[str, int] = {}
        for module in modules:
            for node in ast.walk(module):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    bound[node.id] = bound.get(node.id, 0) + 1
            for statement in module.body:
                if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
                    target = statement.targets[0]
                    if isinstance(target, ast.Name):
                        self._values[target.id] = statement.value
        for name in list(self._values):
            if bound[name] > 1 or name in unknown:
                del self._values[name]

    def uses(self, module: ast.Module) -> Iterator[PathUse]:
        """The paths that a cell's calls use, with what is done with them."""
        for node, certain, expects in _calls(module.body, True):
            if expects:
                continue
            for argument, way in _path_arguments(node):
                path = self.value(argument)
                if path and "\n" not in path and len(path) < 1_000:
                    yield PathUse(path, node.lineno, way, certain, self._literal(argument))

    def value(self, node: ast.expr, depth: int = 0) -> str | None:
        """The path an expression stands for; None when it is not plain."""
        if depth > 5:
            return None
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) else None
        if isinstance(node, ast.Name):
            known = self._values.get(node.id)
            return None if known is None else self.value(known, depth + 1)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            return self._joined([node.left, node.right], depth)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            left, right = self.value(node.left, depth + 1), self.value(node.right, depth + 1)
            return None if left is None or right is None else left + right
        if isinstance(node, ast.JoinedStr):
            return self._formatted(node, depth)
        if isinstance(node, ast.Call):
            return self._called(node, depth)
        return None

    def _called(self, node: ast.Call, depth: int) -> str | None:
        words = ast.unparse(node.func).split(".")
        if words[-1] in _PATH_TYPES:
            return self._joined(node.args, depth) if node.args else "."
        if words[-2:] == ["path", "join"] or words[-1] == "joinpath":
            owner = [node.func.value] if isinstance(node.func, ast.Attribute) else []
            parts = [*(owner if words[-1] == "joinpath" else []), *node.args]
            return self._joined(parts, depth)
        if words[-1] == "home" and words[-2:-1] == ["Path"]:
            return "~"
        if words[-1] in ("expanduser", "abspath", "realpath", "normpath") and node.args:
            return self.value(node.args[0], depth + 1)
        if words[-1] in ("expanduser", "resolve", "absolute") and isinstance(
            node.func, ast.Attribute
        ):
            return self.value(node.func.value, depth + 1)
        return None

    def _joined(self, nodes: list[ast.expr], depth: int) -> str | None:
        import posixpath

        parts = [self.value(node, depth + 1) for node in nodes]
        return None if any(part is None for part in parts) else posixpath.join(*map(str, parts))

    def _formatted(self, node: ast.JoinedStr, depth: int) -> str | None:
        parts = []
        for value in node.values:
            inner = value.value if isinstance(value, ast.FormattedValue) else value
            plain = not isinstance(value, ast.FormattedValue) or (
                value.conversion == -1 and value.format_spec is None
            )
            part = self.value(inner, depth + 1) if plain else None
            if part is None:
                return None
            parts.append(part)
        return "".join(parts)

    def _literal(self, node: ast.expr) -> ast.Constant | None:
        """The one text that is the whole path, in the call itself."""
        if (
            isinstance(node, ast.Call)
            and len(node.args) == 1
            and ast.unparse(node.func).split(".")[-1] in _PATH_TYPES
        ):
            node = node.args[0]
        return node if isinstance(node, ast.Constant) else None


def _path_arguments(node: ast.Call) -> Iterator[tuple[ast.expr, Way]]:
    words = ast.unparse(node.func).split(".")
    last, owner = words[-1], words[-2] if len(words) > 1 else ""
    first = node.args[0] if node.args else _keyword(node, "filepath_or_buffer", "path", "file")
    if last == "open" and owner in ("", "io", "codecs", "gzip", "bz2", "lzma"):
        if first is not None:
            yield first, _mode(node.args[1] if len(node.args) > 1 else _keyword(node, "mode"))
    elif last == "open" and owner in ("Image", "rasterio", "wave"):
        if first is not None:
            yield first, Way.READ
    elif last in _PATH_READERS and isinstance(node.func, ast.Attribute):
        yield node.func.value, Way.READ
    elif last in ("write_text", "write_bytes") and isinstance(node.func, ast.Attribute):
        yield node.func.value, Way.WRITE
    elif last == "open" and isinstance(node.func, ast.Attribute) and _is_path(node.func.value):
        yield node.func.value, _mode(node.args[0] if node.args else _keyword(node, "mode"))
    elif first is None:
        return
    elif (last in _READERS and (owner in _READERS[last])) or (last == "load" and owner in _LOADERS):
        yield first, Way.READ
    elif last == "File" and owner == "h5py":
        yield first, _mode(node.args[1] if len(node.args) > 1 else _keyword(node, "mode"))
    elif last in _WRITERS or (last in ("save", "savez", "savetxt") and owner in ("np", "numpy")):
        yield first, Way.WRITE
    elif last in ("dump", "save") and owner in _LOADERS and len(node.args) > 1:
        yield node.args[1], Way.WRITE
    elif last == "chdir" and owner == "os":
        yield first, Way.FOLDER
    elif words[-3:-1] == ["sys", "path"] and last == "append":
        yield first, Way.IMPORT
    elif words[-3:-1] == ["sys", "path"] and last == "insert" and len(node.args) > 1:
        yield node.args[1], Way.IMPORT


def _is_path(node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Div)
    return isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in _PATH_TYPES


def _keyword(node: ast.Call, *names: str) -> ast.expr | None:
    return next((keyword.value for keyword in node.keywords if keyword.arg in names), None)


def _mode(node: ast.expr | None) -> Way:
    if node is None:
        return Way.READ
    mode = node.value if isinstance(node, ast.Constant) else None
    # A mode that is not plain, or that makes the file: nothing can be missing.
    return Way.READ if isinstance(mode, str) and not set(mode) & set("wax") else Way.WRITE


def _calls(body: list[ast.stmt], certain: bool) -> Iterator[tuple[ast.Call, bool, bool]]:
    """Every call, whether it is made in every run, and whether its failing is expected."""
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from _calls(statement.body, False)
        elif isinstance(statement, ast.If | ast.While | ast.Match):
            yield from _inside([statement], False, isinstance(statement, ast.If))
        elif isinstance(statement, ast.Try):
            yield from _inside(
                [*statement.body, *statement.orelse], False, bool(statement.handlers)
            )
            for handler in statement.handlers:
                yield from _inside(handler.body, False, True)
            yield from _inside(statement.finalbody, False, False)
        elif isinstance(statement, ast.With | ast.AsyncWith):
            suppresses = any("suppress" in ast.unparse(i.context_expr) for i in statement.items)
            for item in statement.items:
                yield from _inside([ast.Expr(item.context_expr)], certain, suppresses)
            if suppresses:
                yield from _inside(statement.body, False, True)
            else:
                yield from _calls(statement.body, certain)
        elif isinstance(statement, ast.For | ast.AsyncFor):
            yield from _inside([ast.Expr(statement.iter)], certain, False)
            yield from _calls([*statement.body, *statement.orelse], certain)
        else:
            yield from _inside([statement], certain, False)


def _inside(
    nodes: list[ast.stmt], certain: bool, expects: bool
) -> Iterator[tuple[ast.Call, bool, bool]]:
    for top in nodes:
        for node in ast.walk(top):
            if isinstance(node, ast.Call):
                yield node, certain, expects
