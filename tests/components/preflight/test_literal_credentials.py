"""Literal credentials in cells: found by name and by shape, and never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from dagbook.preflight.credentials import credential_findings
from dagbook.preflight.finding import Fix, Severity
from dagbook.preflight.given_environment import GivenEnvironment, Offer
from dagbook.preflight.literal_credentials import literal_findings

from .conftest import MakeNotebook

SECRET = "hunter2-Zq9"
GITHUB = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
TEXT = (
    "gives `{}` a credential as text, for everybody who opens the notebook or one of its runs: "
    'read it from a connection, `os.environ["{}"]`, and change the credential'
)

NAMED = {
    f'\npassword = "{SECRET}"': "password",
    f'\npassword: str = "{SECRET}"': "password",
    f'\nuser, password = "anna", "{SECRET}"': "password",
    f'\nconnect(\nuser="anna", password="{SECRET}")'.replace("(\n", "("): "password",
    f'\nsettings = {{"user": "anna", "api_key": "{SECRET}"}}': "api_key",
    f'\nclient.api_key = "{SECRET}"': "api_key",
    f'\nos.environ["DB_PASSWORD"] = "{SECRET}"': "DB_PASSWORD",
    f'\nos.environ.setdefault("DB_PASSWORD", "{SECRET}")': "DB_PASSWORD",
    f'\nif (token := "{SECRET}{SECRET}"): pass': "token",
    f'\ndef f(x, password="{SECRET}"): pass': "password",
    f'\ndef f(*, password="{SECRET}"): pass': "password",
    f'\nrequests.get(url, auth=("anna", "{SECRET}"))': "auth",
    f'\npassword = b"{SECRET}"': "password",
    f"\n%env DB_PASSWORD={SECRET}": "DB_PASSWORD",
    f"\n%env DB_PASSWORD {SECRET}": "DB_PASSWORD",
    f"\n!PGPASSWORD={SECRET} psql -h db": "PGPASSWORD",
    f"%%bash\nexport DB_PASSWORD='{SECRET}'": "DB_PASSWORD",
}


@pytest.mark.parametrize(("source", "name"), NAMED.items(), ids=range(len(NAMED)))
def test_what_is_called_a_credential_and_stands_there_as_text_is_found(
    notebook_of: MakeNotebook, source: str, name: str
) -> None:
    (finding,) = literal_findings(notebook_of("1", source))
    assert (finding.cell, finding.line, finding.rule) == (1, 2, "literal-credential")
    assert finding.is_secret
    assert finding.severity is Severity.MAY_SURPRISE
    assert finding.text == TEXT.format(name, name.upper())
    assert "hunter2" not in repr(finding)


@pytest.mark.parametrize(
    "cell",
    [
        f'\nsend("{GITHUB}")',
        f"\n# {GITHUB}",
        f"\n!git clone https://{GITHUB}@github.com/a/b",
        (f"\nremember: {GITHUB}", "markdown"),
        (f'\nx = "{GITHUB}"', "skip"),
        f"no Python at all (\n{GITHUB}",
    ],
    ids=range(6),
)
def test_what_has_the_shape_of_one_is_found_wherever_it_stands(
    notebook_of: MakeNotebook, cell: str | tuple[str, ...]
) -> None:
    (finding,) = literal_findings(notebook_of(cell))
    assert finding.line == 2
    assert finding.text == (
        "holds what looks like a GitHub token, for everybody who opens the notebook or one of its "
        'runs: read it from a connection, `os.environ["NAME"]`, and change the credential'
    )
    assert "ghp_" not in repr(finding)


def test_one_place_is_told_of_once(notebook_of: MakeNotebook) -> None:
    (finding,) = literal_findings(notebook_of(f'github_token = "{GITHUB}"'))
    assert finding.text.startswith("holds what looks like a GitHub token")
    assert 'os.environ["GITHUB_TOKEN"]' in finding.text


@pytest.mark.parametrize(
    "source",
    [
        'password = os.environ["DB_PASSWORD"]',
        "password = getpass()",
        'password = ""',
        "password = None",
        'password = "<your password>"',
        'PASSWORD = "password"',
        'columns = {"password": "string", "token": "object"}',
        'label = {"password": "Enter your password"}',
        'token = "[CLS]"',
        'tokenizer.pad_token = "[PAD]"',
        'tokenizer.add_special_tokens({"pad_token": "<pad-token-1>"})',
        "max_tokens = 4096",
        'sort_key = "created_at_2026"',
        'secret_name = "prod/db/password-1"',
        'api_key = "YOUR_API_KEY"',
        'api_key = "OPENAI_API_KEY"',
        'password = f"{user}-{number}"',
        'password = "{{ password }}"',
        'frame["password"].str.len() > 12',
        'df.groupby("token")["n1"].count()',
        'frame.rename(columns={"pass": "passengers2026"})',
        'url = "https://company.com/reset?token="',
        'authors = "anna1234567890"',
        'if row["password"] == "hunter2-Zq9": pass',
        'f(key="customer_id_2026")',
        "%env DB_PASSWORD",
        "%env DATA_DIR=/data/2026",
        "!echo $DB_PASSWORD",
        '%%bash\nexport DB_PASSWORD="$(cat file)"',
        "create_engine('postgresql://localhost/shop')",
    ],
)
def test_other_texts_are_not(notebook_of: MakeNotebook, source: str) -> None:
    assert literal_findings(notebook_of(source)) == []


def test_r_is_read_by_its_assignments(notebook_of: MakeNotebook) -> None:
    notebook = notebook_of(
        f'password <- "{SECRET}"\nconnect(user = "anna", password = \'{SECRET}\')\n'
        'Sys.getenv("DB_PASSWORD")\ntokens <- "x1234567890123"',
        language="R",
    )
    assert [finding.line for finding in literal_findings(notebook)] == [1, 2]


def test_a_connection_that_delivers_it_is_offered(notebook_of: MakeNotebook) -> None:
    given = GivenEnvironment(offers={"DB_PASSWORD": (Offer("analytics_prod", "database"),)})
    (finding,) = literal_findings(notebook_of(f'db_password = "{SECRET}"'), given)
    assert finding.fixes == (
        Fix(
            "connection",
            "Use the connection analytics_prod",
            {"key": "database", "connection": "analytics_prod"},
        ),
    )


def test_all_findings_come_in_the_order_of_the_notebook(
    notebook_of: MakeNotebook, tmp_path: Path
) -> None:
    notebook = notebook_of(
        "import os", 'a = os.environ["A_B"]', f'password = "{SECRET}"\nos.environ["C_D"]'
    )
    found = credential_findings(notebook, GivenEnvironment())
    assert [(f.cell, f.line, f.rule) for f in found] == [
        (1, 1, "environment-variable"),
        (2, 1, "literal-credential"),
        (2, 2, "environment-variable"),
    ]
    assert [f.cell_id for f in found] == ["c1", "c2", "c2"]
