"""Libraries that look for a login by themselves: where, and what tells that they need not."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Sdk:
    """What one library looks for when its caller gives it no credential."""

    what: str
    """Whose login it is: ``AWS``"""
    variables: tuple[str, ...]
    """Environment variables of which one is enough; the first is the usual one"""
    given_by: tuple[str, ...] = ()
    """Arguments of the call that hand it a login, or that say it needs none"""
    elsewhere: str | None = None
    """Where else it looks, on its author's machine: ``~/.aws``"""
    fails: bool = False
    """Whether the call itself fails without one"""


_AWS = Sdk(
    "AWS",
    (
        *("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"),
        *("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
    ),
    ("aws_access_key_id", "key", "anon", "client_kwargs", "session"),
    "~/.aws",
)
_GOOGLE = Sdk(
    "Google Cloud",
    ("GOOGLE_APPLICATION_CREDENTIALS",),
    ("credentials", "token", "client_options"),
    "`gcloud auth`",
)
_AZURE = Sdk(
    "Azure",
    ("AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE"),
    (),
    "`az login`",
)
_OPENAI = Sdk(
    "OpenAI",
    ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY"),
    ("api_key", "openai_api_key", "http_client"),
    fails=True,
)
_AZURE_OPENAI = Sdk(
    "Azure OpenAI",
    ("AZURE_OPENAI_API_KEY", "OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN"),
    ("api_key", "azure_ad_token", "azure_ad_token_provider"),
    fails=True,
)
_ANTHROPIC = Sdk(
    "Anthropic",
    ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"),
    ("api_key", "anthropic_api_key", "auth_token"),
)
_HUGGING_FACE = Sdk("Hugging Face", ("HF_TOKEN",), ("token",), "`huggingface-cli login`")
_WANDB = Sdk("Weights & Biases", ("WANDB_API_KEY", "WANDB_MODE"), ("key", "mode"), "~/.netrc")
_COMET = Sdk("Comet", ("COMET_API_KEY",), ("api_key",), "~/.comet.config")
_NEPTUNE = Sdk("Neptune", ("NEPTUNE_API_TOKEN",), ("api_token", "mode"))
_KAGGLE = Sdk("Kaggle", ("KAGGLE_KEY", "KAGGLE_CONFIG_DIR"), (), "~/.kaggle")
_DATABRICKS = Sdk(
    "Databricks",
    ("DATABRICKS_TOKEN", "DATABRICKS_CLIENT_SECRET", "DATABRICKS_CONFIG_PROFILE"),
    ("token", "client_secret", "config"),
    "~/.databrickscfg",
)
_SNOWFLAKE = Sdk(
    "Snowflake",
    ("SNOWFLAKE_PASSWORD", "SNOWFLAKE_DEFAULT_CONNECTION_NAME", "SNOWFLAKE_HOME"),
    ("password", "user", "account", "token", "authenticator", "private_key", "private_key_file"),
    "~/.snowflake",
)
_LIBPQ = Sdk(
    "PostgreSQL",
    ("PGPASSWORD", "PGPASSFILE", "PGSERVICEFILE"),
    ("password", "host", "conninfo", "dsn"),
    "~/.pgpass",
)

_CALLS: dict[str, Sdk] = {
    **dict.fromkeys(("boto3.client", "boto3.resource", "boto3.Session"), _AWS),
    **dict.fromkeys(
        ("boto3.session.Session", "s3fs.S3FileSystem", "aiobotocore.get_session"), _AWS
    ),
    **dict.fromkeys(("awswrangler.s3.read_parquet", "awswrangler.s3.read_csv"), _AWS),
    "awswrangler.athena.read_sql_query": _AWS,
    **dict.fromkeys(("gcsfs.GCSFileSystem", "google.auth.default"), _GOOGLE),
    **dict.fromkeys(("pandas_gbq.read_gbq", "pandas_gbq.to_gbq", "pandas.read_gbq"), _GOOGLE),
    **dict.fromkeys(
        (
            "azure.identity.DefaultAzureCredential",
            "azure.identity.EnvironmentCredential",
            "azure.identity.aio.DefaultAzureCredential",
            "azure.identity.AzureCliCredential",
        ),
        _AZURE,
    ),
    **dict.fromkeys(("openai.OpenAI", "openai.AsyncOpenAI"), _OPENAI),
    **dict.fromkeys(("langchain_openai.ChatOpenAI", "langchain_openai.OpenAIEmbeddings"), _OPENAI),
    **dict.fromkeys(("openai.AzureOpenAI", "openai.AsyncAzureOpenAI"), _AZURE_OPENAI),
    **dict.fromkeys(("anthropic.Anthropic", "anthropic.AsyncAnthropic"), _ANTHROPIC),
    "langchain_anthropic.ChatAnthropic": _ANTHROPIC,
    **dict.fromkeys(("huggingface_hub.login", "huggingface_hub.notebook_login"), _HUGGING_FACE),
    **dict.fromkeys(("wandb.init", "wandb.login"), _WANDB),
    **dict.fromkeys(("comet_ml.Experiment", "comet_ml.start", "comet_ml.init"), _COMET),
    **dict.fromkeys(("neptune.init_run", "neptune.init_project"), _NEPTUNE),
    **dict.fromkeys(("kaggle.api.authenticate", "kaggle.api.dataset_download_files"), _KAGGLE),
    **dict.fromkeys(
        ("databricks.sdk.WorkspaceClient", "databricks.sdk.AccountClient"), _DATABRICKS
    ),
    "databricks.connect.DatabricksSession.builder.getOrCreate": _DATABRICKS,
    "snowflake.connector.connect": _SNOWFLAKE,
    **dict.fromkeys(("psycopg.connect", "psycopg2.connect", "asyncpg.connect"), _LIBPQ),
}
#: Which library opens an address that begins so.
_ADDRESSES = {
    **dict.fromkeys(("s3://", "s3a://"), _AWS),
    **dict.fromkeys(("gs://", "gcs://"), _GOOGLE),
    **dict.fromkeys(("abfs://", "abfss://", "az://", "adl://"), _AZURE),
}
_MENTIONED = re.compile(
    "|".join(sorted({name.split(".")[0] for name in _CALLS} - {"pandas"}))
    + r"|google\.cloud|_gbq|(?:s3a?|gc?s|abfss?|az|adl)://"
)
_OPENS = re.compile(
    r"(?:^|\.)(?:read_\w+|to_\w+|scan_\w+|write_\w+|open|open_\w+|load\w*|save\w*)$"
)
_GIVES_LOGIN = ("storage_options", "filesystem", "credentials", "backend_kwargs")


def may_call_sdk(source: str) -> bool:
    """Whether code names any of these libraries, or an address that one of them opens."""
    return _MENTIONED.search(source) is not None


def find_sdk(name: str, call: ast.Call, text_of: Callable[[ast.AST], str | None]) -> Sdk | None:
    """The library that a call has look for a login, if the call gives it none.

    Args:
        name: what is called, in full: ``boto3.client``.
        call: the call.
        text_of: the text an expression stands for, where that is known.
    """
    sdk = _CALLS.get(name)
    if sdk is None and name.startswith("google.cloud.") and name.endswith("Client"):
        sdk = _GOOGLE
    if sdk is not None:
        given = {keyword.arg for keyword in call.keywords}
        # `**settings` may hold anything, and so may a text of settings.
        known = None in given or any(isinstance(a, ast.Starred) for a in call.args)
        positional = sdk in (_LIBPQ, _HUGGING_FACE, _COMET) and call.args
        return None if known or positional or given & set(sdk.given_by) else sdk
    function = call.func.attr if isinstance(call.func, ast.Attribute) else name
    if not _OPENS.search(function):
        return None
    if any(k.arg is None or k.arg in _GIVES_LOGIN for k in call.keywords):
        return None
    values = [*call.args, *(keyword.value for keyword in call.keywords)]
    for value in values[:2]:
        start = value.values[0] if isinstance(value, ast.JoinedStr) and value.values else value
        text = text_of(start) or ""
        for prefix, found in _ADDRESSES.items():
            if text.startswith(prefix):
                return found
    return None
