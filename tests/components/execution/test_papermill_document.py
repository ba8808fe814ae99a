"""A notebook prepared without papermill is as papermill would have prepared it."""

from __future__ import annotations

import nbformat
import papermill
from papermill.engines import Engine, papermill_engines

from dagbook.execution.papermill_document import prepared_document
from dagbook.notebook import parse_notebook

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


class Recorder(Engine):
    """Keeps what papermill hands to an engine."""

    @classmethod
    def execute_notebook(cls, nb, kernel_name, **_options):
        cls.seen = nbformat.from_dict(nb)
        return nb


def notebook():
    made = nbformat.v4.new_notebook()
    made.metadata.update(kernelspec=KERNEL, title="kept", orig_nbformat=4, signature="sha256:1")
    marker = nbformat.v4.new_markdown_cell("An Exception was encountered", id="marker")
    marker.metadata["tags"] = ["papermill-error-cell-tag"]
    made.cells = [
        marker,
        nbformat.v4.new_markdown_cell("# Title\n\ntext", id="title"),
        nbformat.v4.new_code_cell("n = 1", id="parameters", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(
            "print(n)\nn", id="old", metadata={"trusted": True, "papermill": {"status": "x"}}
        ),
        nbformat.v4.new_raw_cell("raw", id="raw", metadata={"slideshow": {"slide_type": "skip"}}),
    ]
    return made


def as_papermill_makes_it(source):
    papermill_engines.register("recorder", Recorder)
    papermill.execute_notebook(
        nbformat.from_dict(source), None, engine_name="recorder", progress_bar=False
    )
    prepared = Recorder.seen
    # papermill notes the notebook itself as its own path; the runner puts the name there.
    for name in ("input_path", "output_path"):
        prepared.metadata.papermill.pop(name)
    return prepared


def test_it_is_as_papermill_hands_it_to_an_engine():
    source = parse_notebook(notebook()).document
    assert prepared_document(source) == as_papermill_makes_it(source)


def test_so_is_one_that_papermill_has_run_before():
    before = notebook()
    before.metadata["papermill"] = {"version": "1.0", "parameters": {"n": 5}, "duration": 1.5}
    source = parse_notebook(before).document
    assert prepared_document(source) == as_papermill_makes_it(source)


def test_the_notebook_it_was_made_from_stays_as_it_was():
    source = parse_notebook(notebook()).document
    before = nbformat.from_dict(source).copy()
    prepared = prepared_document(source)
    prepared["metadata"]["kernelspec"]["name"] = "other"
    for cell in prepared["cells"]:
        cell["metadata"]["papermill"]["status"] = "completed"
        cell["source"] = ""
    assert source == before
    assert source["metadata"]["kernelspec"]["name"] == "python3"
