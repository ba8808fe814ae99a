"""`dagbook platform`: what is in force, where it comes from, and the schema for editors."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dagbook.cli import main
from dagbook.cli.platform import WORDS
from dagbook.policy.file_keys import platform_schema
from dagbook.project import create_project

FILE = """\
contact: "#data-platform"
compute_sizes:
  small: {cpus: 2, memory: 4 GiB, max_run_time: 90 min}
rules:
  kernels: [python3, ir]
"""


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "growth"
    create_project(root)
    monkeypatch.chdir(root)
    return root


def rows(text: str) -> dict[str, tuple[str, str]]:
    """Key -> value and origin, of a table's columns."""
    lines = text.splitlines()
    top = next(number for number, line in enumerate(lines) if line.startswith("KEY "))
    value, origin = lines[top].index("VALUE"), lines[top].index("FROM")
    return {
        line[:value].strip(): (line[value:origin].strip(), line[origin:])
        for line in lines[top + 1 :]
    }


def test_without_a_file_the_defaults_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["platform", "show"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("There is no dagbook-platform.yaml: these are the defaults.\n\nKEY ")
    found = rows(out)
    assert found["compute_sizes.large.memory"] == ("64 GiB", "default")
    assert found["compute_sizes.small.default"] == ("yes", "default")
    assert found["rules.python_below_defs"] == ("yes", "default")
    assert found["output_limits.per_cell"] == ("1 MB", "default")
    assert {origin for _, origin in found.values()} == {"default"}


def test_each_value_is_shown_with_where_it_comes_from(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "dagbook-platform.yaml").write_text(FILE, "utf-8")
    assert main(["platform", "show"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("dagbook-platform.yaml, version ")
    found = rows(out)
    assert found["contact"] == ("#data-platform", "dagbook-platform.yaml:1")
    assert found["compute_sizes.small.max_run_time"] == ("90 min", "dagbook-platform.yaml:3")
    assert found["compute_sizes.small.grace_seconds"] == ("10", "default")
    assert found["rules.kernels"] == ("ir, python3", "dagbook-platform.yaml:5")
    assert "compute_sizes.large.cpus" not in found


def test_the_page_shows_what_is_shown_of_its_example(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parents[3] / "docs" / "platform.md").read_text("utf-8")
    transcript, example = re.findall(r"^```(?:yaml)?\n(.*?)^```", page, re.M | re.S)[:2]
    (root / "dagbook-platform.yaml").write_text(example, "utf-8")
    assert main(["platform", "show"]) == 0
    shown = [line.split() for line in capsys.readouterr().out.splitlines()]
    lines = [line.split() for line in transcript.splitlines()]
    assert lines[0] == ["$", "dagbook", "platform", "show"]
    assert lines[-1] == ["…"]
    assert [line for line in lines[1:-1] if line not in shown] == []


def test_a_project_is_found_from_below_and_by_its_path(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "dagbook-platform.yaml").write_text(FILE, "utf-8")
    assert main(["platform", "show", str(root)]) == 0
    first = capsys.readouterr().out
    (root / "models").mkdir()
    monkeypatch.chdir(root / "models")
    assert main(["platform", "show"]) == 0
    assert rows(capsys.readouterr().out) == rows(first)


def test_a_file_that_is_not_in_force_can_be_looked_at(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "draft.yaml").write_text(FILE, "utf-8")
    assert main(["platform", "show", "draft.yaml"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("draft.yaml, version ")
    assert rows(out)["contact"] == ("#data-platform", "draft.yaml:1")


def test_everything_wrong_is_shown(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "dagbook-platform.yaml").write_text("contact: 3\nrules: {kernels: []}\n", "utf-8")
    assert main(["platform", "show"]) == 2
    assert capsys.readouterr().out == (
        "dagbook-platform.yaml:1:contact: text is wanted, not 3: write it in quotes\n"
        "dagbook-platform.yaml:2:rules.kernels: is empty: give at least one, or take the key out\n"
        "2 problems\n"
    )
    assert main(["platform", "show", "--json"]) == 2
    assert json.loads(capsys.readouterr().out) == {
        "schema": "dagbook.platform/1",
        "problems": [
            "dagbook-platform.yaml:1:contact: text is wanted, not 3: write it in quotes",
            "dagbook-platform.yaml:2:rules.kernels: is empty: give at least one, or take the key out",
        ],
    }


def test_a_link_is_shown_as_refused(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "dagbook-platform.yaml").symlink_to(root / "nowhere")
    assert main(["platform", "show"]) == 2
    assert capsys.readouterr().out == (
        "dagbook-platform.yaml:1: is a link: put the file itself there\n1 problem\n"
    )


def test_a_nearly_right_name_is_said(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "dagbook-platform.yml").write_text(FILE, "utf-8")
    assert main(["platform", "show"]) == 2
    assert capsys.readouterr().err == (
        f"dagbook: {root}/dagbook-platform.yml is not read: the platform file is called "
        "dagbook-platform.yaml\n"
    )


def test_the_same_can_be_had_as_json(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "dagbook-platform.yaml").write_text(FILE, "utf-8")
    assert main(["platform", "show", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "dagbook.platform/1"
    assert found["file"] == str(root / "dagbook-platform.yaml")
    assert found["values"]["compute_sizes"]["small"]["memory"] == "4 GiB"
    assert found["values"]["rules"]["kernels"] == ["ir", "python3"]
    assert found["values"]["tracking"]["tracking_uri"] is None
    assert found["from"]["compute_sizes.small.memory"] == "dagbook-platform.yaml:3"
    assert found["from"]["tracking.tracking_uri"] == "default"


def test_what_a_component_s_package_says_is_shown_with_it(
    root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = f"company_{os.getpid()}"
    package = tmp_path / "site" / name
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        "from typing import ClassVar\n"
        "import dagbook\n"
        "class CompanyNotebook(dagbook.NotebookRunnerComponent):\n"
        f"    platform: ClassVar[str] = '{name}:platform.yaml'\n",
        "utf-8",
    )
    (package / "platform.yaml").write_text("rules: {maximum_retries: 3}\n", "utf-8")
    (root / "dagbook-platform.yaml").write_text("rules: {maximum_retries: 5}\n", "utf-8")
    monkeypatch.syspath_prepend(str(package.parent))
    try:
        assert main(["platform", "show", "--type", f"{name}.CompanyNotebook"]) == 0
        found = rows(capsys.readouterr().out)
        assert main(["platform", "show", "--type", f"{name}.Company"]) == 2
        assert capsys.readouterr().err == (
            f"dagbook: `{name}` has no `Company`. Did you mean `CompanyNotebook`? Known: "
            "CompanyNotebook\n"
        )
    finally:
        sys.modules.pop(name, None)
    assert found["rules.maximum_retries"] == ("3", f"{name}:platform.yaml:1")
    assert found["rules.kernels"] == ("-", "default")


def test_outside_a_project_nothing_is_in_force(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["platform", "show"]) == 2
    assert capsys.readouterr().err == (
        f"dagbook: {tmp_path} is in no dagbook project: run `dagbook init` in the folder that "
        "holds your notebooks\n"
    )


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["platform", "schema"]) == 0
    assert json.loads(capsys.readouterr().out) == platform_schema()


def test_without_a_word_the_words_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["platform"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: dagbook platform show|schema")
    for word, (_, text) in WORDS.items():
        assert f"  {word:<6}  {text}\n" in out
    assert main(["platform", "help"]) == 0
    assert capsys.readouterr().out == out
    with pytest.raises(SystemExit) as left:
        main(["platform", "--help"])
    assert left.value.code == 0
    assert capsys.readouterr().out == out


def test_another_word_gets_the_right_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["platform", "shwo"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("dagbook: `platform shwo` is not a command. Did you mean `show`? Known: ")


def test_a_place_that_is_not_there_has_no_rules(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "nowhere"
    assert main(["platform", "show", str(place)]) == 2
    assert capsys.readouterr().err == f"dagbook: {place} does not exist\n"


def test_each_word_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for word in ("show", "schema"):
        with pytest.raises(SystemExit) as left:
            main(["platform", word, "--help"])
        assert left.value.code == 0
        assert f"usage: dagbook platform {word} [-h]" in capsys.readouterr().out


def test_to_show_the_rules_needs_no_dagster() -> None:
    program = (
        "import sys\n"
        "from dagbook.cli import main\n"
        "main(['platform', 'show'])\n"
        "print(sorted({'dagster', 'papermill', 'pydantic', 'ruamel'} & set(sys.modules)),"
        " file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr == "[]\n"
