"""A run that lasts longer than its credentials goes on with fresh ones."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.components.execution.conftest import code_cells, text_of

from dagbook.credentials.delivery import Delivery, Secret, SecretFile
from dagbook.errors import DagbookError
from dagbook.execution import RunStatus, Warned, run_notebook
from dagbook.execution.aws_profile import contents_of
from dagbook.execution.renewal import _seconds_to_wait
from dagbook.masking import Masker

pytestmark = pytest.mark.early  # it waits for credentials to end

SECONDS = 6.0


class Provider:
    """Gives credentials that end soon, each time others; some tries may fail."""

    def __init__(self, variable: str, name: str, *, fails: dict[int, Exception] | None = None):
        self.variable = variable
        self.name = name
        self.fails = fails or {}
        self.tries = 0

    def __call__(self) -> Delivery:
        self.tries += 1
        if self.tries in self.fails:
            raise self.fails[self.tries]
        end = time.time() + SECONDS
        key, secret = f"AKIA-number-{self.tries}", f"very-secret-{self.tries}"
        printed = {
            "Version": 1, "AccessKeyId": key, "SecretAccessKey": secret, "SessionToken": "session",
            "Expiration": datetime.fromtimestamp(end, UTC).isoformat(),
        }  # fmt: skip
        return Delivery(
            files=(SecretFile(self.variable, self.name, json.dumps(printed).encode()),),
            secrets=(Secret(secret, f"{self.name}.SecretAccessKey"),),
            connections=("data",),
            expires_at=end,
            renew=self,
        )


AGAIN = """
import json, os, time
from pathlib import Path
read = lambda: json.loads(Path(os.environ["CREDENTIALS"]).read_text())
seen, until = [], time.time() + 60
while len(seen) < 3 and time.time() < until:
    if (now := read()["AccessKeyId"]) not in seen:
        seen.append(now)
    time.sleep(0.02)
print(seen)
"""
WITH_BOTOCORE = """
import json, time
from pathlib import Path
import botocore.session
credentials = botocore.session.get_session().get_credentials()
first = credentials.get_frozen_credentials()
ends = time.time() + 7.5
while time.time() < ends:
    assert not credentials.refresh_needed(0), "it has ended, and no other one is there"
    time.sleep(0.1)
    last = credentials.get_frozen_credentials()
print(credentials.method, first.access_key, last.access_key != first.access_key)
_ = Path("told.json").write_text(json.dumps([first.secret_key, last.secret_key]))
"""


def test_a_notebook_that_reads_its_file_again_finds_fresh_ones(make_notebook):
    notebook, provider = make_notebook(AGAIN), Provider("CREDENTIALS", "credentials.json")
    result = run_notebook(notebook, credentials=provider())
    assert (result.status, result.notes) == (RunStatus.SUCCEEDED, [])
    [cell] = code_cells(result.executed_notebook)
    assert text_of(cell.outputs) == ("['AKIA-number-1', 'AKIA-number-2', 'AKIA-number-3']\n")


@pytest.mark.parametrize("variable", ["AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"])
def test_an_aws_library_goes_on_past_the_end_of_its_credentials(make_notebook, variable):
    """With botocore itself: it asks again, and never finds one that has ended."""
    pytest.importorskip("botocore")
    notebook, provider = make_notebook(WITH_BOTOCORE), Provider(variable, "credentials")
    masker = Masker()
    result = run_notebook(notebook, credentials=provider(), masker=masker)
    [cell] = code_cells(result.executed_notebook)
    assert text_of(cell.outputs) == "custom-process AKIA-number-1 True\n"
    assert result.succeeded
    first, last = json.loads((notebook.parent / "told.json").read_text("utf-8"))
    assert first != last
    # Both are known, also the one that came later.
    assert first not in masker.text(first)
    assert last not in masker.text(last)


def test_a_renewal_that_fails_is_told_in_one_line_and_tried_again(make_notebook):
    fails = {2: DagbookError("vault does not answer"), 3: RuntimeError("very-secret-1 in a text")}
    notebook = make_notebook(AGAIN)
    provider = Provider("CREDENTIALS", "credentials.json", fails=fails)
    told: list[str] = []

    def listen(event: object) -> None:
        if isinstance(event, Warned):
            told.append(event.text)

    result = run_notebook(notebook, credentials=provider(), on_event=listen)
    assert result.succeeded
    assert told == [
        "The run's credentials (data) could not be renewed: vault does not answer. Trying again "
        "in 1 s.",
        "The run's credentials (data) could not be renewed: RuntimeError. Trying again in 1 s.",
    ]
    assert result.notes == ["the run's credentials could not be renewed 2 times: RuntimeError"]


@pytest.mark.parametrize(
    ("left", "wait"), [(3600, 2400), (900, 450), (2400, 1200), (10, 5), (1, 1), (-50, 1)]
)
def test_they_are_renewed_well_before_their_end(left, wait):
    assert _seconds_to_wait(1000.0 + left, 1000.0) == wait
    assert _seconds_to_wait(None, 1000.0) is None


def test_only_what_a_program_would_print_becomes_a_profile():
    path = Path("/run/x/AWS_CONFIG_FILE/config")
    printed = b'{"Version": 1, "AccessKeyId": "a"}'
    assert dict(contents_of(SecretFile("AWS_CONFIG_FILE", "config", printed), path)) == {
        "printed.json": printed,
        "config": b'[default]\ncredential_process = cat "/run/x/AWS_CONFIG_FILE/printed.json"\n',
    }
    for variable, content in [
        ("AWS_CONFIG_FILE", b"[default]\n"),
        ("AWS_CONFIG_FILE", b"[1]"),
        ("AWS_CONFIG_FILE", b"\xff"),
        ("OTHER", printed),
    ]:
        assert dict(contents_of(SecretFile(variable, "config", content), path)) == {
            "config": content
        }
