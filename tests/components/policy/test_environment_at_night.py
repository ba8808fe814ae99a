"""What the findings about a notebook's environment are told of the platform's connections."""

from __future__ import annotations

from pathlib import Path

from dagbook.notebook import parse_notebook
from dagbook.policy.environment_at_night import environment_at_night
from dagbook.policy.platform_file import read_platform
from dagbook.preflight.credentials import credential_findings
from dagbook.preflight.given_environment import Offer

PLATFORM = """\
contact: someone@example.com
resources:
  database: {connections: [analytics, payroll]}
  warehouse: {connections: [analytics]}
  s3_bucket: {values: [company-*], variable: BUCKET}
teams: [{folder: "people/**", team: people}, {folder: "**", team: growth, contact: "#growth"}]
connections:
  analytics:
    provider: environment
    key: A
    variables: {DB_PASSWORD: password}
    values: {DB_HOST: db.example.com}
    environments: [prod]
  payroll: {provider: environment, key: P, variables: {PAY_KEY: "*", DB_PASSWORD: p}, teams: [people]}
"""


def test_offers_and_what_is_withheld_come_from_the_rules(tmp_path: Path) -> None:
    (tmp_path / "dagbook-platform.yaml").write_text(PLATFORM)
    platform = read_platform(tmp_path / "dagbook-platform.yaml")
    given = environment_at_night(platform, "churn.ipynb")
    assert given.names == frozenset()
    both = (Offer("analytics", "database"), Offer("analytics", "warehouse"))
    assert dict(given.offers) == {"DB_PASSWORD": both, "DB_HOST": both}
    assert dict(given.withheld) == {"PAY_KEY": ("payroll",)}
    assert given.contact == "#growth"

    resources = {"database": "analytics", "s3_bucket": "company-data", "unknown": "x"}
    named = environment_at_night(
        platform, "churn.ipynb", {"resources": resources}, kernel=["FROM_KERNEL"]
    )
    assert named.names == {"DB_PASSWORD", "DB_HOST", "BUCKET", "FROM_KERNEL"}
    # Where it may not be used, it is not offered.
    dev = environment_at_night(platform, "churn.ipynb", environment="dev")
    assert dev.offers == {}
    assert dev.withheld["DB_PASSWORD"] == ("analytics", "payroll")


def test_a_finding_names_the_connection_of_the_platform_file(tmp_path: Path) -> None:
    (tmp_path / "dagbook-platform.yaml").write_text(PLATFORM)
    platform = read_platform(tmp_path / "dagbook-platform.yaml")
    cells = [
        {"cell_type": "code", "source": source, "metadata": {}, "outputs": []}
        for source in ("import os", 'os.environ["DB_PASSWORD"]', 'os.environ["PAY_KEY"]')
    ]
    notebook = parse_notebook(
        {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}, tmp_path / "n.ipynb"
    )
    findings = credential_findings(notebook, environment_at_night(platform, "n.ipynb"))
    assert [finding.text for finding in findings] == [
        "reads `DB_PASSWORD`, which is not in the environment of a scheduled run: name the "
        "connection under `resources`, `database: analytics` or `warehouse: analytics`",
        "reads `PAY_KEY`, which is not in the environment of a scheduled run: the connection "
        "`payroll` has it, but not for this notebook: ask #growth",
    ]
    assert [[fix.arguments for fix in finding.fixes] for finding in findings] == [
        [
            {"key": "database", "connection": "analytics"},
            {"key": "warehouse", "connection": "analytics"},
        ],
        [],
    ]
