"""What looks like a credential: by the name it is given, or by the shape its issuer gives it.

Precision counts more than breadth: `max_tokens`, `pad_token` and `secret_name` are none. Nothing in
here shows a value: the answers are words such as ``a GitHub token``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class Known(NamedTuple):
    """A credential whose shape says what it is, and where in the text it begins."""

    what: str
    start: int


#: What a credential is called that has a shape of its own -> that shape.
_SHAPES = {
    "an AWS access key": r"(?<![A-Za-z0-9])A(?:KIA|SIA)[A-Z0-9]{16}(?![A-Za-z0-9])",
    "a GitHub token": r"(?<!\w)(?:gh[oprsu]_[A-Za-z0-9]{36}|github_pat_\w{50})",
    "a GitLab token": r"(?<!\w)glpat-[\w-]{20}",
    "an API key": r"(?<![\w-])sk-(?:(?:proj|ant|svcacct|admin|or)-[\w-]{20}|[A-Za-z0-9]{32})",
    "a Stripe key": r"(?<!\w)[rs]k_(?:live|test)_[A-Za-z0-9]{16}",
    "a Hugging Face token": r"(?<!\w)hf_[A-Za-z0-9]{30}",
    "a Slack token": r"(?<!\w)(?:xox[abeoprs]|xapp)-[A-Za-z0-9-]{10}",
    "a Slack webhook": r"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9/]{20}",
    "a Discord webhook": r"discord(?:app)?\.com/api/webhooks/\d+/[\w-]{20}",
    "a Teams webhook": r"\.webhook\.office\.com/webhookb2/[\w@-]{20}",
    "a Google API key": r"(?<!\w)AIza[\w-]{35}",
    "a Google client secret": r"(?<!\w)GOCSPX-[\w-]{24}",
    "a Google OAuth token": r"(?<!\w)ya29\.[\w-]{20}",
    "a Databricks token": r"(?<!\w)dapi[a-f0-9]{32}",
    "a Vault token": r"(?<!\w)hv[sb]\.[\w-]{24}",
    "a SendGrid key": r"(?<!\w)SG\.[\w-]{16,32}\.[\w-]{32}",
    "a PyPI token": r"(?<!\w)pypi-[\w-]{50}",
    "an npm token": r"(?<!\w)npm_[A-Za-z0-9]{36}",
    "a DigitalOcean token": r"(?<!\w)do[op]_v1_[a-f0-9]{64}",
    "a private key": r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----",
    "a signed token (JWT)": r"(?<!\w)eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10}",
    "a storage key": r"(?:AccountKey|SharedAccessKey)=[A-Za-z0-9+/]{20}",
    "a signed address": r"[?&]sig=[A-Za-z0-9%+/]{30}",
    "a login in a header": r"(?<!\w)(?:Bearer|Basic) (?=[\w+/.=-]*\d)[\w+/.=-]{20}",
    "an address with a password": (
        r"(?<!\w)[a-z][a-z0-9+.-]{1,20}://[^\s/:@'\"<>{}$]{0,80}"
        r":(?P<in_url>[^\s/:@'\"<>{}$%][^\s/@'\"<>{}$]{2,200})@[\w.\[-]"
    ),
    "a connection string with a password": (
        r"(?:\b(?:[hH]ost|[sS]erver|dbname|[dD]atabase|[dD]river|[uU]ser(?: ?[iI][dD])?|[uU][iI][dD])"
        r"\s*=[^\n'\"]{1,200}?[;\s]\s*(?:password|Password|PASSWORD|pwd|Pwd|PWD)\s*="
        r"\s*(?P<in_text>[^\s;'\"<>{}$*%][^\s;'\"<>{}$]{2,200}))"
    ),
}
_NAMES = {f"s{number}": what for number, what in enumerate(_SHAPES)}
_ANY = re.compile("|".join(f"(?P<s{n}>{shape})" for n, shape in enumerate(_SHAPES.values())))
#: Without one of these, no text has any of the shapes; looking for them is ten times as quick.
_MARK = re.compile(
    r"A[KS]IA|gh[oprsu]_|github_pat_|glpat-|sk-|[rs]k_(?:live|test)_|hf_|xox|xapp-|hooks\.slack"
    r"|/webhook|webhookb2|AIza|GOCSPX-|ya29\.|dapi|hv[sb]\.|SG\.|pypi-|npm_|do[op]_v1_"
    r"|PRIVATE KEY|eyJ|Key=|sig=|Bearer |Basic |://|(?i:password|pwd)\s*="
)
#: What authors of examples write in place of a credential.
_EXAMPLE = re.compile(
    r"example|your|dummy|change.?me|placeholder|redacted|replace|insert|todo|x{4}|\*{3}|\.\.\.|…"
    r"|^\W*$|^x+$|^(?:none|null|nan|true|false|test|string|str|text|object|user|username)$",
    re.IGNORECASE,
)
_TEMPLATE = re.compile(r"[<>{}$]|^%")
_EXAMPLE_PASSWORDS = frozenset(("password", "passwd", "pass", "pwd", "secret", "token", "pw"))


def find_known(text: str) -> Iterator[Known]:
    """Find what has the shape of a credential, whatever it is called; examples are left out."""
    if _MARK.search(text) is None:
        return
    for match in _ANY.finditer(text):
        inner = match["in_url"] or match["in_text"]
        if inner is not None and (inner.lower() in _EXAMPLE_PASSWORDS or _EXAMPLE.search(inner)):
            continue
        if inner is None and _EXAMPLE.search(_whole(text, match)):
            continue
        yield Known(_NAMES[match.lastgroup or ""], match.start())


def _whole(text: str, match: re.Match[str]) -> str:
    # A shape says how long it is at least: what marks an example may stand behind that.
    rest = re.compile(r"[\w+/=.-]*").match(text, match.end())
    return match[0] + (rest[0] if rest else "")


#: The last words of a name that call what it holds a credential, whatever that is.
_ALWAYS = re.compile(
    r"(?:password|passwd|passphrase|apikey)$|(?:^|_)(?:passcode|secretkey|accesskey|authtoken"
    r"|secret|(?:db|user|smtp|mysql|postgres|pg|ftp|admin|root|mail|email|jdbc|sql)_pass"
    r"|(?:api|access|secret|secret_access|private|account|storage|shared_access|subscription"
    r"|signing|encryption|auth|service_account|hmac|ssh|master)_key"
    r"|(?:access|api|auth|authentication|authorization|bearer|refresh|session|personal_access|sas"
    r"|github|gh|gitlab|hf|hub|huggingface|slack|bot|app|databricks|wandb|vault|oauth|jwt"
    r"|security|service|admin|deploy|write|telegram|discord|influx|influxdb|dataiku|jira)_token"
    r"|pwd)$"
)
#: These name other things as well: what they hold has to look made up.
_SOMETIMES = re.compile(r"(?:^|_)(?:token|credentials?|auth|login|pw|pat)$")
#: Tokens of language models, pages and parsers; keys and passwords that are only told of.
_NEVER = re.compile(
    r"(?:^|_)(?:pad|eos|bos|unk|cls|sep|mask|start|end|stop|special|first|last|next|prev|page|prior"
    r"|continuation|image|decoder|encoder|next_page|current|cur|new|begin|separator|sync|special"
    r"|prefix|suffix|middle|delimiter|num|n|max|min|is|has|use|no|show|hide|input|output|target"
    r"|forgot|reset|public|low|high|band|single|two|forward|backward)_"
    r"(?:token|key|pass|password|secret|credentials?|auth|login|pw|pat)$"
)
#: What may follow the telling words without changing what they say.
_TAIL = re.compile(
    r"(?:_?\d+|_(?:prod|production|dev|development|stage|staging|test|testing|qa|uat|live|old|new"
    r"|value|val|str|string|text|txt|raw|plain|b64|base64|default|main|backup|ro|rw))+$"
)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[^A-Za-z0-9]+")


def _words(name: str) -> str:
    """`dbPassword`, `DB-PASSWORD` and `db_password_2` in one way: ``db_password``."""
    return _TAIL.sub("", _HUMP.sub("_", name).strip("_").lower())


def names_credential(name: str) -> bool:
    """Whether a name says that it holds a credential: ``DB_PASSWORD``, ``slackToken``."""
    words = _words(name)
    return bool(_ALWAYS.search(words)) and not _NEVER.search(words)


def may_name_credential(name: str) -> bool:
    """Whether a name is also used for credentials, among other things: ``token``, ``auth``."""
    words = _words(name)
    return bool(_SOMETIMES.search(words)) and not _NEVER.search(words)


def looks_made_up(text: str, *, shortest: int = 12) -> bool:
    """Whether a text is no word, path, address, date or number, but letters and digits mixed."""
    return (
        len(text) >= shortest
        and re.search(r"[A-Za-z]", text) is not None
        and re.search(r"\d", text) is not None
        and re.search(r"[\s/\\<>\[\](){}$*]|:", text) is None
        and re.fullmatch(r"0x[0-9A-Fa-f]*|[A-Z0-9_]+|[\d.,TZ:+-]+|[\w-]+\.[a-z]{2,5}", text) is None
    )


def looks_like_example(text: str) -> bool:
    """Whether a text only stands in for a credential, or tells of one: ``<your token>``."""
    if _EXAMPLE.search(text) or text.lower() in _EXAMPLE_PASSWORDS or _TEMPLATE.search(text):
        return True
    if re.fullmatch(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+", text):
        return True  # the name of a variable that holds one
    # What stands beside a field to fill in, or heads a column: several words, no digit.
    return (
        re.search(r"[\s_-]", text) is not None
        and re.search(r"\d", text) is None
        and re.search(r"passwor[dt]|token|secret|key", text, re.IGNORECASE) is not None
    )


def refused_value(name: str, value: Any) -> str | None:
    """Why a parameter's value cannot be taken, in words that do not hold it; None when it can.

    A parameter stands in the YAML, on command lines, in Dagster's database and in each executed
    notebook, so a credential can be none. What has the shape of one is refused whatever the
    parameter is called, also inside of lists and tables; what is called one, whatever it holds.

    Returns:
        ``looks like a GitHub token``, or ``is called a credential``.
    """
    if isinstance(value, Mapping):
        for key, item in value.items():
            if (reason := refused_value(str(key), item)) is not None:
                return reason
        return None
    if isinstance(value, list | tuple):
        return next((r for item in value if (r := refused_value(name, item)) is not None), None)
    if isinstance(value, str):
        if (known := next(find_known(value), None)) is not None:
            return f"looks like {known.what}"
        if not value.strip() or "{{" in value:
            return None
        if names_credential(name) or (
            may_name_credential(name) and looks_made_up(value, shortest=6)
        ):
            return "is called a credential"
    if (
        isinstance(value, int)
        and not isinstance(value, bool)
        and value > 999
        and re.search(r"pass(?:word|wd|phrase|code)|pwd$", _words(name))
        and names_credential(name)
    ):
        return "is called a credential"
    return None
