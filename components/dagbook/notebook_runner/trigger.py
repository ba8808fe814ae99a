"""What started a run on Dagster, read off the tags Dagster gives it."""

from collections.abc import Mapping

#: Set where Dagster knows its users.
USER_TAG = "user"

# The first that a run has says best what started it; the retry of a schedule's run has both.
_TRIGGERS = (
    ("dagster/retry_number", "automatic retry of run {parent}"),
    ("dagster/parent_run_id", "started again from run {value}"),
    ("dagster/backfill", "backfill {value}"),
    ("dagster/schedule_name", "schedule {value}"),
    ("dagster/sensor_name", "sensor {value}"),
    ("dagster/from_automation_condition", "automation condition"),
    ("dagster/auto_materialize", "automation condition"),
)


def said_trigger(tags: Mapping[str, str]) -> str:
    """What started the run, in words; ``by hand`` where nothing of Dagster's did."""
    for tag, words in _TRIGGERS:
        if tag in tags:
            return words.format(
                value=tags[tag], parent=tags.get("dagster/parent_run_id", "before it")
            )
    return "by hand"
