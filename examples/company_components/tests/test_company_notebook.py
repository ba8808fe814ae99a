"""What the company's component adds; run with pytest where company-components is installed."""

from dagbook.execution.result import ExecutionResult, RunStatus
from dagbook.policy.decision import Request
from dagbook.policy.platform import BUILT_IN_PLATFORM
from dagbook.sinks import SinkRun

from company_components import CompanyNotebook
from company_components.ledger import Ledger

COMPONENT = CompanyNotebook(notebook="churn.ipynb", cost_centre="rd-042")


def objections(**attributes):
    component = COMPONENT.model_copy(update=attributes)
    request = Request("churn.ipynb", attributes=attributes)
    return [o.text for o in component.more_rules(request, BUILT_IN_PLATFORM)]


def test_a_size_with_a_gpu_needs_a_channel():
    assert objections(compute_size="medium") == []
    assert objections(compute_size="gpu_medium", channels=["#ml"]) == []
    assert objections(compute_size="gpu_medium") == [
        "gpu_medium has a GPU: name one of the `channels` to tell of its runs"
    ]


def test_yaml_of_1_x_is_brought_up():
    old = {"notebook": "churn.ipynb", "cost_center": "rd-042", "notify": "#ml"}
    new = {"notebook": "churn.ipynb", "cost_centre": "rd-042", "channels": ["#ml"]}
    assert CompanyNotebook.migrate_config(old, 1) == new


def test_each_run_is_a_line_in_the_ledger(tmp_path, monkeypatch):
    assert COMPONENT.sinks() == []
    monkeypatch.setenv("COMPANY_LEDGER", str(tmp_path / "ledger.csv"))
    (ledger,) = COMPONENT.sinks()
    assert isinstance(ledger, Ledger)
    ledger.start(SinkRun("1", "models/churn", "churn.ipynb", None, "prod", 1))
    ledger.finish(ExecutionResult(RunStatus.SUCCEEDED, duration_seconds=2.04))
    assert (tmp_path / "ledger.csv").read_text() == "models/churn,rd-042,succeeded,2.0\n"
