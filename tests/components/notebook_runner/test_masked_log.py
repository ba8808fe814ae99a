"""What Dagster stores of a run is masked: lines of its log, metadata, and what ended it."""

import logging

import dagster as dg
import pytest

from dagbook.credentials.delivery import Secret
from dagbook.masking import Masker
from dagbook.notebook_runner.masked_log import masked_log, masked_metadata

PASSWORD = "wJalrXUtnFEMI/K7MDENG"
LABEL = "***db.password***"


@pytest.fixture
def masker() -> Masker:
    return Masker([Secret(PASSWORD, "db.password")])


def said_by(instance: dg.DagsterInstance, asset: dg.AssetsDefinition) -> str:
    """Everything Dagster keeps of a run of the asset: lines, events, errors."""
    result = dg.materialize([asset], instance=instance, raise_on_error=False)
    return "\n".join(str(entry.to_json()) for entry in instance.all_logs(result.run_id))


def test_lines_of_the_run_s_log_are_masked_and_nothing_else_is(masker: Masker) -> None:
    @dg.asset
    def logs(context: dg.AssetExecutionContext) -> None:
        with masked_log(context.log, masker):
            context.log.info(f"plainly {PASSWORD}")
            context.log.warning("with arguments %s", PASSWORD)
            dg.get_dagster_logger().info(f"elsewhere {PASSWORD}")
            try:
                raise ValueError(PASSWORD)
            except ValueError:
                context.log.exception("caught")
        context.log.info("afterwards wJalr")

    with dg.DagsterInstance.ephemeral() as instance:
        said = said_by(instance, logs)

    assert PASSWORD not in said
    for line in (f"plainly {LABEL}", f"with arguments {LABEL}", f"elsewhere {LABEL}"):
        assert line in said
    assert "afterwards wJalr" in said


def test_what_ends_the_run_is_masked_with_what_caused_it(masker: Masker) -> None:
    @dg.asset
    def fails(context: dg.AssetExecutionContext) -> None:
        with masked_log(context.log, masker):
            try:
                raise KeyError(PASSWORD)
            except KeyError as error:
                raise RuntimeError(f"no login with {PASSWORD}") from error

    with dg.DagsterInstance.ephemeral() as instance:
        said = said_by(instance, fails)

    assert PASSWORD not in said
    assert f"no login with {LABEL}" in said
    assert f"KeyError: '{LABEL}'" in said


def test_metadata_keeps_its_kind_where_it_can(masker: Masker) -> None:
    assert masked_metadata(
        masker,
        {
            "text": PASSWORD,
            "number": 3,
            PASSWORD: dg.MetadataValue.float(0.5),
            "json": dg.MetadataValue.json({PASSWORD: [PASSWORD, 1]}),
            "path": dg.MetadataValue.path(f"/runs/{PASSWORD}.html"),
            "markdown": dg.MetadataValue.md("**fine**"),
        },
    ) == {
        "text": LABEL,
        "number": 3,
        LABEL: dg.MetadataValue.float(0.5),
        "json": dg.MetadataValue.json({LABEL: [LABEL, 1]}),
        "path": dg.MetadataValue.text(f"/runs/{LABEL}.html"),
        "markdown": dg.MetadataValue.md("**fine**"),
    }


def test_without_values_nothing_is_masked() -> None:
    log = logging.Logger("test")
    metadata = {"text": dg.MetadataValue.text(PASSWORD)}

    assert masked_metadata(Masker(), metadata) == metadata
    with pytest.raises(ValueError, match=PASSWORD), masked_log(log, Masker()):
        raise ValueError(PASSWORD)
    assert log.filters == []
