"""`dagbook components` and `dagbook describe`: what a reader and a script get."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dagbook.cli import main
from dagbook.project import create_project

OURS = "dagbook.NotebookRunnerComponent"


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    project = create_project(tmp_path / "shop")
    monkeypatch.chdir(project.root)
    return project.root


def dagbook(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> str:
    assert main(words) == status
    output = capsys.readouterr()
    return output.err if status else output.out


def test_the_list_can_be_narrowed_by_text_and_by_type(capsys: pytest.CaptureFixture[str]) -> None:
    everything = dagbook(capsys, "components", "list").splitlines()
    sql = dagbook(capsys, "components", "list", "--filter", "TEMPLATED sql").splitlines()
    ours = dagbook(capsys, "components", "list", "--type", "NotebookRunnerComponent").splitlines()
    none = dagbook(capsys, "components", "list", "--filter", "no such thing")

    assert everything[0].split() == ["COMPONENT", "PACKAGE", "WHAT", "IT", "DOES"]
    assert len(everything) > 5
    assert [line.split()[0] for line in sql[1:]] == ["dagster.TemplatedSqlComponent"]
    assert [line.split()[0] for line in ours[1:]] == [OURS]
    assert none == "no component is like that: `dagbook components list` shows all\n"


def test_a_type_that_does_not_exist_lists_those_that_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = dagbook(capsys, "components", "list", "--type", "dagbook.Notebook", status=2)
    assert said.startswith(
        f"dagbook: there is no component `dagbook.Notebook`. Did you mean `{OURS}`? Known: {OURS}, "
    )


def test_the_list_is_there_for_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    answer = json.loads(dagbook(capsys, "components", "list", "--json"))
    assert answer["schema"] == "dagbook.components/1"
    (ours,) = [entry for entry in answer["components"] if entry["name"] == OURS]
    assert ours["runs_notebooks"] is True
    assert ours["problem"] is None
    assert ours["package"]["distribution"] == "dagbook"


def test_a_component_is_described_the_same_way_by_both_commands(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = dagbook(capsys, "describe", "NotebookRunnerComponent")
    assert text == dagbook(capsys, "components", "describe", OURS)

    assert text.startswith(f"{OURS}\ndagbook ")
    assert "used by 0 notebooks\n" in text
    assert "\nrequired\n  notebook  (text)\n" in text
    assert "\n  compute_size  (text, default small)\n" in text
    assert "\n      - medium (4 CPU, 16 GiB, 4 h)\n" in text
    assert "\n  schedule.cron  (text, required)\n" in text
    assert text.endswith(
        "an example that `dagbook validate` accepts\n"
        f"  type: {OURS}\n  attributes:\n    notebook: models/churn.ipynb\n"
    )
    found = json.loads(dagbook(capsys, "describe", OURS, "--json"))
    assert found["schema"] == "dagbook.component/1"
    assert found["example"].startswith(f"type: {OURS}\n")


def test_the_platform_file_is_in_every_description(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "dagbook-platform.yaml").write_text(
        "rules:\n  maximum_retries: 2\n  component_types: [dagster.DefsFolderComponent]\n"
        "contact: '#platform'\n"
    )
    text = dagbook(capsys, "describe", OURS)
    assert "✕ not allowed by the platform file: ask #platform\n" in text
    assert "      policy: at most 2\n" in text
    (root / "dagbook-platform.yaml").write_text("rules: {maximum_retrys: 2}\n")
    said = dagbook(capsys, "describe", OURS, status=2)
    assert said.startswith("dagbook: dagbook-platform.yaml:1:rules.maximum_retrys: unknown key. ")


def test_the_schema_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    schema = json.loads(dagbook(capsys, "components", "schema", "NotebookRunnerComponent"))
    assert schema["title"] == OURS
    assert schema["required"] == ["notebook"]
    assert "small" in schema["properties"]["compute_size"]["enum"]


def test_the_catalogue_is_written_where_it_is_asked_for(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = dagbook(capsys, "components", "docs", "--output", "site")
    assert said.endswith(" components: site/index.html\n")
    assert (root / "site" / f"{OURS}.html").is_file()


def test_a_catalogue_stays_when_the_platform_file_cannot_be_read(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dagbook(capsys, "components", "docs", "--output", "site")
    (root / "dagbook-platform.yaml").write_text("rules: {maximum_retrys: 2}\n")
    said = dagbook(capsys, "components", "docs", "--output", "site", status=2)
    assert said.startswith("dagbook: dagbook-platform.yaml:1:rules.maximum_retrys: unknown key. ")
    assert (root / "site" / f"{OURS}.html").is_file()


def test_a_command_without_a_word_says_which_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["components"]) == 2
    assert capsys.readouterr().err == (
        "dagbook: the following arguments are required: list|describe|schema|docs: see "
        "`dagbook components --help`\n"
    )


@pytest.mark.parametrize("word", ["list", "describe", "schema", "docs"])
def test_each_word_explains_itself_with_examples(
    word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["components", word, "--help"])
    assert left.value.code == 0
    said, _, examples = capsys.readouterr().out.partition("examples:\n")
    assert said.startswith(f"usage: dagbook components {word} [-h]")
    assert examples.startswith(f"  dagbook components {word}")
