"""Reading files: what is a notebook is read, what is none is refused in one line."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from dagbook.errors import DagbookError
from dagbook.notebook import MAX_NOTEBOOK_BYTES, Notebook, parse_notebook, read_notebook

SECRET = "hunter2"


def cell(source: str, **more: Any) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "metadata": {}, "outputs": [], **more}


def document(*cells: Any, **more: Any) -> dict[str, Any]:
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": list(cells), **more}


OLD_3: dict[str, Any] = {
    "nbformat": 3,
    "nbformat_minor": 0,
    "metadata": {"name": "old"},
    "worksheets": [{"cells": []}],
}


@pytest.fixture(autouse=True)
def _nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Libraries of others print what they dislike of a file; none of it may show."""
    yield
    assert capfd.readouterr() == ("", "")


def refusal(path: Path | str) -> str:
    with pytest.raises(DagbookError) as caught:
        read_notebook(path)
    text = str(caught.value)
    assert "\n" not in text
    assert SECRET not in text
    assert text.startswith(f"{path}")
    return text.removeprefix(f"{path}: ")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "churn.ipynb"


def test_a_notebook_is_read_from_its_file(file: Path) -> None:
    file.write_text(json.dumps(document(cell("x = 1", id="a"))))
    notebook = read_notebook(file)
    assert notebook.path == file
    assert [(c.index, c.number, c.id, c.source) for c in notebook.cells] == [(0, 1, "a", "x = 1")]
    assert read_notebook(str(file)) == notebook


def test_a_byte_order_mark_is_no_harm(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps(document()).encode())
    assert read_notebook(file).cells == ()


def test_a_link_to_a_notebook_is_read(file: Path, tmp_path: Path) -> None:
    file.write_text(json.dumps(document()))
    link = tmp_path / "link.ipynb"
    link.symlink_to(file)
    assert read_notebook(link).path == link


def test_a_missing_file_is_refused_with_the_nearest_notebook(file: Path, tmp_path: Path) -> None:
    assert refusal(file) == "does not exist."
    (tmp_path / "churn_model.ipynb").touch()
    assert refusal(file) == (
        "does not exist. Did you mean `churn_model.ipynb`? Known: churn_model.ipynb"
    )
    assert refusal(tmp_path / "nowhere" / "x.ipynb") == "does not exist."
    assert refusal(tmp_path / "churn_model.ipynb" / "x.ipynb") == "does not exist."


def test_what_is_no_regular_file_is_refused_without_opening_it(file: Path, tmp_path: Path) -> None:
    assert refusal(tmp_path) == "is a folder; name a notebook in it."
    os.mkfifo(file)
    assert refusal(file) == "is a named pipe, not a file; name a notebook."
    assert refusal("/dev/null") == "is a device, not a file; name a notebook."
    here = tmp_path / "s.ipynb"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(here))
        assert refusal(here) == "is a socket, not a file; name a notebook."


def test_broken_links_are_refused(file: Path, tmp_path: Path) -> None:
    file.symlink_to(tmp_path / "gone")
    assert refusal(file) == "is a link to a file that does not exist."
    loop = tmp_path / "loop.ipynb"
    loop.symlink_to(loop)
    assert refusal(loop) == "is a link that leads back to itself."


def test_impossible_names_are_refused() -> None:
    with pytest.raises(DagbookError) as caught:
        read_notebook("a\0b.ipynb")
    assert str(caught.value) == "'a\\x00b.ipynb': cannot be a file's name."
    with pytest.raises(DagbookError) as caught:
        read_notebook("x" * 300 + ".ipynb")
    assert str(caught.value).endswith(".ipynb: cannot be read (File name too long).")


@pytest.mark.needs("other-uid")
def test_a_file_of_somebody_else_is_refused(file: Path) -> None:
    file.write_text(json.dumps(document()))
    file.chmod(0)
    os.seteuid(65534)
    try:
        answer = refusal(file)
    finally:
        os.seteuid(0)
    assert answer == "may not be read by this user; check the file's permissions."


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        pytest.param(b"", "is empty; save the notebook again from Jupyter.", id="empty"),
        pytest.param(b" \n", "is empty; save the notebook again from Jupyter.", id="blank"),
        pytest.param(
            b"\x89PNG\r\n\x1a\n\x00",
            "is not a text file in UTF-8 (byte 1 is none); save the notebook again as UTF-8.",
            id="binary",
        ),
        pytest.param(
            "{}".encode("utf-16"),
            "is in UTF-16; save the notebook again as UTF-8.",
            id="UTF-16",
        ),
        pytest.param(
            b'{"nbformat": 4, "cells": [], "cells": ["hunter2"]}',
            "has `cells` twice in one place, as after a bad merge; keep one of them.",
            id="two lists of cells",
        ),
        pytest.param(
            b"hunter2 = 1", "line 1, column 1: is not valid JSON (Expecting value).", id="not JSON"
        ),
        pytest.param(
            b'{"hunter2": 1,\n "cells": [],,}',
            "line 2, column 14: is not valid JSON "
            "(Expecting property name enclosed in double quotes).",
            id="a comma too many",
        ),
        pytest.param(
            b'{"cells": [\n{"source": "hunt',
            "line 2: is cut off there; save the notebook again from Jupyter.",
            id="cut off in a string",
        ),
        pytest.param(
            b'{"cells": [\n{"source": "hunter2"',
            "line 2: is cut off there; save the notebook again from Jupyter.",
            id="cut off after a string",
        ),
        pytest.param(
            b'{"cells": [\n<<<<<<< HEAD\n"hunter2"\n=======\n>>>>>>> main\n]}',
            "line 2: holds an unresolved merge conflict; resolve it and save again.",
            id="merge conflict",
        ),
        pytest.param(
            b"version https://git-lfs.github.com/spec/v1\noid sha256:hunter2\n",
            "is a Git LFS pointer, not the notebook; run `git lfs pull`.",
            id="Git LFS",
        ),
        pytest.param(b"[]", "is JSON but no notebook (no object at its top).", id="a list"),
        pytest.param(b'"hunter2"', "is JSON but no notebook (no object at its top).", id="a text"),
        pytest.param(b"[" * 100_000, "is JSON nested too deep to be a notebook.", id="deep"),
        pytest.param(
            b'{"nbformat": ' + b"9" * 5_000 + b"}",
            "holds a number too long to be a notebook's.",
            id="long number",
        ),
        pytest.param(
            b'{"hunter2": 1}',
            "is JSON but no notebook: `nbformat` is missing or no version number.",
            id="another JSON file",
        ),
        pytest.param(
            b'{"nbformat": "4", "cells": []}',
            "is JSON but no notebook: `nbformat` is missing or no version number.",
            id="version as text",
        ),
        pytest.param(
            b'{"nbformat": 5, "cells": []}',
            "has notebook format 5, newer than dagbook knows (4); save it as format 4.",
            id="a newer format",
        ),
        pytest.param(
            b'{"nbformat": 3, "worksheets": ["hunter2"]}',
            "has the old notebook format 3 and is damaged, so it cannot be upgraded; "
            "open it in Jupyter and save it again.",
            id="a damaged old one",
        ),
        pytest.param(
            b'{"nbformat": 4, "metadata": {}}',
            "is JSON but no notebook: it has no list of `cells`.",
            id="no cells",
        ),
    ],
)
def test_a_file_that_is_no_notebook_is_refused(file: Path, content: bytes, answer: str) -> None:
    file.write_bytes(content)
    assert refusal(file) == answer


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (
            document(metadata={"x": float("nan"), "y": float("-inf")}),
            "the file holds NaN or Infinity, which JSON has not; stored as text",
        ),
        (
            document(more=SECRET),
            "the notebook had keys that no notebook has, which are left out",
        ),
        (
            document(cell("1", id="a", more=SECRET)),
            "cell 1: had keys that no cell has, which are left out",
        ),
        (
            OLD_3,
            "the notebook had the old notebook format 3; read as 4",
        ),
    ],
    ids=["NaN", "a key of the notebook", "a key of a cell", "an old format"],
)
def test_what_is_harmless_is_mended_and_said(
    file: Path, content: dict[str, Any], note: str
) -> None:
    file.write_text(json.dumps(content))
    notebook = read_notebook(file)
    assert notebook.notes[0] == note
    nbformat.validate(nbformat.from_dict(notebook.document))


def test_a_name_that_stands_twice_where_it_does_no_harm_is_said_once(file: Path) -> None:
    text = json.dumps(document(metadata={"x": 1, "y": {"z": 1}}))
    file.write_text(text.replace('"x": 1', '"x": 1, "x": 2').replace('"z": 1', '"z": 1, "z": 2'))
    notebook = read_notebook(file)
    assert notebook.notes[0] == "a name stood twice in one place of the file; the last one counts"
    assert notebook.document["metadata"]["x"] == notebook.document["metadata"]["y"]["z"] == 2


def test_nesting_too_deep_is_left_out_of_outputs_and_refused_elsewhere(file: Path) -> None:
    deep: Any = SECRET
    for _ in range(300):
        deep = [deep]
    output = {"output_type": "display_data", "metadata": {}, "data": {"application/json": deep}}
    file.write_text(json.dumps(document(cell("1", id="a", outputs=[output]))))
    notebook = read_notebook(file)
    assert notebook.notes[0] == "cell 1: had outputs nested too deep, which are left out"
    assert notebook.document["cells"][0]["outputs"] == []
    file.write_text(json.dumps(document(metadata={"x": deep})))
    assert refusal(file) == "its metadata is nested too deep to be a notebook's."
    file.write_text(json.dumps(document(cell("1", metadata={"x": deep}))))
    with pytest.raises(DagbookError) as caught:
        read_notebook(file)
    assert str(caught.value) == f"{file}, cell 1: its metadata is nested too deep."


def test_a_link_out_of_the_project_is_refused_where_a_project_is_given(
    file: Path, tmp_path: Path
) -> None:
    project, alias = tmp_path / "project", tmp_path / "alias"
    project.mkdir()
    alias.symlink_to(project)
    file.write_text(json.dumps(document()))
    link = project / "n.ipynb"
    link.symlink_to(file)
    assert read_notebook(link).path == link
    with pytest.raises(DagbookError) as caught:
        read_notebook(link, within=project)
    assert str(caught.value) == (
        f"{link}: leads to a file outside the project {project}; put the notebook itself there."
    )
    link.unlink()
    file.rename(link)
    (project / "again.ipynb").symlink_to(link)
    assert read_notebook(alias / "again.ipynb", within=alias).cells == ()


def test_a_name_that_cannot_be_printed_is_shown_as_python_would(tmp_path: Path) -> None:
    for name in ("a\nb.ipynb", os.fsdecode(b"\xff.ipynb")):
        with pytest.raises(DagbookError) as caught:
            read_notebook(tmp_path / name)
        assert str(caught.value) == f"{str(tmp_path / name)!r}: does not exist."


def test_a_file_that_is_too_large_is_refused_unread(file: Path) -> None:
    with file.open("wb") as sparse:
        sparse.truncate(MAX_NOTEBOOK_BYTES + 1)
    assert refusal(file) == (
        "is larger than 100 MB, which is data and not a notebook; "
        "clear its outputs and save it again."
    )


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text(SECRET)
    assert refusal(path) == (
        "a notebook's name ends in .ipynb, or in .py, .md, .R, .r, .jl, .sh or .Rmd for jupytext."
    )


OLD = {
    3: {
        "nbformat": 3,
        "nbformat_minor": 0,
        "metadata": {"name": "old"},
        "worksheets": [
            {
                "cells": [
                    {"cell_type": "heading", "level": 2, "source": ["Churn"], "metadata": {}},
                    {
                        "cell_type": "code",
                        "language": "python",
                        "input": ["x = 1\n", "x"],
                        "outputs": [{"output_type": "pyout", "prompt_number": 1, "text": ["1"]}],
                        "metadata": {},
                    },
                ]
            }
        ],
    },
    2: {
        "nbformat": 2,
        "worksheets": [{"cells": [{"cell_type": "code", "input": "x = 1\nx", "outputs": []}]}],
    },
    1: {"nbformat": 1, "cells": [{"cell_type": "code", "code": "x = 1\nx"}]},
}


@pytest.mark.parametrize("version", OLD)
def test_older_formats_are_upgraded(version: int, file: Path) -> None:
    file.write_text(json.dumps(OLD[version]))
    notebook = read_notebook(file)
    nbformat.validate(nbformat.from_dict(notebook.document))
    assert notebook.cells[-1].source == "x = 1\nx"
    assert notebook.language == "python"
    assert read_notebook(file) == notebook  # with the same cell ids each time


PERCENT = """\
# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% tags=["parameters"]
alpha: float = 0.5  # smoothing

# %% [markdown]
# # Churn

# %%
# dagster: check rows --warn
# %matplotlib inline
assert alpha

# %%
# %%dagster metrics
auc = 0.9
"""
LIGHT = """\
# dagster: parameters
alpha: float = 0.5  # smoothing

# # Churn

# dagster: check rows --warn
# %matplotlib inline
assert alpha

# + tags=["metrics"]
auc = 0.9
"""
MARKDOWN = """\
---
jupyter:
  kernelspec:
    display_name: Python 3
    language: python
    name: python3
---

```python tags=["parameters"]
alpha: float = 0.5  # smoothing
```

# Churn

```python
# dagster: check rows --warn
%matplotlib inline
assert alpha
```

```python
%%dagster metrics
auc = 0.9
```
"""
MYST = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  name: python3
---

```{code-cell} ipython3
:tags: [parameters]

alpha: float = 0.5  # smoothing
```

# Churn

```{code-cell} ipython3
# dagster: check rows --warn
%matplotlib inline
assert alpha
```

```{code-cell} ipython3
:tags: [metrics]

auc = 0.9
```
"""


@pytest.mark.parametrize(
    ("name", "text", "kernel"),
    [
        pytest.param("churn.py", PERCENT, "python3", id="percent"),
        pytest.param("churn.py", LIGHT, None, id="light"),
        pytest.param("churn.md", MARKDOWN, "python3", id="Markdown"),
        pytest.param("churn.md", MYST, "python3", id="MyST"),
    ],
)
def test_jupytext_notebooks_are_read(
    name: str, text: str, kernel: str | None, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(text)
    notebook = read_notebook(path)
    assert (notebook.language, notebook.kernel_name, notebook.notes) == ("python", kernel, ())
    roles = [str(c.role) for c in notebook.cells if c.cell_type == "code"]
    assert roles == ["parameters", "check-warn:rows", "metrics"]
    assert "%matplotlib inline" in notebook.cells[2].kernel_source
    assert [p.help for p in notebook.parameters] == ["smoothing"]
    nbformat.validate(nbformat.from_dict(notebook.document))
    assert read_notebook(path) == notebook  # with the same cell ids each time


def test_a_jupytext_file_says_its_language(tmp_path: Path) -> None:
    path = tmp_path / "churn.R"
    path.write_text('# %% tags=["parameters"]\nrows <- 5L\n')
    notebook = read_notebook(path)
    assert notebook.language == "R"
    assert notebook.parameters[0].type == "int"


def test_a_damaged_jupytext_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "churn.md"
    path.write_text(f"---\njupytext: [{SECRET}\n---\nx")
    assert refusal(path) == (
        "jupytext cannot read it as a notebook (ParserError); check its header."
    )


def test_a_header_that_jupytext_would_pass_over_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "churn.py"
    path.write_text(f"# ---\n# title: x\n# jupyter: [{SECRET}\n# ---\n\nx = 1\n")
    assert refusal(path) == "its header is no valid YAML, so jupytext cannot read it."
    path.write_text("# ---\n# title: x\n# ---\n\nx = 1\n")
    assert read_notebook(path).cells[-1].source == "x = 1"


def test_without_jupytext_the_error_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jupytext", None)  # what Python does for a missing module
    path = tmp_path / "churn.py"
    path.write_text(PERCENT)
    assert refusal(path) == "reading a .py notebook needs jupytext: `pip install jupytext`."


def test_an_ordinary_notebook_is_read_without_slow_imports(file: Path) -> None:
    file.write_text(json.dumps(document(cell("# dagster: parameters\nx = 1"))))
    code = (
        "import sys\n"
        "from dagbook.notebook import *\n"
        "book = read_notebook(sys.argv[1])\n"
        "resolve_parameters(book, {'x': 2}), code_version(book), local_modules(book, [])\n"
        "slow = {'nbformat', 'jupytext', 'IPython', 'papermill', 'dagster', 'jupyter_client',\n"
        "        'ruamel', 'yaml', 'jsonschema', 'pydantic', 'asyncio', 'logging'}\n"
        "print(sorted(slow & set(sys.modules)))\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True)
    assert (ended.stdout, ended.stderr) == ("[]\n", "")


def test_reading_is_the_same_from_file_and_from_memory(file: Path) -> None:
    content = document(cell("x = 1", id="a"), metadata={"language_info": {"name": "python"}})
    file.write_text(json.dumps(content))
    from_memory = parse_notebook(content, file)
    assert isinstance(from_memory, Notebook)
    assert read_notebook(file) == from_memory
