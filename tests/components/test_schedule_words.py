"""Schedules in words become cron, cron becomes words."""

from __future__ import annotations

import pytest

from dagbook.errors import DagbookError
from dagbook.schedule_words import describe, parse_schedule

FORMS = (
    "Write `hourly :15`, `every 15 minutes`, `daily 06:00`, `weekdays 07:30`, `mondays 06:00`, "
    '`monthly 1 06:00`, or cron such as "0 6 * * *"'
)


@pytest.mark.parametrize(
    ("text", "cron"),
    [
        ("daily 06:00", "0 6 * * *"),
        ("every day at 6:00", "0 6 * * *"),
        ("Every Day At 06:00", "0 6 * * *"),
        ("  daily   6  ", "0 6 * * *"),
        ("daily at 6am", "0 6 * * *"),
        ("daily at 6:30 p.m.", "30 18 * * *"),
        ("daily 12 am", "0 0 * * *"),
        ("daily noon", "0 12 * * *"),
        ("daily", "0 0 * * *"),
        ("daily 06:00 and 18:00", "0 6,18 * * *"),
        ("weekdays 07:30", "30 7 * * 1-5"),
        ("every weekday at 7:30", "30 7 * * 1-5"),
        ("weekends 10:00", "0 10 * * 0,6"),
        ("hourly", "0 * * * *"),
        ("hourly :15", "15 * * * *"),
        ("hourly at 15", "15 * * * *"),
        ("every hour at :05", "5 * * * *"),
        ("every minute", "* * * * *"),
        ("every 15 minutes", "*/15 * * * *"),
        ("every 2 hours at :30", "30 */2 * * *"),
        ("weekly mon 06:00", "0 6 * * 1"),
        ("weekly on Monday at 06:00", "0 6 * * 1"),
        ("mondays 06:00", "0 6 * * 1"),
        ("monday, wednesday and friday 6:00", "0 6 * * 1,3,5"),
        ("mon-fri 9:00", "0 9 * * 1-5"),
        ("sat-sun 9:00", "0 9 * * 6-7"),
        ("monthly 1 06:00", "0 6 1 * *"),
        ("monthly", "0 0 1 * *"),
        ("every month on the 15th at 6:00", "0 6 15 * *"),
        ("monthly 1 15 06:00", "0 6 1,15 * *"),
        ("monthly on the last day at 18:00", "0 18 L * *"),
        ("@daily", "0 0 * * *"),
        ("@Hourly", "0 * * * *"),
        ("0 6 * * *", "0 6 * * *"),
        ("  0  6 * * MON-FRI ", "0 6 * * MON-FRI"),
        ("*/15 * * * *", "*/15 * * * *"),
    ],
)
def test_words_become_cron(text: str, cron: str) -> None:
    assert parse_schedule(text) == cron


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", f"no schedule given. {FORMS}"),
        (
            "dayly 06:00",
            f"schedule `dayly 06:00`: `dayly` is not understood. Did you mean `daily`? {FORMS}",
        ),
        ("tomorrow", f"schedule `tomorrow`: `tomorrow` is not understood. {FORMS}"),
        (
            "daily 25:00",
            f"schedule `daily 25:00`: `25:00` is no time of day, write it as 06:00. {FORMS}",
        ),
        ("06:00", f"schedule `06:00`: on which days? For example `daily 06:00`. {FORMS}"),
        (
            "weekly 06:00",
            f"schedule `weekly 06:00`: on which day? For example `weekly mon 06:00`. {FORMS}",
        ),
        ("monthly 32 06:00", f"schedule `monthly 32 06:00`: 32 is no day of a month. {FORMS}"),
        (
            "every 7 minutes",
            "schedule `every 7 minutes`: every 7 minutes does not come out even, use 1, 2, 3, 4, "
            f"5, 6, 10, 12, 15, 20, 30. {FORMS}",
        ),
        (
            "every 0 hours",
            "schedule `every 0 hours`: every 0 hours does not come out even, use 1, 2, 3, 4, 6, "
            f"8, 12. {FORMS}",
        ),
        ("every 2 days", f"schedule `every 2 days`: cron cannot say every 2 days. {FORMS}"),
        (
            "daily 06:00 and 18:30",
            "schedule `daily 06:00 and 18:30`: several times in one schedule must share their "
            f"minutes. {FORMS}",
        ),
        ("every", f"schedule `every`: every what. {FORMS}"),
        ("hourly :75", f"schedule `hourly :75`: `:75` is not understood. {FORMS}"),
        ("60 6 * * *", "cron `60 6 * * *`: `60` is no minute, which is 0-59"),
    ],
)
def test_what_is_not_understood_is_refused_with_the_forms_there_are(text: str, said: str) -> None:
    with pytest.raises(DagbookError) as refused:
        parse_schedule(text)
    assert str(refused.value) == said


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("* * * * *", "Every minute"),
        ("*/15 * * * *", "Every 15 minutes"),
        ("0 * * * *", "Every hour at :00"),
        ("5,35 * * * *", "Every hour at :05 and :35"),
        ("30 */2 * * *", "Every 2 hours at :30"),
        ("0 6 * * *", "Every day at 06:00"),
        ("30 6,18 * * *", "Every day at 06:30 and 18:30"),
        ("30 7 * * 1-5", "Every weekday at 07:30"),
        ("0 10 * * 0,6", "Every Saturday and Sunday at 10:00"),
        ("0 6 * * 1,3,5", "Every Monday, Wednesday and Friday at 06:00"),
        ("@weekly", "Every Sunday at 00:00"),
        ("0 6 1 * *", "Every month on the 1st at 06:00"),
        ("0 6 2,3,11,22 * *", "Every month on the 2nd, 3rd, 11th and 22nd at 06:00"),
        ("0 6 1-7 * *", "Every month on the days 1-7 at 06:00"),
        ("0 6 L * *", "Every month on the last day at 06:00"),
        ("0 6 * * mon#1", "Every month on the 1st Monday at 06:00"),
        ("0 6 * * L5", "Every month on the last Friday at 06:00"),
        ("0 6 1 1 *", "Every year on the 1st of January at 06:00"),
        ("0 6 * 1-3 1", "Every Monday in January, February and March at 06:00"),
        ("0 6 * 12 *", "Every day in December at 06:00"),
        ("0 6 13 * fri", "Every month on the 13th and every Friday at 06:00"),
        ("0 9-17 * * 1-5", "Every weekday at :00 of the hours 09-17"),
        ("*/10 9-17 * * 1-5", "Every 10 minutes in the hours 09-17, every weekday"),
        ("*/5 */2 * * *", "Every 5 minutes of every 2nd hour"),
    ],
)
def test_cron_becomes_words(cron: str, words: str) -> None:
    assert describe(cron) == words


def test_every_form_that_is_offered_is_understood() -> None:
    from dagbook.schedule_words import FORMS as offered

    for form in offered[:-1]:
        assert describe(parse_schedule(form))
    assert parse_schedule(offered[-1].split('"')[1]) == "0 6 * * *"
