"""Runs of notebooks inside a real Dagster instance, on real kernels."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from dagbook.errors import DagbookError
from dagbook.notebook import read_notebook, resolve_parameters

if TYPE_CHECKING:
    from conftest import Workbench


def test_three_lines_of_yaml_run_a_notebook(bench: Workbench) -> None:
    bench.notebook("churn.ipynb", ["print('hello')"])
    bench.component("churn", "notebook: churn.ipynb")

    ran = bench.run("churn")

    assert ran.success
    executed = bench.root / "runs" / "churn"
    (notebook,) = executed.glob("*-succeeded.ipynb")
    (page,) = executed.glob("*-succeeded.html")
    assert ran.metadata["status"] == "succeeded"
    assert ran.metadata["executed_notebook"] == str(notebook)
    assert ran.metadata["executed_html"] == str(page)
    assert ran.metadata["size"] == "small (2 CPU, 4 GiB, 1 h)"
    assert ran.metadata["runtime_seconds"] > 0
    assert ran.metadata["peak_memory_bytes"] > 1024**2
    assert "hello" in json.dumps(json.loads(notebook.read_text())["cells"][0]["outputs"])


def test_metrics_are_numbers_on_the_materialisation_and_what_is_no_number_is_text(
    bench: Workbench,
) -> None:
    bench.notebook(
        "m.ipynb",
        [
            ("auc = 0.81\nrows = 120\nworst = float('-inf')\nruntime_seconds = 3.0", ["metrics"]),
            "import dagbook\nfor i in range(3): dagbook.log_metric('loss', 1 / (i + 1), step=i)",
        ],
    )
    bench.component("m", "notebook: m.ipynb")

    metadata = bench.run("m").materializations[0].metadata

    assert metadata["auc"] == dg.MetadataValue.float(0.81)
    assert metadata["rows"] == dg.MetadataValue.float(120.0)
    assert metadata["worst"] == dg.MetadataValue.text("-inf")
    assert metadata["loss"] == dg.MetadataValue.float(1 / 3)
    # A metric named like an entry of ours does not take its place.
    assert metadata["metric/runtime_seconds"] == dg.MetadataValue.float(3.0)
    assert metadata["runtime_seconds"].value != 3.0


def test_progress_is_logged_cell_by_cell(bench: Workbench) -> None:
    bench.notebook(
        "p.ipynb",
        [("rows = 3", []), ("assert rows > 0", ["check:rows_positive"]), ("1 / 0", ["skip"])],
    )
    bench.component("p", "notebook: p.ipynb")

    logs = bench.logs(bench.run("p"))

    assert [_without_seconds(line) for line in logs] == [
        "cell 1 of 3 completed in",
        "cell 2 of 3 (check rows_positive) completed in",
        "cell 3 of 3 (skip) left out",
    ]


def test_parameters_come_from_the_notebook_then_the_yaml_then_the_launch(bench: Workbench) -> None:
    bench.notebook(
        "p.ipynb",
        [
            ("a: int = 1\nb: int = 1\nc: int = 1", ["parameters"]),
            ("out = a*100 + b*10 + c", ["metrics"]),
        ],
    )
    bench.component("p", "notebook: p.ipynb\nparameters: {b: 2, c: 2}")

    ran = bench.run("p", config={"c": 3})

    assert ran.metadata["out"] == 123.0
    assert ran.metadata["parameters"] == {"a": 1, "b": 2, "c": 3}


def test_a_failed_blocking_check_is_recorded_without_a_materialisation_and_without_a_retry(
    bench: Workbench,
) -> None:
    bench.notebook(
        "c.ipynb",
        [
            ("rows = 0", []),
            ("assert rows >= 0", ["check:not-negative"]),
            ("assert rows > 0, 'no rows'", ["check:rows_positive"]),
            ("auc = 1.0", ["metrics"]),
        ],
    )
    bench.component("c", "notebook: c.ipynb\nretries: {max: 2, on: [error]}")

    ran = bench.run("c")

    assert not ran.success
    assert ran.checks == {"not_negative": (True, "ERROR"), "rows_positive": (False, "ERROR")}
    assert ran.materializations == []
    assert ran.attempts == 1
    assert ran.failure.description == "check rows_positive failed in cell 3: no rows"
    assert ran.metadata["status"] == "failed"
    assert ran.metadata["executed_notebook"].endswith("-failed.ipynb")


def test_a_failed_noted_check_is_recorded_and_the_asset_is_materialised(bench: Workbench) -> None:
    bench.notebook("c.ipynb", [("assert False, 'odd'", ["check-warn:odd"]), "1"])
    bench.component("c", "notebook: c.ipynb")

    ran = bench.run("c")

    assert ran.success
    assert ran.checks == {"odd": (False, "WARN")}
    assert len(ran.materializations) == 1


def test_an_exception_in_a_cell_fails_the_run_once_with_cell_exception_and_message(
    bench: Workbench,
) -> None:
    bench.notebook("e.ipynb", ["1", "{}['tenure']"])
    bench.component("e", "notebook: e.ipynb\nretries: 2")

    ran = bench.run("e")

    assert ran.failure.description == "KeyError: 'tenure' in cell 2"
    assert ran.attempts == 1


def test_an_exception_in_a_cell_is_tried_again_where_the_yaml_says_so(bench: Workbench) -> None:
    bench.notebook(
        "e.ipynb",
        [
            """
            import dagbook
            attempt = dagbook.context.attempt
            assert attempt == 3, attempt
            """,
            ("tries = attempt", ["metrics"]),
        ],
    )
    bench.component("e", "notebook: e.ipynb\nretries: {max: 2, on: [error]}")

    ran = bench.run("e")

    assert ran.success
    assert ran.attempts == 3
    assert ran.metadata["tries"] == 3.0
    assert len(list((bench.root / "runs" / "e").glob("*.ipynb"))) == 3


def test_a_killed_kernel_is_tried_again(bench: Workbench) -> None:
    bench.notebook("k.ipynb", ["import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"])
    bench.component("k", "notebook: k.ipynb\nretries: 1")

    ran = bench.run("k")

    assert ran.attempts == 2
    assert ran.metadata["status"] == "killed"


def test_a_run_past_its_time_is_not_tried_again(bench: Workbench) -> None:
    bench.notebook("t.ipynb", ["import time\ntime.sleep(60)"])
    bench.component(
        "t",
        "notebook: t.ipynb\nlimits: {max_runtime_hours: 0.0006}\nretries: {max: 3, on: [error]}",
    )

    ran = bench.run("t")

    assert ran.attempts == 1
    assert ran.metadata["status"] == "timed_out"


def test_a_cell_past_its_time_ends_the_run(bench: Workbench) -> None:
    bench.notebook("t.ipynb", ["1", "import time\ntime.sleep(60)"])
    bench.component("t", "notebook: t.ipynb\ntimeout: 1")

    ran = bench.run("t")

    assert ran.failure.description == "cell 2 ended after 1 s, the limit per cell"


def test_a_refused_run_fails_in_one_line_without_a_kernel_and_without_a_retry(
    bench: Workbench,
) -> None:
    path = bench.notebook("p.ipynb", [("rate: float = 0.1", ["parameters"])])
    bench.component("p", "notebook: p.ipynb\nretries: {max: 2, on: [error]}")

    ran = bench.run("p", config={"rat": 0.2})

    with pytest.raises(DagbookError) as refusal:
        resolve_parameters(read_notebook(path), {"rat": 0.2})
    assert ran.failure.description == str(refusal.value)
    assert "Did you mean `rate`?" in str(refusal.value)
    assert ran.attempts == 1
    assert ran.metadata == {"status": "refused", "reason": str(refusal.value)}
    assert not (bench.root / "runs").exists()


def test_a_notebook_edited_after_loading_does_not_break_its_run(bench: Workbench) -> None:
    bench.notebook("n.ipynb", [("assert True", ["check:old"]), ("assert True", ["check:same"])])
    bench.component("n", "notebook: n.ipynb")
    loaded = bench.load()
    bench.notebook(
        "n.ipynb",
        [
            ("extra: int = 1", ["parameters"]),
            ("assert True", ["check:same"]),
            ("assert extra < 0, extra", ["check-warn:new"]),
            ("m = extra", ["metrics"]),
        ],
    )

    ran = bench.run("n", defs=loaded, config={"extra": 5})

    assert ran.success
    assert ran.checks == {"same": (True, "ERROR"), "new": (False, "WARN")}
    assert ran.metadata["m"] == 5.0


def test_an_unreadable_notebook_stays_an_asset_that_says_why_and_refuses_to_run(
    bench: Workbench,
) -> None:
    (bench.root / "half.ipynb").write_text('{"cells": [')
    bench.component("half", "notebook: half.ipynb")
    bench.notebook("whole.ipynb", ["1"])
    bench.component("whole", "notebook: whole.ipynb")
    with pytest.raises(DagbookError) as refusal:
        read_notebook(bench.root / "half.ipynb")
    why = str(refusal.value)

    assert bench.spec("half").metadata["problem"] == why
    assert bench.run("half").failure.description == why
    assert bench.run("whole").success


def test_a_check_run_alone_does_not_claim_the_asset_was_made(bench: Workbench) -> None:
    bench.notebook("c.ipynb", [("assert True", ["check:one"]), ("assert True", ["check:two"])])
    bench.component("c", "notebook: c.ipynb")
    defs = bench.load()
    job = defs.resolve_implicit_global_asset_job_def()
    one = dg.AssetCheckKey(dg.AssetKey("c"), "one")

    result = dg.materialize(
        list(defs.assets or []),
        instance=bench.instance,
        selection=dg.AssetSelection.checks(one),
    )

    assert job is not None
    kinds = [e.event_type_value for e in result.all_events]
    assert result.success
    assert "ASSET_MATERIALIZATION" not in kinds
    assert kinds.count("ASSET_CHECK_EVALUATION") == 2


def _without_seconds(line: str) -> str:
    head, found, _ = line.partition(" in ")
    return head + " in" if found else line
