"""Connections resolved from what a researcher has themselves, and what comes before what."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from dagbook.credentials.delivery import Delivery, Secret, SecretFile
from dagbook.credentials.kept import keep
from dagbook.credentials.own import (
    lacking,
    own_delivery,
    public_variables,
    together,
    trial_delivery,
)
from dagbook.credentials.provider import ProviderDown
from dagbook.errors import DagbookError
from dagbook.policy.connections import Connection, ConnectionFile, Entitlement
from dagbook.policy.platform import Platform

SECRET, OTHER = "hunter2-Zq9", "other-s3cret"
DB = Connection(
    "analytics_prod",
    "environment",
    "DEPLOYED",
    variables=MappingProxyType({"DB_USER": "username", "DB_PASSWORD": "password"}),
    values=MappingProxyType({"DB_HOST": "db.company.com"}),
)
KEY = Connection(
    "lake",
    "environment",
    "DEPLOYED_KEY",
    variables=MappingProxyType({"LAKE_KEY": None}),
    files=(ConnectionFile("LAKE_FILE", "lake.json"),),
)


def entitled(*connections: Connection, **values: str) -> Entitlement:
    return Entitlement({f"key{n}": c for n, c in enumerate(connections)}, values)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "churn").mkdir()
    return tmp_path / "churn"


def masked(delivery: Delivery) -> dict[str, str]:
    return {secret.value: secret.label for secret in delivery.secrets}


def test_the_researchers_environment_gives_a_connection(root: Path) -> None:
    own = {"DB_USER": "anna", "DB_PASSWORD": SECRET, "UNRELATED": OTHER}
    delivery = own_delivery(entitled(DB, S3_BUCKET="company-data"), root, own)
    assert delivery.environment == {
        "DB_USER": "anna",
        "DB_PASSWORD": SECRET,
        "DB_HOST": "db.company.com",
        "S3_BUCKET": "company-data",
    }
    # A user's name is none that is hidden.
    assert masked(delivery) == {SECRET: "analytics_prod.password"}
    assert delivery.connections == ("analytics_prod",)
    assert (delivery.files, delivery.tracking, delivery.renew) == ((), {}, None)
    assert SECRET not in repr(delivery)


def test_what_is_kept_gives_it_and_the_environment_comes_first(root: Path) -> None:
    keep(root, "analytics_prod", {"DB_USER": "kept", "DB_PASSWORD": SECRET}, public=["DB_USER"])
    assert own_delivery(entitled(DB), root, {}).environment["DB_USER"] == "kept"
    mixed = own_delivery(entitled(DB), root, {"DB_USER": "anna", "DB_HOST": "localhost"})
    assert mixed.environment == {
        "DB_USER": "anna",
        "DB_PASSWORD": SECRET,
        "DB_HOST": "localhost",
    }
    # What is set and empty is not set.
    assert (
        own_delivery(entitled(DB), root, {"DB_PASSWORD": ""}).environment["DB_PASSWORD"] == SECRET
    )


def test_what_is_lacking_is_said_with_the_way_to_give_it(root: Path) -> None:
    with pytest.raises(DagbookError) as refused:
        own_delivery(entitled(DB, KEY), root, {"DB_USER": "anna", "LAKE_KEY": SECRET})
    assert str(refused.value) == (
        "connection `analytics_prod`: `DB_PASSWORD` is neither set here nor kept: `dagbook "
        "platform keep analytics_prod`; connection `lake`: `LAKE_FILE` is neither set here nor "
        "kept: `dagbook platform keep lake`"
    )
    lacks = lacking(DB, {}, {})
    assert lacks is not None
    assert str(lacks) == (
        "connection `analytics_prod`: `DB_USER`, `DB_PASSWORD` are neither set here nor kept: "
        "`dagbook platform keep analytics_prod`"
    )


def test_a_file_comes_from_where_its_variable_leads_or_from_what_is_kept(
    root: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.json"
    mine.write_text(OTHER)
    mine.chmod(0o600)
    by_file = Connection("lake", "file", "x", files=KEY.files)
    set_here = own_delivery(entitled(by_file), root, {"LAKE_FILE": str(mine)})
    assert set_here.files == (SecretFile("LAKE_FILE", "lake.json", OTHER.encode()),)
    assert OTHER in masked(set_here)
    assert "LAKE_FILE" not in set_here.environment
    keep(root, "lake", {"LAKE_FILE": SECRET})
    assert own_delivery(entitled(by_file), root, {}).files[0].content == SECRET.encode()
    mine.chmod(0o644)
    with pytest.raises(DagbookError) as refused:
        own_delivery(entitled(by_file), root, {"LAKE_FILE": str(mine)})
    assert str(refused.value).startswith(
        f"connection `lake`, `LAKE_FILE`: {mine} can be read by others than its owner (mode 0644)"
    )


def test_a_secret_too_short_to_be_masked_is_refused_without_showing_it(root: Path) -> None:
    with pytest.raises(DagbookError) as refused:
        own_delivery(entitled(DB), root, {"DB_USER": "anna", "DB_PASSWORD": "abc12"})
    assert "shorter than 6 characters" in str(refused.value)
    assert "abc12" not in str(refused.value)


def test_two_connections_that_give_another_value_in_one_variable_are_refused(root: Path) -> None:
    other = Connection("shop", "environment", "x", values=MappingProxyType({"DB_HOST": "shop"}))
    own = {"DB_USER": "anna", "DB_PASSWORD": SECRET}
    with pytest.raises(DagbookError) as refused:
        own_delivery(entitled(DB, other), root, own)
    assert str(refused.value) == (
        "`analytics_prod` and `shop` both give `DB_HOST`: use one of them, or have one give "
        "another variable"
    )


def test_what_logs_in_to_the_tracking_server_stays_with_the_runner(root: Path) -> None:
    login = Connection(
        "mlflow_prod",
        "environment",
        "x",
        variables=MappingProxyType({"MLFLOW_TRACKING_TOKEN": None}),
    )
    delivery = own_delivery(entitled(login), root, {"MLFLOW_TRACKING_TOKEN": SECRET})
    assert delivery.environment == {}
    assert delivery.tracking == {"MLFLOW_TRACKING_TOKEN": SECRET}


DEPLOYED = {"DEPLOYED": f'{{"username": "bot", "password": "{OTHER}"}}', "DEPLOYED_KEY": OTHER}


def test_a_trial_takes_the_own_before_the_platforms(root: Path) -> None:
    platform = Platform()
    theirs = trial_delivery(entitled(DB), platform, root, DEPLOYED)
    assert theirs.environment["DB_PASSWORD"] == OTHER
    mine = {**DEPLOYED, "DB_USER": "anna", "DB_PASSWORD": SECRET}
    assert trial_delivery(entitled(DB), platform, root, mine).environment["DB_PASSWORD"] == SECRET
    # A connection is taken whole: half of the own is none of it.
    half = {**DEPLOYED, "DB_PASSWORD": SECRET}
    assert trial_delivery(entitled(DB), platform, root, half).environment == {
        "DB_USER": "bot",
        "DB_PASSWORD": OTHER,
        "DB_HOST": "db.company.com",
    }
    keep(root, "analytics_prod", {"DB_USER": "kept", "DB_PASSWORD": SECRET}, public=["DB_USER"])
    assert trial_delivery(entitled(DB), platform, root, DEPLOYED).environment["DB_USER"] == "kept"


def test_a_trial_mixes_connections_of_both(root: Path) -> None:
    lake = Connection("lake", "environment", "DEPLOYED_KEY", variables=KEY.variables)
    mine = {**DEPLOYED, "DB_USER": "anna", "DB_PASSWORD": SECRET}
    delivery = trial_delivery(entitled(DB, lake, BUCKET="b"), Platform(), root, mine)
    assert delivery.environment == {
        "BUCKET": "b",
        "DB_USER": "anna",
        "DB_PASSWORD": SECRET,
        "DB_HOST": "db.company.com",
        "LAKE_KEY": OTHER,
    }
    assert set(delivery.connections) == {"analytics_prod", "lake"}
    assert masked(delivery).keys() == {SECRET, OTHER}


def test_where_the_platform_cannot_give_it_either_both_ways_are_told(root: Path) -> None:
    with pytest.raises(DagbookError) as refused:
        trial_delivery(entitled(DB), Platform(), root, {})
    assert str(refused.value).endswith(
        "; or give your own: connection `analytics_prod`: `DB_USER`, `DB_PASSWORD` are neither "
        "set here nor kept: `dagbook platform keep analytics_prod`"
    )
    assert not isinstance(refused.value, ProviderDown)


def test_what_the_platform_gives_need_not_be_given(root: Path) -> None:
    lake = Connection("lake", "environment", "DEPLOYED_KEY", variables=KEY.variables)
    with pytest.raises(DagbookError) as refused:
        trial_delivery(entitled(DB, lake), Platform(), root, {"DEPLOYED_KEY": OTHER})
    assert str(refused.value) == (
        "connection `analytics_prod`: the deployment's environment has no variable `DEPLOYED`: set "
        "it where Dagster's code server and workers start, or mend `key`; or give your own: "
        "connection `analytics_prod`: `DB_USER`, `DB_PASSWORD` are neither set here nor kept: "
        "`dagbook platform keep analytics_prod`"
    )


def test_a_run_without_connections_is_given_nothing(root: Path) -> None:
    assert not trial_delivery(entitled(), Platform(), root, {"DB_PASSWORD": SECRET})


def test_several_deliveries_are_renewed_as_the_first_of_them_ends() -> None:
    def lasting(value: str, end: float | None, **more: Any) -> Delivery:
        return Delivery(
            environment={value: value},
            secrets=(Secret(value, value),),
            connections=(value,),
            expires_at=end,
            renew=None if end is None else lambda: lasting(value, end + 100),
        )

    both = together([lasting("aaaaaa", 20.0), lasting("bbbbbb", None), lasting("cccccc", 10.0)])
    assert both.expires_at == 10.0
    assert both.renew is not None
    again = both.renew()
    assert again.expires_at == 110.0
    assert again.environment == both.environment
    assert together([lasting("aaaaaa", None)]).renew is None


def test_which_variables_may_be_short_is_known() -> None:
    assert public_variables(DB) == {"DB_USER"}
    assert public_variables(KEY) == frozenset()
    assert Connection("x", "file", "k", expires=date(2026, 1, 1)).names == ()
