"""Why Dagster does not come up, in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from dagbook.project import Project, create_project
from dagbook.services.explain import explain_dead_service, explain_load_error, one_line
from dagbook.services.webserver import LoadError


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return create_project(tmp_path / "shop", name="shop")


def explain(project: Project, error: LoadError) -> str:
    text = explain_load_error(project, error, Path("code-server.log"))
    before, after = "the project's definitions do not load: ", ". Mend it and run `dagbook up` "
    assert text.startswith(before)
    assert text.endswith(f"{after}again; the whole story is in code-server.log")
    return text.removeprefix(before).partition(after)[0]


def test_the_innermost_place_in_the_project_is_named(project: Project) -> None:
    stack = (
        f'  File "{project.root}/shop/defs/a.py", line 4, in <module>\n    f()\n',
        f'  File "{project.root}/shop/rates.py", line 9, in f\n    import pandaz\n',
        '  File "/usr/lib/python3.11/importlib/__init__.py", line 126, in import_module\n',
    )
    error = LoadError(
        "ModuleNotFoundError", "ModuleNotFoundError: No module named 'pandaz'\n", stack
    )
    assert explain(project, error) == (
        "shop/rates.py, line 9: ModuleNotFoundError: No module named 'pandaz'"
    )


def test_an_environment_inside_the_project_is_not_a_place_to_mend(project: Project) -> None:
    stack = (
        f'  File "{project.root}/shop/rates.py", line 9, in f\n',
        f'  File "{project.root}/.venv/lib/python3.11/site-packages/x.py", line 1, in g\n',
    )
    assert explain(project, LoadError("ValueError", "ValueError: no\n", stack)) == (
        "shop/rates.py, line 9: ValueError: no"
    )


def test_a_syntax_error_names_its_own_place(project: Project) -> None:
    message = f'  File "{project.root}/shop/rates.py", line 3\n    def (\n        ^\nSyntaxError: invalid syntax\n'
    stack = ('  File "<frozen importlib._bootstrap>", line 241, in _call\n',)
    assert explain(project, LoadError("SyntaxError", message, stack)) == (
        "shop/rates.py, line 3: SyntaxError: invalid syntax"
    )


def test_an_error_of_dagster_is_named_without_its_module(project: Project) -> None:
    message = "dagster._core.errors.DagsterInvalidDefinitionError: Duplicate asset key: a\n"
    stack = ('  File "/site-packages/dagster/x.py", line 504, in __init__\n',)
    assert explain(project, LoadError("DagsterInvalidDefinitionError", message, stack)) == (
        "DagsterInvalidDefinitionError: Duplicate asset key: a"
    )


def test_a_long_text_is_cut(project: Project) -> None:
    text = explain(project, LoadError("ValueError", "ValueError: " + "x" * 1000, ()))
    assert len(text) == 401
    assert text.endswith("x…")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Traceback:\n  File x\nOSError: [Errno 98] in use\n", "OSError: [Errno 98] in use"),
        ("\x1b[32mstarting\x1b[0m\n\x1b[31mstopped: no room\x1b[0m\n", "stopped: no room"),
        (
            "dagster._core.errors.DagsterInvalidConfigError: bad\nshutting down\n",
            "dagster._core.errors.DagsterInvalidConfigError: bad",
        ),
        ("", "it wrote nothing"),
    ],
    ids=["traceback", "coloured", "error-before-last-words", "empty"],
)
def test_a_dead_service_is_explained_by_the_end_of_its_log(
    tmp_path: Path, text: str, reason: str
) -> None:
    log = tmp_path / "daemon.log"
    log.write_text(text)
    assert explain_dead_service("daemon", log) == (
        f"Dagster's daemon ended while it was starting: {reason}; see {log}"
    )


def test_a_service_without_a_log_is_explained_too(tmp_path: Path) -> None:
    assert explain_dead_service("daemon", tmp_path / "none.log") == (
        f"Dagster's daemon ended while it was starting: it wrote nothing; see {tmp_path}/none.log"
    )


def test_an_exception_fits_on_a_line() -> None:
    assert one_line(ValueError("a\n  b\n")) == "ValueError: a b"
