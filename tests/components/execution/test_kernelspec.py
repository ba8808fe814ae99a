"""Which kernel a notebook gets, and with which environment it starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dagbook.errors import DagbookError
from dagbook.execution.environment import MLFLOW_PATIENCE, kernel_environment
from dagbook.execution.kernelspec import find_kernel, kernel_names


@pytest.fixture
def install(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))

    def install(name: str, **content) -> Path:
        folder = tmp_path / "kernels" / name
        folder.mkdir(parents=True)
        spec = {"argv": ["run-it", "{connection_file}"], "language": "python"} | content
        (folder / "kernel.json").write_text(json.dumps(spec), "utf-8")
        return folder

    return install


def test_jupyters_own_answer_is_the_same():
    from jupyter_client.kernelspec import KernelSpecManager

    theirs = KernelSpecManager().get_kernel_spec("python3")
    ours = find_kernel("python3")
    assert [*ours.argv] == theirs.argv
    assert ours.language == theirs.language
    assert Path(ours.resource_folder) == Path(theirs.resource_dir)


def test_names_are_compared_in_lower_case(install):
    install("julia-1.10", language="julia")
    assert find_kernel("Julia-1.10").language == "julia"
    assert "julia-1.10" in kernel_names()


def test_a_notebook_without_a_kernel_gets_one_of_its_language(install):
    install("julia-1.10", language="julia")
    assert find_kernel(None, "Julia").name == "julia-1.10"
    assert find_kernel(None).name == "python3"


def test_a_language_without_a_kernel_is_refused():
    with pytest.raises(DagbookError) as refused:
        find_kernel(None, "cobol")
    assert str(refused.value).startswith("no kernel for cobol is installed here (installed: ")


def test_a_name_that_is_a_path_finds_nothing(install):
    folder = install("real")
    for name in (str(folder), "../kernels/real", "..", "re al"):
        with pytest.raises(DagbookError, match="is not installed here"):
            find_kernel(name)


def test_a_kernel_of_another_machine_is_refused(install):
    install("remote", metadata={"kernel_provisioner": {"provisioner_name": "yarn"}})
    with pytest.raises(DagbookError) as refused:
        find_kernel("remote")
    assert str(refused.value) == (
        "kernel 'remote' starts through 'yarn', on another machine; dagbook starts kernels on "
        "its own. Choose a local kernel with `kernel`."
    )


def test_a_spec_without_a_command_is_refused(install):
    install("odd", argv=[])
    with pytest.raises(DagbookError, match=r"kernel 'odd': its kernel\.json has no usable `argv`"):
        find_kernel("odd")


def test_the_environment_is_chosen_and_the_runs_own_variables_win():
    chosen = kernel_environment(
        {
            "PATH": "/bin",
            "AWS_SECRET_ACCESS_KEY": "x",
            "DAGSTER_HOME": "/d",
            "LC_ALL": "C",
            "https_proxy": "http://proxy:1",
            "http_proxy": "http://me:secret@proxy:1",
            "PYTHONPATH": "/mine",
        },
        kernelspec={"FROM_SPEC": "1"},
        extra={"LC_ALL": "de_DE.UTF-8", "MLFLOW_RUN_ID": "r"},
        project_root=Path("/project"),
    )
    assert chosen == {
        "PATH": "/bin",
        "LC_ALL": "de_DE.UTF-8",
        "https_proxy": "http://proxy:1",
        "PYTHONPATH": "/mine:/project",
        "FROM_SPEC": "1",
        "MLFLOW_RUN_ID": "r",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        **MLFLOW_PATIENCE,
    }


def test_how_long_mlflow_calls_wait_is_the_kernelspecs_then_the_deployments_to_say():
    names = ("MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES")
    chosen = kernel_environment(
        dict.fromkeys(names, "1"), kernelspec={names[0]: "2"}, extra={}, project_root=None
    )
    assert [chosen[name] for name in names] == ["2", "1"]
    assert chosen["MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER"] == "false"
