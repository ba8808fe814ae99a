"""Credentials out of the deployment's own variables, out of files, and from programs."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dagbook.credentials.provider import ProviderDown
from dagbook.errors import DagbookError
from dagbook.policy.connections import ConnectionFile

from .conftest import connection, fetched, masked

PASSWORD = "correct horse battery"


def private(path: Path, text: str | bytes, mode: int = 0o600) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


# The deployment's environment


def test_a_variable_of_the_deployment_is_given_under_the_name_of_the_connection() -> None:
    given = fetched(
        connection("environment", "OUR_PASSWORD", {"PGPASSWORD": None}),
        environment={"OUR_PASSWORD": PASSWORD, "OTHER": "of nobody's concern"},
    )
    assert given.environment == {"PGPASSWORD": PASSWORD}
    assert masked(given) == {PASSWORD}
    assert [secret.label for secret in given.secrets] == ["warehouse"]
    assert given.connections == ("warehouse",)
    assert given.renew is None


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        (
            {"OUR_PASSWORT": PASSWORD},
            "connection `warehouse`: the deployment's environment has no variable `OUR_PASSWORD`: "
            "set it where Dagster's code server and workers start, or mend `key`",
        ),
        (
            {"OUR_PASSWORD": ""},
            "connection `warehouse`: the variable `OUR_PASSWORD` of the deployment's environment "
            "is empty",
        ),
    ],
    ids=["missing", "empty"],
)
def test_a_variable_that_is_not_there_is_named(environment: dict[str, str], text: str) -> None:
    with pytest.raises(DagbookError) as raised:
        fetched(connection("environment", "OUR_PASSWORD"), environment=environment)
    assert str(raised.value) == text
    assert not isinstance(raised.value, ProviderDown)


# Files


def test_a_file_is_given_whole_in_a_variable_without_the_end_of_its_last_line(
    tmp_path: Path,
) -> None:
    path = private(tmp_path / "token", f"{PASSWORD}\n")
    given = fetched(
        connection(
            "file",
            str(path),
            {"TOKEN": None},
            files=(ConnectionFile("TOKEN_FILE", "token.txt"),),
        )
    )
    assert given.environment == {"TOKEN": PASSWORD}
    assert [(f.variable, f.name, f.content) for f in given.files] == [
        ("TOKEN_FILE", "token.txt", f"{PASSWORD}\n".encode())
    ]
    assert masked(given) == {PASSWORD}


def test_a_relative_path_begins_where_the_platform_file_lies_or_where_it_says(
    tmp_path: Path,
) -> None:
    (tmp_path / "safe").mkdir()
    private(tmp_path / "token", "beside the file")
    private(tmp_path / "safe" / "token", "in the folder")
    file = tmp_path / "dagbook-platform.yaml"
    wanted = connection("file", "token")
    assert fetched(wanted, platform_file=file).environment == {"SECRET": "beside the file"}
    for folder in ("safe", str(tmp_path / "safe"), "~/safe"):
        given = fetched(
            wanted,
            platform_file=file,
            settings={"file": {"folder": folder}},
            environment={"HOME": str(tmp_path)},
        )
        assert given.environment == {"SECRET": "in the folder"}
    with pytest.raises(DagbookError) as raised:
        fetched(wanted)
    assert str(raised.value) == (
        "connection `warehouse`: `token` leads nowhere without a platform file: write the whole "
        "path"
    )


@pytest.mark.parametrize(
    ("name", "text", "options"),
    [
        ("db.json", '{"user": "reader", "password": "%s"}', {}),
        ("db.ini", "[db]\nuser = reader\npassword = %s\n", {}),
        ("db", "[a]\nx=1\n[db]\nuser: reader\npassword: %s\n", {"format": "ini", "section": "db"}),
        ("db", '{"user": "reader", "password": "%s"}', {"format": "json"}),
        ("db", '{"user": "reader", "password": "%s"}', {}),
    ],
    ids=["json", "ini", "a section", "said to be json", "text that is json"],
)
def test_fields_of_a_file_are_given_by_name(
    tmp_path: Path, name: str, text: str, options: dict[str, str]
) -> None:
    path = private(tmp_path / name, text % PASSWORD)
    wanted = {"PGUSER": "user", "PGPASSWORD": "password"}
    given = fetched(connection("file", str(path), wanted, options=options))
    assert given.environment == {"PGUSER": "reader", "PGPASSWORD": PASSWORD}
    assert [(s.value, s.label) for s in given.secrets] == [(PASSWORD, "warehouse.password")]


def test_interpolation_marks_in_a_file_are_part_of_the_value(tmp_path: Path) -> None:
    ini = private(tmp_path / "a.ini", "[a]\npassword = 100%%(user)s$HOME\n")
    dotenv = private(tmp_path / ".env", "PASSWORD=100%%${HOME}$HOME\n")
    wanted = connection("file", str(ini), {"A": "password"})
    other = connection("dotenv", str(dotenv), {"B": "PASSWORD"}, name="other")
    assert fetched(wanted, other).environment == {
        "A": "100%%(user)s$HOME",
        "B": "100%%${HOME}$HOME",
    }


def test_a_file_of_variables_is_given_by_name_and_whole(tmp_path: Path) -> None:
    text = "# ours\nexport PGPASSWORD='quoted secret'\nTOKEN=\"a\\nb cdef\"\nDEBUG=1\n"
    path = private(tmp_path / ".env", text)
    given = fetched(
        connection("dotenv", str(path), {"A": "PGPASSWORD", "B": "TOKEN"}),
        connection(
            "dotenv",
            str(path),
            name="whole",
            files=(ConnectionFile("ENV_FILE", ".env"),),
            public_fields=frozenset({"DEBUG"}),
        ),
    )
    assert given.environment == {"A": "quoted secret", "B": "a\nb cdef"}
    assert given.files[0].content.decode() == text
    assert {"quoted secret", "a\nb cdef", "b cdef", text.strip()} <= masked(given)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644, 0o666])
def test_a_file_that_others_can_read_or_change_is_refused(tmp_path: Path, mode: int) -> None:
    path = private(tmp_path / "token", PASSWORD, mode)
    with pytest.raises(DagbookError) as raised:
        fetched(connection("file", str(path)))
    assert str(raised.value) == (
        f"connection `warehouse`: {path} can be read by others than its owner (mode {mode:04o}): "
        "`chmod 600` it, or give the connection `shared: yes`"
    )


def test_a_file_that_is_shared_on_purpose_is_read_unless_everybody_can_change_it(
    tmp_path: Path,
) -> None:
    shared = {"shared": "yes"}
    path = private(tmp_path / "token", PASSWORD, 0o644)
    assert fetched(connection("file", str(path), options=shared)).environment["SECRET"] == PASSWORD
    path.chmod(0o646)
    with pytest.raises(DagbookError) as raised:
        fetched(connection("file", str(path), options=shared))
    assert str(raised.value) == (
        f"connection `warehouse`: {path} can be changed by everybody (mode 0646): `chmod o-w` it"
    )


@pytest.mark.needs("other-uid")
def test_a_file_of_another_user_is_refused_unless_the_user_is_named(tmp_path: Path) -> None:
    path = private(tmp_path / "token", PASSWORD)
    os.chown(path, 12345, 12345)
    with pytest.raises(DagbookError) as raised:
        fetched(connection("file", str(path)))
    assert str(raised.value) == (
        f"connection `warehouse`: {path} belongs to the user 12345, who can change it: give it to "
        "root, or name the user as `owner` of the connection"
    )
    given = fetched(connection("file", str(path), options={"owner": "12345"}))
    assert given.environment == {"SECRET": PASSWORD}


@pytest.mark.needs("other-uid")
def test_another_user_cannot_read_a_private_file_and_is_told_so(tmp_path: Path) -> None:
    # A folder that the other user may go through.
    folder = Path("/tmp") / f"dagbook-test-{os.getpid()}"
    folder.mkdir(mode=0o755)
    try:
        path = private(folder / "token", PASSWORD)
        code = (
            "import sys; sys.path[:0] = sys.argv[2:]\n"
            "from pathlib import Path\n"
            "from dagbook.credentials.private_file import read_private\n"
            "import os; os.setuid(12345)\n"
            "try:\n    read_private(Path(sys.argv[1]))\n"
            "except Exception as error:\n    print(error)\n"
        )
        command = [sys.executable, "-c", code, str(path), *sys.path]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout == f"{path} may not be read by the user 12345\n"
    finally:
        path.unlink()
        folder.rmdir()


def test_what_is_no_file_keeps_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fifo, folder, sock = tmp_path / "fifo", tmp_path / "folder", tmp_path / "s"
    os.mkfifo(fifo, 0o600)
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(tmp_path)
        listening.bind("s")
        for path in (fifo, folder, Path("/dev/null")):
            with pytest.raises(DagbookError) as raised:
                fetched(connection("file", str(path)))
            assert str(raised.value) == f"connection `warehouse`: {path} is not a file"
        with pytest.raises(DagbookError) as raised:
            fetched(connection("file", str(sock)))
    assert str(raised.value) == (
        f"connection `warehouse`: {sock} cannot be read: No such device or address"
    )


def test_a_link_is_followed_to_a_file_that_is_looked_at(tmp_path: Path) -> None:
    # As Kubernetes mounts a secret.
    private(tmp_path / "data", PASSWORD)
    (tmp_path / "token").symlink_to("data")
    assert fetched(connection("file", str(tmp_path / "token"))).environment["SECRET"] == PASSWORD
    (tmp_path / "data").chmod(0o644)
    with pytest.raises(DagbookError, match="can be read by others"):
        fetched(connection("file", str(tmp_path / "token")))


@pytest.mark.parametrize(
    ("name", "content", "options", "text"),
    [
        ("a.json", '{"a": "hidden",\n oops}', {}, "{path}:2 is no JSON"),
        (
            "a.json",
            '["hidden"]',
            {},
            "{path} holds no JSON object, so it has no fields: say `format: text`",
        ),
        ("a.json", b"\xff\xfe\x00hidden", {}, "{path} is no text in UTF-8, so it is no JSON"),
        ("a.ini", "[a]\nhidden\n", {}, "{path}:2 is no INI"),
        ("a.ini", "hidden = 1\n", {}, "{path}:1 is no INI"),
        (
            "a.ini",
            "[dev]\na = 1\n[prod]\na = 2\n",
            {},
            "{path} has not one section: name one as `section` of the connection. Known: dev, prod",
        ),
        (
            "a.ini",
            "[dev]\na = hidden\n[prod]\na = hidden\n",
            {"section": "prd"},
            "{path} has no section `prd`. Did you mean `prod`? Known: prod, dev",
        ),
        (".env", b"A=\xff", {"dotenv": "yes"}, "{path} is no text in UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_without_its_content(
    tmp_path: Path, name: str, content: str | bytes, options: dict[str, str], text: str
) -> None:
    path = private(tmp_path / name, content)
    provider = "dotenv" if options.pop("dotenv", None) else "file"
    with pytest.raises(DagbookError) as raised:
        fetched(connection(provider, str(path), options=options))
    assert str(raised.value) == "connection `warehouse`: " + text.format(path=path)


def test_a_file_that_is_no_text_is_given_as_a_file_only(tmp_path: Path) -> None:
    content = bytes(range(256))
    path = private(tmp_path / "keystore", content)
    files = (ConnectionFile("KEYSTORE", "keystore.p12"),)
    given = fetched(connection("file", str(path), files=files))
    assert given.files[0].content == content
    assert content.hex() in masked(given)
    with pytest.raises(DagbookError) as raised:
        fetched(connection("file", str(path)))
    assert str(raised.value) == (
        "connection `warehouse`: the secret is no text, so `SECRET` cannot hold it: deliver it as "
        "a file"
    )


def test_a_file_that_is_replaced_now_and_then_is_read_anew(tmp_path: Path) -> None:
    path = private(tmp_path / "token", "the first token")
    files = (ConnectionFile("TOKEN_FILE", "token"),)
    given = fetched(connection("file", str(path), files=files, options={"renew_seconds": "2"}))
    assert given.expires_at is not None and given.expires_at - time.time() <= 4
    private(path, "the second token")
    assert given.renew is not None
    again = given.renew()
    assert again.files[0].content == b"the second token"
    assert masked(again) == {"the second token"}


# Programs


def program(tmp_path: Path, code: str) -> str:
    path = tmp_path / "give.py"
    path.write_text(code, "utf-8")
    return f"{sys.executable} '{path}' --for 'a b'"


KEYS = {"AccessKeyId": "AKIAPROGRAM000000001", "SecretAccessKey": "the program's secret"}
VARIABLES = {"AWS_ACCESS_KEY_ID": "AccessKeyId", "AWS_SECRET_ACCESS_KEY": "SecretAccessKey"}


def test_a_program_gives_credentials_as_aws_defines_it(tmp_path: Path) -> None:
    printed = {"Version": 1, **KEYS, "Expiration": "2100-01-01T00:00:00Z"}
    key = program(
        tmp_path, f"import sys; assert sys.argv[2] == 'a b'; print({json.dumps(printed)!r})"
    )
    whole = (ConnectionFile("AWS_CREDENTIALS_JSON", "aws.json"),)
    given = fetched(connection("process", key, VARIABLES, files=whole))
    assert given.environment == {
        "AWS_ACCESS_KEY_ID": "AKIAPROGRAM000000001",
        "AWS_SECRET_ACCESS_KEY": "the program's secret",
    }
    assert json.loads(given.files[0].content) == printed
    assert {"AKIAPROGRAM000000001", "the program's secret"} <= masked(given)
    assert "2100-01-01T00:00:00Z" not in masked(given)
    assert given.expires_at == 4102444800.0


def test_a_program_has_the_deployments_environment_and_no_input(tmp_path: Path) -> None:
    code = (
        "import json, os, sys\n"
        "assert sys.stdin.read() == ''\n"
        "print(json.dumps({'Version': 1, 'token': os.environ['OURS']}))"
    )
    wanted = connection("process", program(tmp_path, code), {"TOKEN": "token"})
    given = fetched(wanted, environment={"OURS": "from the deployment"})
    assert given.environment == {"TOKEN": "from the deployment"}


@pytest.mark.parametrize(
    ("code", "text", "down"),
    [
        (
            "import sys; print('hidden'); sys.exit('hidden')",
            "the program {name} failed with status 1: run it as the deployment's user to see why",
            True,
        ),
        ("print('hidden')", "the program {name} printed no JSON", False),
        (
            'print(\'{"Version": 2, "token": "hidden"}\')',
            'the program {name} printed no JSON object with "Version": 1, as AWS defines it for '
            "credential_process",
            False,
        ),
        (
            'print(\'{"Version": 1, "token": "hidden", "Expiration": "hidden"}\')',
            "the program {name} gave an Expiration that is no moment in ISO 8601",
            False,
        ),
        (
            'print(\'{"Version": 1, "token": "hidden", "Expiration": "2001-01-01T00:00:00Z"}\')',
            "process gave a credential that has ended already: check its clock, and this machine's",
            True,
        ),
    ],
    ids=["it fails", "no json", "another version", "no moment", "over already"],
)
def test_what_is_wrong_with_a_program_is_said_without_what_it_printed(
    tmp_path: Path, code: str, text: str, down: bool
) -> None:
    with pytest.raises(DagbookError) as raised:
        fetched(connection("process", program(tmp_path, code), {"TOKEN": "token"}))
    name = Path(sys.executable).name
    assert str(raised.value) == "connection `warehouse`: " + text.format(name=name)
    assert isinstance(raised.value, ProviderDown) is down


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (
            "/nowhere/at-all --x",
            "the program /nowhere/at-all cannot be started: No such file or directory",
        ),
        ("give 'it", "its `key` is no command line: a quote in it has no end"),
        ("''", "its `key` is no command line: it is empty"),
    ],
)
def test_a_command_line_that_starts_nothing_is_refused(key: str, text: str) -> None:
    with pytest.raises(DagbookError) as raised:
        fetched(connection("process", key))
    assert str(raised.value) == f"connection `warehouse`: {text}"


def test_a_program_is_given_no_longer_than_all_providers_together(tmp_path: Path) -> None:
    wanted = connection("process", program(tmp_path, ""), options={"timeout_seconds": "41"})
    with pytest.raises(DagbookError) as raised:
        fetched(wanted)
    assert str(raised.value) == (
        "connection `warehouse`: process: `timeout_seconds` is at most 40, not 41"
    )


def test_no_shell_reads_a_command_line(tmp_path: Path) -> None:
    code = "import json, sys; print(json.dumps({'Version': 1, 'token': ' '.join(sys.argv[3:])}))"
    key = program(tmp_path, code) + " '$HOME' ; touch made"
    given = fetched(connection("process", key, {"TOKEN": "token"}))
    assert given.environment == {"TOKEN": "$HOME ; touch made"}


def test_a_program_that_hangs_ends_with_everything_it_started(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\n"
        "time.sleep(600)\n"
    )
    wanted = connection("process", program(tmp_path, code), options={"timeout_seconds": "4"})
    with pytest.raises(ProviderDown) as raised:
        fetched(wanted)
    assert str(raised.value) == (
        f"connection `warehouse`: the program {Path(sys.executable).name} did not end within 4 s: "
        "run it as the deployment's user, or raise `timeout_seconds`"
    )
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 30
    while _is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _is_running(pid)


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_what_ends_soon_is_fetched_anew_and_the_rest_is_kept(tmp_path: Path) -> None:
    private(tmp_path / "kept", "fetched once only")
    code = (
        "import datetime as d, json, os, pathlib\n"
        f"counted = pathlib.Path({str(tmp_path / 'count')!r})\n"
        "number = len(counted.read_text()) if counted.exists() else 0\n"
        "counted.write_text('x' * (number + 1))\n"
        "end = d.datetime.now(d.timezone.utc) + d.timedelta(seconds=2)\n"
        "print(json.dumps({'Version': 1, 'token': f'token number {number}',\n"
        "                  'Expiration': end.isoformat()}))"
    )
    given = fetched(
        connection("process", program(tmp_path, code), {"TOKEN": "token"}),
        connection("file", str(tmp_path / "kept"), {"KEPT": None}, name="other"),
    )
    assert given.environment == {"TOKEN": "token number 0", "KEPT": "fetched once only"}
    (tmp_path / "kept").unlink()
    for number in (1, 2):
        assert given.expires_at is not None and given.renew is not None
        time.sleep(max(given.expires_at - time.time(), 0))
        assert time.time() >= given.expires_at
        given = given.renew()
        assert given.environment == {
            "TOKEN": f"token number {number}",
            "KEPT": "fetched once only",
        }
        assert masked(given) == {f"token number {number}", "fetched once only"}
        assert given.expires_at is not None and given.expires_at > time.time()


def test_nothing_of_a_delivery_is_shown(tmp_path: Path) -> None:
    private(tmp_path / "token", PASSWORD)
    files = (ConnectionFile("FILE", "token"),)
    given = fetched(connection("file", str(tmp_path / "token"), {"TOKEN": None}, files=files))
    assert PASSWORD not in repr(given)
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
