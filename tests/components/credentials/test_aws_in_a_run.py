"""A role's short-lived credentials, from a real moto server to botocore in a real kernel."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from dagbook.execution import run_notebook
from dagbook.masking import Masker
from dagbook.policy.connections import ConnectionFile

from .conftest import connection, fetched
from .test_aws import ROLE, settings

pytestmark = pytest.mark.early

NOTEBOOK = """
import json, os, time, boto3
from pathlib import Path
session = boto3.Session(region_name="eu-central-1")
s3 = session.client("s3", endpoint_url=os.environ["S3"])
used, until = [], time.time() + 60
while len(used) < 3 and time.time() < until:
    body = s3.get_object(Bucket="lake", Key="rows")["Body"].read().decode()
    now = session.get_credentials().get_frozen_credentials().access_key
    if now not in used:
        used.append(now)
    time.sleep(0.2)
identity = session.client("sts", endpoint_url=os.environ["S3"]).get_caller_identity()["Arn"]
told = {"used": used, "body": body, "identity": identity, "keys": [n for n in os.environ if n.startswith("AWS_")]}
_ = Path("told.json").write_text(json.dumps(told))
"""


@pytest.mark.usefixtures("deployment")
def test_a_client_made_once_reads_on_with_fresh_credentials(
    moto: str, aws: Callable[[str], Any], tmp_path: Path
) -> None:
    s3 = aws("s3")
    s3.create_bucket(
        Bucket="lake", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    s3.put_object(Bucket="lake", Key="rows", Body=b"120 rows")
    files = (ConnectionFile("AWS_SHARED_CREDENTIALS_FILE", "credentials"),)
    wanted = connection(
        "aws_assume_role",
        ROLE,
        {},
        files=files,
        options={"renew_seconds": "2", "duration_seconds": "900"},
    )
    given = fetched(wanted, settings=settings(moto))
    cells = [nbformat.v4.new_code_cell(NOTEBOOK)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "lake.ipynb")
    masker = Masker()
    result = run_notebook(
        tmp_path / "lake.ipynb", credentials=given, masker=masker, environment={"S3": moto}
    )
    assert (result.succeeded, result.reason) == (True, "")
    told = json.loads((tmp_path / "told.json").read_text("utf-8"))
    assert told["body"] == "120 rows"
    assert len(told["used"]) == 3
    # Of the role, and nothing of the deployment's own.
    assert "assumed-role/lake-reader/dagbook-" in told["identity"]
    assert told["keys"] == ["AWS_SHARED_CREDENTIALS_FILE"]
    first = json.loads(given.files[0].content)["SecretAccessKey"]
    assert first not in masker.text(first)
