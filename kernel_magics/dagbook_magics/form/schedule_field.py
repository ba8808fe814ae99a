"""When to run: a day and a time for most, cron for the rest, and the next three runs below."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from typing import Any

import ipywidgets as widgets

from dagbook.cron import next_ticks
from dagbook.errors import DagbookError
from dagbook.schedule_words import parse_schedule
from dagbook.time_zones import find_zone, local_zone_name
from dagbook_magics.form.field import LABEL_WIDTH, Field, Loc
from dagbook_magics.form.shape import UNSET, Shape
from dagbook_magics.form.text_values import is_template

NOT, CUSTOM = "not scheduled", "Custom"
_DAILY = {
    "Every day": "* * *",
    "Every weekday": "* * 1-5",
    **{
        f"Every {name}": f"* * {number}"
        for number, name in enumerate(
            ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
        )
    },
    "Every 1st of the month": "1 * *",
}
_HOURLY = "Every hour"
_DEFAULT_TIME = "06:00"
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


class ScheduleField(Field):
    """Asks for a schedule; empty means that the notebook is not scheduled."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self._before: Any = UNSET
        self._often = widgets.Dropdown(
            options=[NOT, *_DAILY, _HOURLY, CUSTOM],
            value=NOT,
            description=shape.label + (" *" if shape.required else ""),
            style={"description_width": LABEL_WIDTH},
            layout=widgets.Layout(width="330px"),
        )
        narrow = {"continuous_update": False, "style": {"description_width": "24px"}}
        self._time = widgets.Text(
            _DEFAULT_TIME, description="at", layout=widgets.Layout(width="100px"), **narrow
        )
        self._cron = widgets.Text(
            placeholder='0 6 * * * or "weekdays 07:30"',
            description="cron",
            continuous_update=False,
            style={"description_width": "40px"},
            layout=widgets.Layout(width="240px"),
        )
        self._zone = widgets.Combobox(
            value=local_zone_name(),
            options=_zones(),
            description="Time zone",
            ensure_option=False,
            continuous_update=False,
            style={"description_width": LABEL_WIDTH},
            layout=widgets.Layout(width="330px"),
        )
        self._next = widgets.HTML(layout=widgets.Layout(margin="0 0 0 134px"))
        for part in (self._often, self._time, self._cron, self._zone):
            part.observe(self._on_input, names="value")
        row = widgets.Box(
            [self._often, self._time, self._cron], layout=widgets.Layout(flex_flow="row wrap")
        )
        self.widget = widgets.VBox(
            [row, self._zone, self._next, self._message],
            layout=widgets.Layout(margin="0 0 6px 0"),
        )
        self._show()

    @property
    def said(self) -> Any:
        """``{cron, timezone}``, and what else the schedule had; a template as it was."""
        if self._often.value == NOT:
            return UNSET
        if is_template(self._cron.value) and self._often.value == CUSTOM:
            if isinstance(self._before, str):
                return self._cron.value
            return self._with_before(self._cron.value)
        try:
            return self._with_before(self._parsed())
        except DagbookError:
            return self._with_before(self._cron.value or self._time.value)

    def _with_before(self, cron: str) -> dict[str, Any]:
        kept = self._before if isinstance(self._before, dict) else {}
        return {**kept, "cron": cron, "timezone": self._zone.value.strip()}

    def _parsed(self) -> str:
        often = self._often.value
        if often == CUSTOM and not self._cron.value.strip():
            raise DagbookError("say when: a cron line, or words such as weekdays 07:30")
        if often == CUSTOM:
            return parse_schedule(self._cron.value)
        clock = _CLOCK.fullmatch(self._time.value.strip())
        if clock is None:
            raise DagbookError(f"{self._time.value} is no time; write such as 06:00")
        hour, minute = int(clock[1]), int(clock[2])
        if often == _HOURLY:
            return f"{minute} * * * *"
        return f"{minute} {hour} {_DAILY[often]}"

    def show(self, value: Any) -> None:
        """Show a schedule."""
        self._before = value
        cron = value.get("cron") if isinstance(value, dict) else value
        zone = value.get("timezone") if isinstance(value, dict) else None
        if isinstance(value, str | dict):
            # In YAML a schedule without a zone is in UTC; a new one is in the reader's own.
            self._zone.value = zone or "UTC"
        if not isinstance(cron, str) or not cron:
            self._often.value = NOT
        elif (simple := _as_choice(cron)) is not None:
            self._often.value, self._time.value = simple
        else:
            self._often.value = CUSTOM
            self._cron.value = cron
        self._show()

    def _on_input(self, *_: Any) -> None:
        self._show()
        self.changed()

    def _show(self) -> None:
        often = self._often.value
        self._time.layout.display = "none" if often in (NOT, CUSTOM) else ""
        self._cron.layout.display = "" if often == CUSTOM else "none"
        self._zone.layout.display = "none" if often == NOT else ""
        self._next.value = self._next_runs()

    def _next_runs(self) -> str:
        if self._often.value == NOT:
            return ""
        try:
            runs = next_ticks(self._parsed(), find_zone(self._zone.value.strip()), 3)
        except DagbookError:
            return ""
        return f"<div>Next: {', '.join(_moment(run) for run in runs)}</div>"

    def own_problems(self) -> Iterator[tuple[Loc, str]]:
        """A time, a cron line or a zone that is none."""
        if self._often.value == NOT:
            if self.shape.required:
                yield (), "is needed"
            return
        if self._often.value == CUSTOM and is_template(self._cron.value):
            return
        for check in (self._parsed, lambda: find_zone(self._zone.value.strip())):
            try:
                check()
            except DagbookError as error:
                yield (), str(error)


def _as_choice(cron: str) -> tuple[str, str] | None:
    """How often and at what time a cron line is, where the menu has that."""
    fields = cron.split()
    if len(fields) != 5 or not fields[0].isdecimal() or int(fields[0]) > 59:
        return None
    minute, hour, rest = int(fields[0]), fields[1], " ".join(fields[2:])
    if hour == "*" and rest == "* * *":
        return _HOURLY, f"00:{minute:02d}"
    often = next((word for word, days in _DAILY.items() if days == rest), None)
    if often is None or not hour.isdecimal() or int(hour) > 23:
        return None
    return often, f"{int(hour):02d}:{minute:02d}"


def _moment(run: datetime.datetime) -> str:
    return f"{run:%a} {run.day} {run:%b} {run:%H:%M}"


def _zones() -> list[str]:
    from zoneinfo import available_timezones

    return sorted(name for name in available_timezones() if "/" in name or name == "UTC")
