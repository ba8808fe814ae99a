"""`dagbook validate` says what it would take to do without dagstermill."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from dagbook.cli import main
from dagbook.notebook_runner import dagstermill_problems

if TYPE_CHECKING:
    from conftest import Workbench


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dagstermill_problems, "is_installed", lambda: True)


def test_each_use_of_dagstermill_is_listed_with_what_to_write_instead(
    bench: Workbench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.notebook(
        "models/n.ipynb",
        [
            "import dagster as dg\nimport dagstermill as dm\nfrom dagstermill import yield_event",
            ("ctx = dm.get_context(op_config={'rows': 3})", ["parameters"]),
            "%matplotlib inline\nn = context.op_config['rows'] + ctx.op_config['more']\n"
            "db = context.resources.warehouse.connect()\ncontext.log.info(context.run_id)",
            "yield_event(dg.AssetMaterialization('x'))\nyield_event(dg.Failure('no'))\n"
            "dm.yield_result(1)\nevent = make()\ndm.yield_event(event)\ncontext.pdb.set_trace()",
            ("dm.get_context()", ["skip-execution"]),
        ],
    )
    file = bench.component(
        "n",
        """
        notebook: models/n.ipynb
        engine: dagstermill
        parameters: {rows: 5}
        dagstermill: {resource_keys: [warehouse], inputs: {raw: raw/numbers}}
        """,
    )

    assert main(["validate", "--json", str(file)]) == 0

    (passed,) = json.loads(capsys.readouterr().out)["passed"]
    metrics = (
        "numbers of its metadata: `dagbook.log_metric(name, value)`, or the tag `metrics` on the "
        "cell that assigns them"
    )
    assert passed["advice"][:8] == [
        "models/n.ipynb, cell 1, line 2: `import dagstermill as dm`: take it out",
        "models/n.ipynb, cell 1, line 3: `from dagstermill import yield_event`: take it out",
        "models/n.ipynb, cell 2, line 1: `dagstermill.get_context()`: take it out; parameters are "
        "variables",
        "models/n.ipynb, cell 2, line 1: `parameters`: dagstermill replaces the cell with this "
        "tag; dagbook runs it and puts values below it. Let it say one default a line: "
        "more = …; rows = …",
        'models/n.ipynb, cell 3, line 2: `context.op_config["rows"]`: `rows`, a parameter',
        'models/n.ipynb, cell 3, line 2: `context.op_config["more"]`: `more`, a parameter',
        "models/n.ipynb, cell 3, line 3: `context.resources.warehouse`: make it in the notebook, "
        "or import what makes it from a module of the project",
        "models/n.ipynb, cell 3, line 4: `context.log`: `print`, or the module `logging`: a "
        "cell's output is kept",
    ]
    assert passed["advice"][8:12] == [
        "models/n.ipynb, cell 3, line 4: `context.run_id`: `dagbook.context.run_id`",
        f"models/n.ipynb, cell 4, line 1: `dagstermill.yield_event(AssetMaterialization)`: {metrics}",
        "models/n.ipynb, cell 4, line 2: `dagstermill.yield_event(Failure)`: `raise` an "
        "exception: its text is the run's reason",
        "models/n.ipynb, cell 4, line 3: `dagstermill.yield_result()`: the tag `result:VARIABLE` "
        "on the cell that computes it. In an asset it raises under dagstermill too",
    ]
    anything, pdb, raw, folder, engine = passed["advice"][12:]
    assert anything.startswith(
        "models/n.ipynb, cell 4, line 5: `dagstermill.yield_event()`: AssetMaterialization: numbers"
    )
    assert pdb == (
        "models/n.ipynb, cell 4, line 6: `context.pdb`: has no counterpart: do without it"
    )
    assert raw == (
        "`dagstermill.inputs.raw`: `deps: [raw/numbers]`, and the notebook reads that asset's "
        "file or table itself"
    )
    assert folder == "`notebook`: its working directory will be models, not that of the project"
    assert engine == "`engine: dagstermill`: delete it, and what stands below `dagstermill:`"


def test_the_advice_stands_below_the_component(
    bench: Workbench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.notebook("n.ipynb", ["1"])
    bench.component("n", "notebook: n.ipynb\nengine: dagstermill\nparameters: {x: 1}")
    bench.component("other", "notebook: n.ipynb")

    assert main(["validate", str(bench.root)]) == 0

    first, *advice, other = capsys.readouterr().out.splitlines()
    assert first.endswith("n.ipynb, not scheduled")
    assert advice == [
        "  dagstermill runs it. For dagbook's own engine:",
        "  - `parameters`: a cell with the tag `parameters` declares them: x = …",
        "  - `engine: dagstermill`: delete it, and what stands below `dagstermill:`",
    ]
    assert other.endswith("n.ipynb, not scheduled")
