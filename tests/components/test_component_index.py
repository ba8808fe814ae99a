"""Which components a project has, also beside files that nobody would load."""

from __future__ import annotations

from pathlib import Path

import pytest

from dagbook.component_index import index_components
from dagbook.project import create_project

HEAD = "type: dagbook.NotebookRunnerComponent\nattributes:\n  notebook: n.ipynb\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param(
            HEAD + "  tags:\n" + "".join(f"    k{number}: v\n" for number in range(18_000)),
            "5000: holds more than 10,000 values",
            id="keys",
        ),
        pytest.param(
            f"{HEAD}  key: {'[' * 5_000}{']' * 5_000}\n",
            "4: nested deeper than 50 levels",
            id="nesting",
        ),
        pytest.param(
            f"{HEAD}---\n" * 101, "400: holds more than 100 documents", id="documents"
        ),
        pytest.param("#" * 300_000, "1: is larger than 262,144 bytes: no component file is", id="size"),
    ],
)  # fmt: skip
def test_a_file_with_too_much_in_it_is_set_aside_and_its_neighbour_found(
    tmp_path: Path, text: str, reason: str
) -> None:
    project = create_project(tmp_path, name="shop")
    for name, content in (("hostile", text), ("neighbour", HEAD)):
        file = project.defs_folder / name / "defs.yaml"
        file.parent.mkdir()
        file.write_text(content)

    index = index_components(project)

    assert [component.name for component in index.components] == ["neighbour"]
    ((path, error),) = index.broken
    assert str(error) == f"{path}:{reason}"
