"""Notebooks written for dagstermill, run by the real dagstermill through our component."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import nbformat
import papermill
import psutil
import pytest
from tests.components.notebook_runner.dagstermill_bench import run_for_real

if TYPE_CHECKING:
    from conftest import Ran, Workbench

pytestmark = pytest.mark.needs("dagstermill")

PARAMETERS = "context = dagstermill.get_context(op_config={'region': 'lab', 'limit': 1})"


@pytest.fixture
def dagstermill_run(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    monkeypatch.syspath_prepend(str(bench.root))
    monkeypatch.chdir(bench.root)
    return lambda *keys, **options: run_for_real(bench, *keys, **options)


def python(bench: Workbench, name: str, code: str) -> None:
    path = bench.project.defs_folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code)


def shown(path: Path, cell: int) -> str:
    outputs = nbformat.read(path, as_version=4).cells[cell].outputs
    return "".join(o.get("text", "") for o in outputs if o.get("name") == "stdout")


def test_a_notebook_that_works_in_dagstermills_asset_works_unchanged_in_ours(
    bench: Workbench, dagstermill_run: Callable[..., Ran]
) -> None:
    path = bench.notebook(
        "notebooks/sales.ipynb",
        [
            "import dagster as dg\nimport dagstermill",
            (PARAMETERS, ["parameters"]),
            "config = dict(context.op_config)\n"
            "print(sorted(config.items()), context.resources.shop.name, events)\n"
            "print(context.run.tags['dagster/partition'])",
            "dagstermill.yield_event(dg.AssetObservation('seen', metadata={'rows': len(events)}))\n"
            "dagstermill.yield_event(dg.AssetMaterialization('made', metadata={'rows': 2}))",
        ],
    )
    python(
        bench,
        "raw/shop.py",
        f"""
import dagster as dg
import dagstermill

class Shop(dg.ConfigurableResource):
    name: str

DAYS = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-01-05")

@dg.asset(key=["raw", "events"], partitions_def=DAYS)
def events(): return ["one", "two"]

stock = dagstermill.define_dagstermill_asset(
    name="stock", notebook_path={str(path)!r}, partitions_def=DAYS,
    ins={{"events": dg.AssetIn(dg.AssetKey(["raw", "events"]))}}, required_resource_keys={{"shop"}},
)

@dg.definitions
def defs():
    return dg.Definitions(
        assets=[events, stock],
        resources={{
            "shop": Shop(name="corner shop"),
            "output_notebook_io_manager": dagstermill.ConfigurableLocalOutputNotebookIOManager(),
        }},
    )
""",
    )
    bench.component(
        "sales",
        """
        notebook: notebooks/sales.ipynb
        engine: dagstermill
        schedule: "0 6 * * *"
        partitions: {type: daily, start_date: 2026-01-01, end_date: 2026-01-05}
        parameters: {region: "None", since: "{{ data_interval_start }}", day: 2026-01-02}
        owners: ["team:growth"]
        tags: {tier: gold}
        group: shop
        dagstermill:
          resource_keys: [shop]
          inputs: {events: raw/events}
          io_manager_key: output_notebook_io_manager
        """,
    )
    day = "2026-01-03"
    theirs_config = {"region": "None", "since": "2026-01-03T00:00:00+00:00", "day": "2026-01-02"}

    spec = bench.spec("sales")
    made = dagstermill_run("raw/events", partition=day)
    theirs = dagstermill_run("stock", partition=day, config=theirs_config)
    ours = dagstermill_run("sales", partition=day)

    assert (made.success, theirs.success, ours.success) == (True, True, True)
    assert spec.owners == ["team:growth"]
    assert spec.tags["tier"] == "gold"
    assert spec.group_name == "shop"
    assert spec.kinds == {"jupyter", "dagstermill"}
    assert spec.metadata["notebook"] == dg.MetadataValue.notebook(str(path))
    assert spec.metadata["schedule"].startswith("0 6 * * *")
    # The project's IO manager, and our own record of this very run.
    (executed,) = (bench.root / "runs" / "sales" / day).glob("*-succeeded.ipynb")
    (page,) = (bench.root / "runs" / "sales" / day).glob("*-succeeded.html")
    kept = Path(bench.instance.storage_directory()) / "sales" / f"{day}.ipynb"
    metadata = ours.materializations[0].metadata
    assert metadata["Executed notebook"] == dg.MetadataValue.notebook(str(kept))
    assert metadata["executed_notebook"] == dg.MetadataValue.notebook(str(executed))
    assert metadata["executed_html"] == dg.MetadataValue.path(str(page))
    assert metadata["status"].value == "succeeded"
    assert metadata["engine"].value == "dagstermill"
    assert metadata["size"].value == "small (2 CPU, 4 GiB, 1 h)"
    assert metadata["parameters"].value == theirs_config
    assert metadata["peak_memory_bytes"].value > 1024**2
    # The same cells showed the same, and the same events arrived.
    stock = Path(theirs.metadata["Executed notebook"])
    assert shown(executed, 2) == shown(stock, 2) == shown(kept, 2)
    assert shown(executed, 2) == (
        "[('day', '2026-01-02'), ('region', 'None'), ('since', '2026-01-03T00:00:00+00:00')] "
        f"corner shop ['one', 'two']\n{day}\n"
    )
    assert notebook_events(ours) == notebook_events(theirs)
    assert [kind for kind, _, _ in notebook_events(ours)] == [
        "ASSET_OBSERVATION",
        "ASSET_MATERIALIZATION",
    ]


def notebook_events(ran: Ran) -> list[tuple[str, str, Any]]:
    found = []
    for event in ran.events:
        if event.event_type_value == "ASSET_OBSERVATION":
            told = event.asset_observation_data.asset_observation
        elif event.event_type_value == "ASSET_MATERIALIZATION":
            told = event.materialization
        else:
            continue
        if told.asset_key.path[0] in ("seen", "made"):
            found.append((event.event_type_value, told.asset_key.path[0], told.metadata))
    return found


def test_a_launch_overrides_one_parameter_and_the_others_stay(
    bench: Workbench, dagstermill_run: Callable[..., Ran]
) -> None:
    bench.notebook(
        "p.ipynb",
        [
            "import dagstermill",
            (PARAMETERS, ["parameters"]),
            "print(sorted(context.op_config.items()))",
        ],
    )
    bench.component(
        "p", "notebook: p.ipynb\nengine: dagstermill\nparameters: {region: north, limit: 3}"
    )

    # Another one that names no IO manager shares the first one's.
    bench.component("p2", "notebook: p.ipynb\nengine: dagstermill")

    ran = dagstermill_run("p", config={"limit": 5})

    assert ran.metadata["Executed notebook"] == str(bench.root / "runs" / "p.ipynb")
    assert ran.metadata["parameters"] == {"region": "north", "limit": 5}
    assert (
        shown(Path(ran.metadata["executed_notebook"]), 2) == "[('limit', 5), ('region', 'north')]\n"
    )
    # Its translator stayed in there: papermill and our engine write parameters as ever.
    bench.notebook("q.ipynb", [("x = 1", ["parameters"]), "print(x)"])
    out = bench.root / "out.ipynb"
    papermill.execute_notebook(bench.root / "q.ipynb", out, {"x": 2}, progress_bar=False)
    assert shown(out, 2) == "2\n"
    bench.component("q", "notebook: q.ipynb\nparameters: {x: 3}")
    default = bench.run("q")
    assert shown(Path(default.metadata["executed_notebook"]), 2) == "3\n"


def test_a_failed_cell_keeps_its_notebook(
    bench: Workbench, dagstermill_run: Callable[..., Ran]
) -> None:
    bench.notebook("f.ipynb", ["print('kept')", "raise ValueError('no rows')", "print('never')"])
    bench.component("f", "notebook: f.ipynb\nengine: dagstermill\nretries: 1")

    ran = dagstermill_run("f")

    assert not ran.success
    assert ran.attempts == 1
    assert ran.materializations == []
    assert ran.failure.description == "ValueError: no rows in cell 2"
    assert ran.metadata["status"] == "failed"
    (executed,) = (bench.root / "runs" / "f").glob("*-failed.ipynb")
    assert ran.metadata["executed_notebook"] == str(executed)
    notebook = nbformat.read(executed, as_version=4)
    nbformat.validate(notebook)
    banner, *cells = notebook.cells
    assert banner.source == "### ✕ Failed\n\n```\nValueError: no rows in cell 2\n```\n"
    code = {cell.source: cell for cell in cells}
    assert code["print('kept')"].outputs[0].text == "kept\n"
    assert code["print('kept')"].metadata.papermill.status == "completed"
    assert code["raise ValueError('no rows')"].metadata.papermill.status == "failed"
    assert code["print('never')"].metadata.papermill.status == "not_run"


def test_a_killed_kernel_is_tried_again(
    bench: Workbench, dagstermill_run: Callable[..., Ran]
) -> None:
    marker = bench.root / "tried"
    bench.notebook(
        "k.ipynb",
        [
            "print('before')",
            f"import os, pathlib\nmarker = pathlib.Path({str(marker)!r})\n"
            "if not marker.exists():\n    marker.touch()\n    os.kill(os.getpid(), 9)",
            "print('after')",
        ],
    )
    bench.component("k", "notebook: k.ipynb\nengine: dagstermill\nretries: 1")

    ran = dagstermill_run("k")

    assert ran.success
    assert ran.attempts == 2
    (killed,) = (bench.root / "runs" / "k").glob("*-killed.ipynb")
    code = [c for c in nbformat.read(killed, as_version=4).cells if c.cell_type == "code"]
    states = [c.metadata.papermill.status for c in code if "injected" not in str(c.metadata.tags)]
    assert states == ["completed", "killed", "not_run"]


@pytest.mark.parametrize(
    ("event", "reason", "attempts"),
    [
        ("Failure('no rows', metadata={'rows': 0})", "no rows", 1),
        ("RetryRequested(max_retries=1)", None, 2),
    ],
    ids=["failure", "retry"],
)
def test_what_a_notebook_yields_decides(
    bench: Workbench,
    dagstermill_run: Callable[..., Ran],
    event: str,
    reason: str | None,
    attempts: int,
) -> None:
    bench.notebook(
        "e.ipynb", [f"import dagster as dg, dagstermill\ndagstermill.yield_event(dg.{event})"]
    )
    bench.component("e", "notebook: e.ipynb\nengine: dagstermill")

    ran = dagstermill_run("e")

    assert not ran.success
    assert ran.attempts == attempts
    assert ran.materializations == []
    assert len(list((bench.root / "runs" / "e").glob("*-failed.ipynb"))) == attempts
    if reason is not None:
        assert ran.failure.description == reason
        assert ran.metadata["rows"] == 0
        assert ran.metadata["status"] == "failed"


def test_a_result_cannot_be_yielded_as_in_dagstermills_own_assets(
    bench: Workbench, dagstermill_run: Callable[..., Ran]
) -> None:
    bench.notebook("r.ipynb", ["import dagstermill\ndagstermill.yield_result(1)"])
    bench.component("r", "notebook: r.ipynb\nengine: dagstermill")

    ran = dagstermill_run("r")

    assert ran.failure.description == (
        "DagstermillError: dagstermill assets do not currently support dagstermill.yield_result "
        "in cell 1"
    )


def test_a_run_over_its_time_is_ended_with_all_its_processes(
    bench: Workbench, dagstermill_run: Callable[..., Ran]
) -> None:
    pid = bench.root / "pid"
    child = "subprocess.Popen(['sleep', '600'], start_new_session=True).pid"
    bench.notebook(
        "t.ipynb",
        [
            f"import subprocess\nopen({str(pid)!r}, 'w').write(str({child}))",
            "import time\ntime.sleep(600)",
            "1",
        ],
    )
    bench.component(
        "t", "notebook: t.ipynb\nengine: dagstermill\nlimits: {max_runtime_hours: 0.0025}"
    )

    ran = dagstermill_run("t")

    assert ran.failure.description == "ended after 9 s, the limit of this run"
    assert ran.metadata["status"] == "timed_out"
    assert has_ended(int(pid.read_text()))


def test_a_run_at_its_budget_is_ended_and_settled(
    bench: Workbench, dagstermill_run: Callable[..., Ran]
) -> None:
    (bench.root / "dagbook-platform.yaml").write_text(
        "compute_sizes: {small: {cpus: 2, memory: 4 GiB, max_run_time: 1 h, price_per_hour: 3600, "
        "default: true}}\nbudgets: {per_run: {stop_at: 9}}\n"
    )
    bench.notebook("t.ipynb", ["import time\ntime.sleep(600)"])
    bench.component("t", "notebook: t.ipynb\nengine: dagstermill")

    ran = dagstermill_run("t")

    assert ran.failure.description == "ended after 9 s, budget of 9.00 USD per run reached"
    assert ran.metadata["cost"] >= 9


def has_ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_the_command_line_runs_it_and_a_cancel_ends_it_and_keeps_the_notebook(
    bench: Workbench,
) -> None:
    started = bench.root / "started"
    bench.notebook(
        "c.ipynb",
        [
            "print('so far')",
            f"import time\nopen({str(started)!r}, 'w').close()\ntime.sleep(600)",
        ],
    )
    bench.component("c", "notebook: c.ipynb\nengine: dagstermill")
    home = bench.root.parent / "home"
    home.mkdir()
    config = json.dumps({"execution": {"config": {"in_process": {}}}})
    command = ["-m", "dagster", "asset", "materialize", "-m", "dagbook.location"]
    process = subprocess.Popen(
        [sys.executable, *command, "--select", "c", "--config-json", config],
        cwd=bench.root,
        env={**os.environ, "DAGSTER_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while not started.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        kernels = psutil.Process(process.pid).children(recursive=True)
        with dg.DagsterInstance.from_config(str(home)) as instance:
            instance.report_run_canceling(instance.get_runs()[0])
            process.send_signal(signal.SIGINT)
            process.wait(30)
            (run,) = instance.get_runs()
    finally:
        process.kill()
        process.wait()

    assert run.status is dg.DagsterRunStatus.CANCELED
    assert [kernel for kernel in kernels if not has_ended(kernel.pid)] == []
    (notebook,) = (bench.root / "runs" / "c").glob("*-cancelled.ipynb")
    code = [c for c in nbformat.read(notebook, as_version=4).cells if c.cell_type == "code"]
    (first,) = [cell for cell in code if cell.source == "print('so far')"]
    assert first.outputs[0].text == "so far\n"


def test_a_run_is_held_to_the_platform_file(
    bench: Workbench, dagstermill_run: Callable[..., Ran]
) -> None:
    bench.platform("""\
        compute_sizes:
          blink: {cpus: 1, memory: 1 GiB, max_run_time: 20 s, grace_seconds: 1, default: true}
          calm: {cpus: 1, memory: 2 GiB, max_run_time: 10 min}
        rules: {maximum_retries: 1}
        """)
    bench.notebook("slow.ipynb", ["import time\ntime.sleep(600)"])
    bench.notebook(
        "again.ipynb",
        ["import dagster as dg, dagstermill\ndagstermill.yield_event(dg.RetryRequested(9))"],
    )
    bench.component("slow", "notebook: slow.ipynb\nengine: dagstermill")
    bench.component("again", "notebook: again.ipynb\nengine: dagstermill\ncompute_size: calm")

    slow = dagstermill_run("slow")
    assert slow.failure.description == "ended after 20 s, the limit of size blink"
    assert slow.metadata["size"] == "blink (1 CPU, 1 GiB, 20 s)"
    # The notebook asks for nine more tries, and gets what the platform allows.
    assert dagstermill_run("again").attempts == 2

    tried = dagstermill_run("slow", tags={"dagster/max_retries": "5"})
    assert tried.metadata["status"] == "refused"
    assert tried.metadata["rules"] == "rules.maximum_retries"
    assert tried.failure.description == (
        "5 retries are too many. Allowed: at most 1 (dagbook-platform.yaml:4)"
    )


def test_what_a_platform_says_of_kernels_is_refused_where_it_cannot_be_kept(
    bench: Workbench, dagstermill_run: Callable[..., Ran]
) -> None:
    bench.platform("kernel_process: {own_home: true}\n")
    bench.notebook("n.ipynb", ["open('ran', 'w').close()"])
    bench.component("n", "notebook: n.ipynb\nengine: dagstermill")
    ran = dagstermill_run("n")
    assert not ran.success
    assert ran.failure.description == (
        "engine: dagstermill starts a kernel of its own, with the deployment's environment and "
        "user, so the platform's `kernel_process` rules cannot be kept: take `engine` out"
    )
    assert not (bench.root / "ran").exists()
