"""What a reader keeps of their own from the form: in their own file, and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ipywidgets
import pytest

from dagbook.credentials.kept import kept, kept_values
from dagbook_magics.form.own_credentials import OwnCredentials

CONNECTIONS = [
    {"name": "analytics", "own": ["DB_USER", "DB_PASSWORD"], "files": [], "public": ["DB_USER"]},
    {"name": "warehouse", "own": ["KEY_FILE"], "files": ["KEY_FILE"], "public": []},
    {"name": "nothing", "own": [], "files": [], "public": []},
]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("DB_PASSWORD", raising=False)
    root = tmp_path / "work"
    root.mkdir()
    return root


@pytest.fixture
def own(project: Path) -> Any:
    made = OwnCredentials(project, CONNECTIONS)
    made.follow({"database": "analytics", "lake": "warehouse"})
    return made


def said(own: Any) -> str:
    return str(own._state.value)


def test_only_what_is_named_and_can_be_given_is_asked_for(project: Path) -> None:
    made = OwnCredentials(project, CONNECTIONS)
    assert made.widget.layout.display == "none"
    made.follow({"bucket": "company-data", "none": "nothing"})
    assert made.widget.layout.display == "none"
    made.follow({"database": "analytics"})
    assert made.widget.layout.display == ""
    assert [name for _, name in made._inputs] == ["DB_USER", "DB_PASSWORD"]


def test_a_secret_is_typed_unseen_and_a_file_s_text_in_lines(own: Any) -> None:
    kinds = {name: type(made) for (_, name), made in own._inputs.items()}
    assert kinds == {
        "DB_USER": ipywidgets.Text,
        "DB_PASSWORD": ipywidgets.Password,
        "KEY_FILE": ipywidgets.Textarea,
    }


def test_what_is_kept_leaves_the_page(own: Any, project: Path) -> None:
    typed = own._inputs["analytics", "DB_PASSWORD"]
    typed.value = "correct horse"
    own._inputs["analytics", "DB_USER"].value = "me"
    own._keep()
    assert kept_values(project) == {"analytics": {"DB_USER": "me", "DB_PASSWORD": "correct horse"}}
    assert typed.value == ""
    assert "correct horse" not in said(own)
    assert "Kept. analytics: DB_USER, DB_PASSWORD" in said(own)
    assert own._inputs["analytics", "DB_PASSWORD"].placeholder == "kept"
    states = [str(each.get_state()) for each in ipywidgets.Widget.widgets.values()]
    assert not any("correct horse" in state for state in states)


def test_what_cannot_be_masked_is_refused_and_stays_to_be_mended(own: Any, project: Path) -> None:
    own._inputs["analytics", "DB_PASSWORD"].value = "short"
    own._keep()
    assert kept(project) == {}
    assert "shorter than 6 characters" in said(own)
    assert own._inputs["analytics", "DB_PASSWORD"].value == "short"


def test_what_is_set_already_is_told(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "correct horse")
    made = OwnCredentials(project, CONNECTIONS)
    made.follow({"database": "analytics"})
    assert made._inputs["analytics", "DB_PASSWORD"].placeholder == "set in your environment"


def test_it_is_forgotten_again(own: Any, project: Path) -> None:
    own._inputs["analytics", "DB_PASSWORD"].value = "correct horse"
    own._keep()
    own._forget()
    assert kept(project) == {}
    assert "Forgotten: analytics" in said(own)
