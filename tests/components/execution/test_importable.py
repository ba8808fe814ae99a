"""What a kernel's interpreter finds, asked without starting the kernel."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dagbook.execution.importable import importable_names, interpreter_of
from dagbook.execution.kernelspec import KernelSpec, find_kernel


def spec(*argv: str, **env: str) -> KernelSpec:
    return KernelSpec("test", argv, "python", env, "", False)


@pytest.fixture
def interpreter(tmp_path: Path) -> Path:
    """An environment of its own, with packages of every kind in it."""
    folder = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "plain.py").write_text("raise SystemExit('must not be run')")
    (packages / "package").mkdir()
    (packages / "package" / "__init__.py").write_text("raise SystemExit('must not be run')")
    (packages / "namespace" / "inner").mkdir(parents=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "editable.py").touch()
    (packages / "editable.pth").write_text(f"{elsewhere}\n")
    # Others print when they start; the answer stands below that.
    (packages / "sitecustomize.py").write_text("print('hello from here')")
    return folder / "bin" / "python"


def test_packages_of_every_kind_are_found_and_not_run(interpreter: Path) -> None:
    asked = {"plain", "package", "namespace", "editable", "json", "nowhere", "not a name"}
    found = importable_names(spec(str(interpreter), "-m", "ipykernel_launcher"), asked)
    assert found == asked - {"nowhere", "not a name"}


def test_the_kernel_s_own_environment_counts(interpreter: Path, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "added.py").touch()
    kernel = spec(str(interpreter), "-m", "x", PYTHONPATH=str(tmp_path / "more"))
    assert importable_names(kernel, {"added"}) == {"added"}


def test_what_lies_where_we_are_started_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "beside_us.py").touch()
    monkeypatch.chdir(tmp_path)
    assert importable_names(find_kernel("python3"), {"beside_us", "ipykernel"}) == {"ipykernel"}


def test_what_is_installed_meanwhile_is_found(interpreter: Path) -> None:
    kernel = spec(str(interpreter), "-m", "x")
    assert importable_names(kernel, {"later"}) == frozenset()
    (packages,) = interpreter.parent.parent.glob("lib/python*/site-packages")
    (packages / "later.py").touch()
    assert importable_names(kernel, {"later"}) == {"later"}
    interpreter.unlink()
    assert "later" in (importable_names(kernel, {"later"}) or ())


@pytest.mark.parametrize(
    "argv",
    [("/nowhere/python", "-m", "x"), ("/bin/false",), ("{prefix}/bin/python",), ("R", "--slave")],
)
def test_of_what_does_not_answer_nothing_is_known(argv: tuple[str, ...]) -> None:
    assert importable_names(spec(*argv), {"nobody_asked_before"}) is None


def test_nobody_waits_longer_than_said(tmp_path: Path) -> None:
    slow = tmp_path / "python"
    slow.write_text("#!/bin/sh\nsleep 60\n")
    slow.chmod(0o755)
    assert importable_names(spec(str(slow)), {"x"}, seconds=0.2) is None


def test_the_command_of_an_interpreter() -> None:
    assert interpreter_of(spec("/opt/x/bin/python3.12", "-m", "y")) == ("/opt/x/bin/python3.12",)
    assert interpreter_of(spec("python", "-m", "y")) == (sys.executable,)
    conda = ("conda", "run", "-n", "x", "python", "-m", "y")
    assert interpreter_of(spec(*conda)) == conda[:5]
    assert interpreter_of(spec("docker", "run", "x")) is None
