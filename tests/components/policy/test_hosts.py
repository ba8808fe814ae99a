"""A credential goes to the hosts it is bound to, however an address is written."""

from __future__ import annotations

import random
from urllib.parse import urlsplit

import pytest
import urllib3

from dagbook.policy.connections import Connection
from dagbook.policy.hosts import host_pattern_problem, is_bound_to


def bound_to(*hosts: str) -> Connection:
    return Connection("database", "environment", "KEY", hosts=hosts)


GOOD = bound_to("good.example.com")


@pytest.mark.parametrize(
    "address",
    [
        "good.example.com",
        "good.example.com:5432",
        "GOOD.Example.COM",
        "good.example.com.",
        "https://good.example.com",
        "https://good.example.com:8443/path?query#part",
        "https://good.example.com/@evil.example.org",
        "https://good.example.com?to=https://evil.example.org",
        "HTTPS://good.example.com./path",
        "postgresql+psycopg2://good.example.com/db",
        "https://good.example.com/ü",
    ],
)
def test_a_credential_may_be_sent_to_the_host_its_connection_is_bound_to(address: str) -> None:
    assert is_bound_to(GOOD, address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "evil.example.org",
        "https://evil.example.org/good.example.com",
        # user names
        "https://good.example.com@evil.example.org",
        "https://good.example.com:443@evil.example.org",
        "https://user:password@good.example.com",
        "https://@good.example.com",
        "good.example.com@evil.example.org",
        "https://evil.example.org@good.example.com",
        "https://evil.example.org%40good.example.com",
        # where the host ends
        "https://evil.example.org?.good.example.com",
        "https://evil.example.org#good.example.com",
        "https://evil.example.org#@good.example.com",
        "https://evil.example.org\\@good.example.com",
        "https://good.example.com\\.evil.example.org",
        "https:\\\\good.example.com",
        "https:good.example.com",
        "https:/good.example.com",
        "https:///good.example.com",
        "//good.example.com",
        "/good.example.com",
        "good.example.com/path",
        # names that only resemble it
        "agood.example.com",
        "a.good.example.com",
        "good.example.com.evil.example.org",
        "good-example.com",
        "goodXexample.com",
        "good.example.comm",
        "good..example.com",
        ".good.example.com",
        "good.example.com..",
        "*.example.com",
        "good.example.com,evil.example.org",
        "mongodb://good.example.com,evil.example.org/db",
        # ports
        "good.example.com:",
        "https://good.example.com:/",
        "good.example.com:0",
        "good.example.com:65536",
        "good.example.com:+80",
        "good.example.com:8_0",
        "good.example.com:８０",
        "good.example.com:80:80",
        "good.example.com:https",
        # blanks and what no one sees
        " good.example.com",
        "good.example.com ",
        "good.example.com\n",
        "https://good.example.com\t/",
        "https://evil.example.org\n@good.example.com",
        "https://good.example.com\x00.evil.example.org",
        "good.example\u200b.com",
        # other alphabets, and characters that become others
        "gооd.example.com",
        "good。example.com",
        "ｇｏｏｄ.example.com",
        "https://evil.example.org／.good.example.com",
        "%67ood.example.com",
    ],
)
def test_what_leads_elsewhere_or_could_be_read_in_two_ways_gets_no_credential(address: str) -> None:
    assert not is_bound_to(GOOD, address)


def test_a_connection_that_is_bound_to_no_host_is_sent_nowhere() -> None:
    assert not is_bound_to(bound_to(), "good.example.com")
    assert not is_bound_to(bound_to(), "")


@pytest.mark.parametrize(
    ("pattern", "address", "fits"),
    [
        ("good.example.com:5432", "good.example.com:5432", True),
        ("good.example.com:5432", "good.example.com:05432", True),
        ("good.example.com:5432", "good.example.com", False),
        ("good.example.com:5432", "good.example.com:5433", False),
        ("good.example.com:443", "https://good.example.com/", True),
        ("good.example.com:443", "http://good.example.com/", False),
        ("good.example.com:443", "http://good.example.com:443/", True),
        ("good.example.com:5432", "postgresql://good.example.com/db", False),
    ],
)
def test_a_port_in_the_pattern_is_the_only_one(pattern: str, address: str, fits: bool) -> None:
    assert is_bound_to(bound_to(pattern), address) is fits


@pytest.mark.parametrize(
    ("pattern", "address", "fits"),
    [
        ("*.example.com", "a.example.com", True),
        ("*.example.com", "a.b.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", "aexample.com", False),
        ("*.example.com", "example.com.evil.example.org", False),
        ("*.example.com", "https://evil.example.org/.example.com", False),
        ("*.example.com", "https://evil.example.org?.example.com", False),
        ("*.example.com:443", "https://a.example.com", True),
        ("*.example.com:443", "a.example.com:80", False),
        ("db-*.example.com", "db-1.example.com", True),
        ("db-*.example.com", "db-.example.com", False),
        ("db-*.example.com", "db-1.evil.example.com", False),
        ("db-*-*x.example.com", "db-1-2x.example.com", True),
        ("db-*-*x.example.com", "db-12x.example.com", False),
        ("db.*.example.com", "db.eu.example.com", True),
        ("db.*.example.com", "db.eu.west.example.com", False),
        ("*.EXAMPLE.com", "a.Example.com", True),
        ("mlflow-*", "mlflow-1", True),
        ("mlflow-*", "mlflow-1.evil.example.org", False),
        # A star stands for names only.
        ("10.0.0.*", "10.0.0.1", False),
        ("1*", "1", False),
    ],
)
def test_a_star_goes_as_far_as_it_says(pattern: str, address: str, fits: bool) -> None:
    assert is_bound_to(bound_to(pattern), address) is fits


@pytest.mark.parametrize(
    ("pattern", "address", "fits"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "http://127.0.0.1:5000/", True),
        ("127.0.0.1", "127.1", False),
        ("127.0.0.1", "127.0.0.01", False),
        ("127.0.0.1", "127.0.0.1.", False),
        ("127.0.0.1", "2130706433", False),
        ("127.0.0.1", "0x7f000001", False),
        ("127.0.0.1", "0x7f.1", False),
        ("127.0.0.1", "localhost", False),
        ("127.0.0.1", "[::ffff:127.0.0.1]", False),
        ("127.0.0.1", "0.0.0.0", False),
        ("::1", "[::1]", True),
        ("::1", "::1", True),
        ("[::1]", "http://[0:0:0:0:0:0:0:1]:5000/", True),
        ("[::1]:5000", "http://[::1]:5000/", True),
        ("[::1]:5000", "http://[::1]:5001/", False),
        ("[::1]:80", "http://[::1]/", True),
        ("::1", "[::1%eth0]", False),
        ("::1", "[::1", False),
        ("::1", "[::1]evil.example.org", False),
        ("::1", "http://[::1]@evil.example.org", False),
        ("::1", "[evil.example.org]", False),
        ("fe80::1", "FE80::0001", True),
    ],
)
def test_addresses_are_compared_as_addresses(pattern: str, address: str, fits: bool) -> None:
    assert is_bound_to(bound_to(pattern), address) is fits


def test_one_fitting_pattern_is_enough() -> None:
    assert is_bound_to(bound_to("a.example.com", "b.example.com"), "b.example.com")


def test_a_host_of_another_alphabet_is_meant_as_it_is_sent() -> None:
    bound = bound_to("xn--bcher-kva.example.com")
    assert is_bound_to(bound, "https://xn--bcher-kva.example.com/")
    assert not is_bound_to(bound, "https://bücher.example.com/")


def test_a_long_host_is_compared_at_once() -> None:
    pattern = "*.a*a*a*a*a*a*a*a.example.com"
    address = ".".join(["a" * 60] * 3) + ".exampleXcom"
    assert not is_bound_to(bound_to(pattern), address)


@pytest.mark.parametrize(
    "pattern",
    ["db.example.com", "db.example.com:5432", "*.example.com", "db-*.example.com", "mlflow",
     "localhost:5000", "mlflow-*", "127.0.0.1", "[::1]:80", "::1", "DB.example.com."],
)  # fmt: skip
def test_hosts_and_patterns_of_hosts_can_be_written(pattern: str) -> None:
    assert host_pattern_problem(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (
            "https://db.example.com",
            "'https://db.example.com' is more than a host: write it like db.example.com or "
            "db.example.com:80",
        ),
        (
            "db.example.com/x",
            "'db.example.com/x' is more than a host: write it like db.example.com or "
            "db.example.com:80",
        ),
        ("user@db.example.com", "'user@db.example.com' holds a user name: write the host alone"),
        (
            "bücher.example.com",
            "'bücher.example.com' is not ASCII: write it as it is sent, xn--bcher-kva.example.com",
        ),
        (
            "db..example.com",
            "'db..example.com' is no host: write it like db.example.com, *.example.com or [::1]:80",
        ),
        (
            "10.0.0.300",
            "'10.0.0.300' is no host: write it like db.example.com, *.example.com or [::1]:80",
        ),
        (
            "10.0.*",
            "'10.0.*' is nearly every host: write more of it, as in *.example.com",
        ),
        ("*", "'*' is nearly every host: write more of it, as in *.example.com"),
        ("*-*", "'*-*' is nearly every host: write more of it, as in *.example.com"),
        ("*.*", "'*.*' is nearly every host: write more of it, as in *.example.com"),
        ("example.*", "'example.*' is nearly every host: write more of it, as in *.example.com"),
        ("*.com", "'*.com' is every host of a whole domain: write it like *.example.com"),
        ("*:443", "'*:443' is nearly every host: write more of it, as in *.example.com"),
    ],
)
def test_what_binds_to_nothing_or_to_everything_is_refused(pattern: str, text: str) -> None:
    assert host_pattern_problem(pattern) == text


#: What addresses are made of, and what makes programs disagree about them.
PIECES = [
    "https", "http", ":", "//", "/", "\\", "@", "?", "#", ".", "..", "good.example.com", "GOOD",
    "evil.example.org", "good", "example", "com", "user", ":80", ":443", ":", "%40", "%2e", "[",
    "]", "::1", "127.0.0.1", " ", "\t", "\n", "\x00", ";", ",", "&", "=", "。", "／", "ａ", "é",
]  # fmt: skip


def test_what_is_allowed_leads_there_for_every_program_that_reads_it() -> None:
    chance = random.Random(20261120)
    allowed = 0
    for _ in range(60_000):
        pieces = [chance.choice(PIECES) for _ in range(chance.randint(0, 5))]
        text = "".join(["https://", *pieces[:2], "good.example.com", *pieces[2:]])
        if not is_bound_to(GOOD, text):
            continue
        allowed += 1
        hosts = {urlsplit(text).hostname, urllib3.util.parse_url(text).host}
        assert {str(host).lower().removesuffix(".") for host in hosts} == {"good.example.com"}, text
    assert allowed > 1000
