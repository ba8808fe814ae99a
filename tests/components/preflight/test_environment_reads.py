"""What cells read from their environment: found where a scheduled run would stumble, else not."""

from __future__ import annotations

from pathlib import Path

import pytest

from dagbook.preflight.environment_reads import environment_findings
from dagbook.preflight.finding import Fix, NightFinding, Severity
from dagbook.preflight.given_environment import GivenEnvironment, Offer

from .conftest import MakeNotebook

NOTHING = GivenEnvironment()
FAILS, SURPRISES = "will fail", "may surprise"


def said(findings: list[NightFinding]) -> list[str]:
    """`cell.line severity` of each, both counted from 1."""
    return [f"{f.cell + 1}.{f.line} {f.severity}" for f in findings]


NEEDS = {
    'import os\nos.environ["DATA_DIR"]': FAILS,
    'import os as o\nx = o.environ["DATA_DIR"]': FAILS,
    'from os import environ as e\ne["DATA_DIR"]': FAILS,
    'import os\nenv = os.environ\nenv["DATA_DIR"]': FAILS,
    'import os\nNAME = "DATA_DIR"\nos.environ[NAME]': FAILS,
    'import os\nf(key=os.environ["DATA_DIR"])': FAILS,
    'import os\nos.environ.pop("DATA_DIR")': FAILS,
    'import os\nint(os.getenv("DATA_DIR"))': FAILS,
    'import os\nos.getenv("DATA_DIR").split(",")': FAILS,
    'import os\nos.environ.get("DATA_DIR") + "/x"': FAILS,
    'import os\ndef f():\n    return os.environ["DATA_DIR"]\nf()': FAILS,
    'import os\nwith open("x") as f:\n    os.environ["DATA_DIR"]': FAILS,
    'import os\ntry:\n    os.environ["DATA_DIR"]\nexcept KeyError:\n    raise': FAILS,
    'import os\ntry:\n    os.environ["DATA_DIR"]\nfinally:\n    pass': FAILS,
    'import os\nos.getenv("DATA_DIR")': SURPRISES,
    'import os\nos.getenv("DATA_DIR", None)': SURPRISES,
    'import os\nx = os.environ.get("DATA_DIR")': SURPRISES,
    'from os import getenv as g\ng("DATA_DIR")': SURPRISES,
    'import os\nif full:\n    os.environ["DATA_DIR"]': SURPRISES,
    'import os\ndef never():\n    return os.environ["DATA_DIR"]': SURPRISES,
    'import os\nx and os.environ["DATA_DIR"]': SURPRISES,
    "!ls $DATA_DIR": SURPRISES,
    "files = !ls ${DATA_DIR}/x": SURPRISES,
    "%env DATA_DIR": SURPRISES,
    "%%bash\nls $DATA_DIR": SURPRISES,
    '%%bash\necho "${DATA_DIR}"': SURPRISES,
    "import os\n%matplotlib inline\nos.environ['DATA_DIR']": FAILS,
    "%%time\nimport os\nos.environ['DATA_DIR']": FAILS,
}


@pytest.mark.parametrize(("source", "severity"), NEEDS.items(), ids=range(len(NEEDS)))
def test_a_read_that_finds_nothing_at_night_is_told(
    notebook_of: MakeNotebook, source: str, severity: str
) -> None:
    findings = environment_findings(notebook_of("1", source), NOTHING)
    assert [f.severity for f in findings] == [severity], findings
    (finding,) = findings
    assert finding.cell == 1
    assert "DATA_DIR" in source.split("\n")[finding.line - 1] or "NAME" in source
    assert finding.rule == "environment-variable"
    assert finding.text == (
        "reads `DATA_DIR`, which is not in the environment of a scheduled run: make it a "
        "parameter, or set it in a cell above"
    )


FINE = [
    ('import os\nos.environ["HOME"], os.environ["PATH"], os.environ["LC_ALL"]',),
    ('import os\nos.environ["MLFLOW_TRACKING_URI"], os.environ["DAGBOOK_ENVIRONMENT"]',),
    ('import os\nos.environ.get("DATA_DIR", "/data")',),
    ('import os\nos.getenv("DATA_DIR", default="/data")',),
    ('import os\nos.getenv("DATA_DIR") or "/data"',),
    ('import os\nos.getenv("DATA_DIR") is None',),
    ('import os\nif os.getenv("DATA_DIR"):\n    print(os.environ["DATA_DIR"])',),
    ('import os\nif "DATA_DIR" in os.environ:\n    x = os.environ["DATA_DIR"]',),
    ('import os\nx = os.environ["DATA_DIR"] if "DATA_DIR" in os.environ else 1',),
    ('import os\ntry:\n    x = os.environ["DATA_DIR"]\nexcept KeyError:\n    x = 1',),
    ('import os\ntry:\n    x = os.environ["DATA_DIR"]\nexcept (KeyError, OSError):\n    x = 1',),
    (
        "import os\nfrom contextlib import suppress\n"
        'with suppress(KeyError):\n    os.environ["DATA_DIR"]',
    ),
    ('import os\nos.environ["DATA_DIR"] = "/data"', 'import os\nos.environ["DATA_DIR"]'),
    ('import os\nos.environ.setdefault("DATA_DIR", "/data")\nos.environ["DATA_DIR"]',),
    ('import os\nos.environ.update(DATA_DIR="/data")\nos.environ["DATA_DIR"]',),
    ('import os\nos.environ.update({"DATA_DIR": "/data"})\nos.environ["DATA_DIR"]',),
    ("%env DATA_DIR=/data", 'import os\nos.environ["DATA_DIR"]'),
    ("%env DATA_DIR /data", 'import os\nos.environ["DATA_DIR"]'),
    ("%set_env DATA_DIR /data", "!ls $DATA_DIR"),
    (
        'import os\ndef f():\n    return os.environ["DATA_DIR"]',
        'os.environ["DATA_DIR"] = "x"\nf()',
    ),
    ('DATA_DIR = "/data"', "!ls $DATA_DIR"),
    ("!ls ${DATA_DIR:-/data} $HOME $RANDOM '$DATA_DIR' # $DATA_DIR",),
    ("%%bash\nexport DATA_DIR=/data\nls $DATA_DIR\nfor F in a b; do echo $F; done",),
    ("%%bash\nDATA_DIR=/data\nls $DATA_DIR",),
    ('import os\nos.environ.copy(), dict(os.environ), os.environ[name], os.path.join("a")',),
    (('import os\nos.environ["DATA_DIR"]', "skip"),),
    ('settings["DATA_DIR"], config.get("DATA_DIR"), environ["DATA_DIR"]',),
    ("%%writefile x.py\nimport os\nos.environ['DATA_DIR']",),
    ("x = '$DATA_DIR'",),
    ("this is no Python os.environ['DATA_DIR']",),
]


@pytest.mark.parametrize("cells", FINE, ids=range(len(FINE)))
def test_nothing_is_said_of_what_a_run_has_or_can_do_without(
    notebook_of: MakeNotebook, cells: tuple[str, ...]
) -> None:
    assert environment_findings(notebook_of(*cells), NOTHING) == []


def test_a_variable_set_only_below_is_missing_above(notebook_of: MakeNotebook) -> None:
    notebook = notebook_of('import os\nos.environ["A_B"]', 'os.environ["A_B"] = "x"')
    assert said(environment_findings(notebook, NOTHING)) == ["1.2 will fail"]


def test_a_variable_is_told_of_once_where_it_does_most_harm(notebook_of: MakeNotebook) -> None:
    notebook = notebook_of('import os\nos.getenv("A_B")', 'os.environ["A_B"]', 'os.environ["A_B"]')
    assert said(environment_findings(notebook, NOTHING)) == ["2.1 will fail"]


READS_PASSWORD = 'import os\nos.environ["DB_PASSWORD"]'


def test_the_connections_to_choose_are_offered(notebook_of: MakeNotebook) -> None:
    offers = {"DB_PASSWORD": (Offer("analytics_prod", "database"), Offer("shop", "database"))}
    (finding,) = environment_findings(notebook_of(READS_PASSWORD), GivenEnvironment(offers=offers))
    assert finding.severity is Severity.WILL_FAIL
    assert finding.text == (
        "reads `DB_PASSWORD`, which is not in the environment of a scheduled run: name the "
        "connection under `resources`, `database: analytics_prod` or `database: shop`"
    )
    assert finding.fixes == (
        Fix(
            "connection",
            "Use the connection analytics_prod",
            {"key": "database", "connection": "analytics_prod"},
        ),
        Fix("connection", "Use the connection shop", {"key": "database", "connection": "shop"}),
    )
    assert not finding.is_secret


def test_whom_to_ask_is_named_where_the_connection_is_not_for_the_notebook(
    notebook_of: MakeNotebook,
) -> None:
    given = GivenEnvironment(withheld={"DB_PASSWORD": ("payroll",)}, contact="#data-platform")
    (finding,) = environment_findings(notebook_of(READS_PASSWORD), given)
    assert finding.text == (
        "reads `DB_PASSWORD`, which is not in the environment of a scheduled run: the connection "
        "`payroll` has it, but not for this notebook: ask #data-platform"
    )


def test_where_no_connection_has_it_the_way_to_one_is_told(notebook_of: MakeNotebook) -> None:
    (finding,) = environment_findings(notebook_of(READS_PASSWORD), NOTHING)
    assert finding.text == (
        "reads `DB_PASSWORD`, which is not in the environment of a scheduled run: ask who keeps "
        "the platform file for a connection that delivers `DB_PASSWORD`"
    )


def test_what_the_component_names_is_given(notebook_of: MakeNotebook) -> None:
    given = GivenEnvironment(names=frozenset({"DB_PASSWORD"}))
    assert environment_findings(notebook_of(READS_PASSWORD), given) == []


@pytest.mark.parametrize(
    "source",
    [
        'import os\nos.environ.get("DB_PASSWORD", "")',
        'import os\ntry:\n    os.environ["DB_PASSWORD"]\nexcept KeyError:\n    pass',
        'import os\nif "DB_PASSWORD" in os.environ:\n    os.environ["DB_PASSWORD"]',
    ],
)
def test_a_credential_that_can_be_done_without_may_surprise(
    notebook_of: MakeNotebook, source: str
) -> None:
    assert [f.severity for f in environment_findings(notebook_of(source), NOTHING)] == [SURPRISES]


ASKS = {
    "import getpass\npw = getpass.getpass()": "",
    "from getpass import getpass\npw = getpass('Password: ')": "",
    "import os, getpass\nos.environ['API_KEY'] = getpass.getpass('key')": " for `API_KEY`",
}


@pytest.mark.parametrize(("source", "of"), ASKS.items(), ids=range(len(ASKS)))
def test_nobody_answers_a_question_for_a_password(
    notebook_of: MakeNotebook, source: str, of: str
) -> None:
    (finding,) = environment_findings(notebook_of(source), NOTHING)
    assert (finding.rule, finding.severity, finding.line) == ("asks-for-password", FAILS, 2)
    delivers = " that delivers `API_KEY`" if of else ""
    assert finding.text == (
        f"`getpass()` asks{of} at the keyboard, and at night nobody answers: ask who keeps the "
        f"platform file for a connection{delivers}"
    )


ASKED_IF_MISSING = [
    'import os, getpass\nif "API_KEY" not in os.environ:\n'
    '    os.environ["API_KEY"] = getpass.getpass()\nos.environ["API_KEY"]',
    'import os, getpass\nif not os.environ.get("API_KEY"):\n'
    '    os.environ["API_KEY"] = getpass.getpass()\nos.environ["API_KEY"]',
    'import os, getpass\nkey = os.environ.get("API_KEY")\nif key is None:\n'
    "    key = getpass.getpass()",
    'import os\nfrom getpass import getpass\nkey = os.environ.get("API_KEY") or getpass("Key: ")',
    "import os\nfrom getpass import getpass\ndef ask():\n"
    '    key = os.getenv("API_KEY")\n    if not key:\n        key = getpass()\n    return key\nask()',
]


@pytest.mark.parametrize("source", ASKED_IF_MISSING, ids=range(len(ASKED_IF_MISSING)))
def test_a_password_that_is_asked_for_where_it_is_missing_fails_just_then(
    notebook_of: MakeNotebook, source: str
) -> None:
    notebook = notebook_of(source)
    (finding,) = environment_findings(notebook, NOTHING)
    assert (finding.rule, finding.severity) == ("asks-for-password", FAILS)
    assert finding.text.endswith("for a connection that delivers `API_KEY`")
    given = GivenEnvironment(names=frozenset({"API_KEY"}))
    assert environment_findings(notebook, given) == []


LIBRARIES = {
    'import boto3\ns3 = boto3.client("s3")': (
        SURPRISES,
        "`boto3.client()` looks for `AWS_ACCESS_KEY_ID` or what ~/.aws left on this machine, which "
        "a scheduled run need not have: ask who keeps the platform file for a connection",
    ),
    "from openai import OpenAI\nclient = OpenAI()": (
        FAILS,
        "`OpenAI()` looks for `OPENAI_API_KEY`, and fails without: ask who keeps the platform file "
        "for a connection",
    ),
    "from google.cloud import bigquery\nclient = bigquery.Client()": (
        SURPRISES,
        "`bigquery.Client()` looks for `GOOGLE_APPLICATION_CREDENTIALS` or what `gcloud auth` left "
        "on this machine, which a scheduled run need not have: ask who keeps the platform file for "
        "a connection",
    ),
    "import anthropic\nclient = anthropic.Anthropic()": (
        SURPRISES,
        "`anthropic.Anthropic()` looks for `ANTHROPIC_API_KEY`, which a scheduled run does not "
        "have: ask who keeps the platform file for a connection",
    ),
    'import pandas as pd\npd.read_parquet("s3://data/x.parquet")': (
        SURPRISES,
        "`pd.read_parquet()` looks for `AWS_ACCESS_KEY_ID` or what ~/.aws left on this machine, "
        "which a scheduled run need not have: ask who keeps the platform file for a connection",
    ),
}


@pytest.mark.parametrize(("source", "expected"), LIBRARIES.items(), ids=range(len(LIBRARIES)))
def test_a_library_that_looks_for_a_login_by_itself_is_told(
    notebook_of: MakeNotebook, source: str, expected: tuple[str, str]
) -> None:
    (finding,) = environment_findings(notebook_of(source), NOTHING)
    assert finding.rule == "library-login"
    assert (finding.severity, finding.text) == expected
    assert finding.line == 2


@pytest.mark.parametrize(
    "source",
    [
        "import wandb\nwandb.init()",
        "from azure.identity import DefaultAzureCredential\nDefaultAzureCredential()",
        "import kaggle\nkaggle.api.authenticate()",
        "import neptune\nneptune.init_run(project='x')",
        "import comet_ml\ncomet_ml.start()",
        "from databricks.sdk import WorkspaceClient\nWorkspaceClient()",
        "import snowflake.connector\nsnowflake.connector.connect()",
        "import snowflake.connector as sf\nsf.connect()",
        "import psycopg\npsycopg.connect()",
        "import s3fs\ns3fs.S3FileSystem()",
        "from google.cloud.storage import Client\nClient()",
        "from huggingface_hub import login\nlogin()",
        "import polars as pl\nx = 1\npl.scan_parquet(f's3://b/{x}')",
        "import keyring\nkeyring.get_password('db', 'anna')",
    ],
)
def test_other_libraries_may_surprise(notebook_of: MakeNotebook, source: str) -> None:
    assert [f.severity for f in environment_findings(notebook_of(source), NOTHING)] == [SURPRISES]


@pytest.mark.parametrize(
    "source",
    [
        "import boto3",
        "import boto3\nboto3.client('s3', aws_access_key_id=a, aws_secret_access_key=b)",
        "import boto3\nboto3.client('s3', **settings)",
        "import s3fs\ns3fs.S3FileSystem(anon=True)",
        "import pandas as pd\npd.read_csv('s3://x/y', storage_options={'anon': True})",
        "import pandas as pd\npd.read_csv('data.csv')\nprint('s3://x')",
        "from openai import OpenAI\nOpenAI(api_key=key)",
        "import wandb\nwandb.init(mode='offline')",
        "import os, wandb\nos.environ['WANDB_MODE'] = 'offline'\nwandb.init()",
        "import psycopg\npsycopg.connect('host=db user=a')",
        "from transformers import AutoModel\nAutoModel.from_pretrained('bert')",
        "from sqlalchemy import create_engine\ncreate_engine(url)",
        "from huggingface_hub import login\nlogin(token)",
        "client('s3'), Client(), connect(), login()",
    ],
)
def test_a_library_that_is_given_its_login_is_not(notebook_of: MakeNotebook, source: str) -> None:
    assert environment_findings(notebook_of(source), NOTHING) == []


def test_a_connection_satisfies_a_library(notebook_of: MakeNotebook) -> None:
    notebook = notebook_of("import boto3\nboto3.client('s3')")
    given = GivenEnvironment(names=frozenset({"AWS_ACCESS_KEY_ID"}))
    assert environment_findings(notebook, given) == []
    offers = {"AWS_ACCESS_KEY_ID": (Offer("data_lake", "s3"),)}
    (finding,) = environment_findings(notebook, GivenEnvironment(offers=offers))
    assert finding.text.endswith(": name the connection under `resources`, `s3: data_lake`")


LOADS = "from dotenv import load_dotenv\nload_dotenv()"
MORE = 'import os\nos.environ["API_KEY"], os.environ["OTHER_KEY"]'


def test_what_a_dotenv_file_sets_is_there_but_on_this_machine_only(
    notebook_of: MakeNotebook, tmp_path: Path
) -> None:
    notebook = notebook_of(LOADS, MORE)
    (tmp_path / ".env").write_text("# mine\nexport API_KEY=hunter2-hunter2\n")
    first, second = environment_findings(notebook, NOTHING)
    assert (first.rule, first.severity, first.cell, first.line) == ("dotenv-file", SURPRISES, 0, 2)
    assert first.text == (
        "`API_KEY` comes from a `.env` file of this machine, which no deployment has: name "
        "connections for what is secret in it"
    )
    assert "OTHER_KEY" in second.text
    assert "hunter2" not in repr((first, second))


def test_without_a_dotenv_file_each_variable_is_missing(
    notebook_of: MakeNotebook, tmp_path: Path
) -> None:
    import os

    notebook = notebook_of("from dotenv import load_dotenv\nload_dotenv('own.env')", MORE)
    assert len(environment_findings(notebook, NOTHING)) == 2
    os.mkfifo(tmp_path / "own.env")  # must not keep anybody waiting
    assert len(environment_findings(notebook, NOTHING)) == 2


def test_a_local_module_counts_with_the_cell_that_imports_it(
    notebook_of: MakeNotebook, tmp_path: Path
) -> None:
    (tmp_path / "settings.py").write_text('import os\nimport more\nURL = os.environ["SHOP_URL"]\n')
    (tmp_path / "more.py").write_text('import os\n\n\nX = os.environ["MORE_URL"]\n')
    (tmp_path / "unused.py").write_text('import os\nX = os.environ["UNUSED"]\n')
    notebook = notebook_of("1", "x = 1\nimport settings")
    findings = environment_findings(notebook, NOTHING)
    assert said(findings) == ["2.2 will fail", "2.2 will fail"]
    assert sorted(f.text.split(",")[0] + f.text.split(":")[1].split(",")[0] for f in findings) == [
        "more.py reads `MORE_URL`",
        "settings.py reads `SHOP_URL`",
    ]
    assert "settings.py, line 3: reads `SHOP_URL`" in findings[1].text + findings[0].text


def test_r_is_read_as_well(notebook_of: MakeNotebook) -> None:
    notebook = notebook_of(
        'Sys.setenv(MINE = "x", YOURS = "y")\nSys.getenv("MINE")',
        'pw <- Sys.getenv("DB_PASSWORD")\nSys.getenv("LEVEL", "info")\n# Sys.getenv("NO")',
        "x <- askpass::askpass()",
        language="R",
    )
    assert said(environment_findings(notebook, NOTHING)) == ["2.1 may surprise", "3.1 will fail"]


def test_bash_keeps_what_an_earlier_cell_set(notebook_of: MakeNotebook) -> None:
    notebook = notebook_of("export MINE=1", "echo $MINE $OTHER", language="bash")
    findings = environment_findings(notebook, NOTHING)
    assert said(findings) == ["2.1 may surprise"]
    assert "`OTHER`" in findings[0].text
