"""The form of `%dagster form` in a real JupyterLab: filled in, wrong, saved, tried."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.needs("browser"), pytest.mark.early]

PARAMETERS = (
    "# dagster: parameters\n"
    "from typing import Literal\n"
    "country: Literal['DE', 'FR'] = 'DE'  # Which country\n"
    "days: int = 30  # How many days back"
)


@pytest.fixture
def form(lab: Any, open_notebook: Any, request: pytest.FixtureRequest) -> Any:
    """A notebook of a project of its own, with its form open."""
    folder = request.node.name.partition("[")[0]
    path = lab.write(
        f"{folder}/churn.ipynb",
        "%load_ext dagbook\n%dagster form --init",
        PARAMETERS,
        "# dagster: metrics\nauc = days / 40",
    )
    width = getattr(request, "param", 1280)
    notebook = open_notebook(f"{folder}/churn.ipynb", width=width, height=1700)
    notebook.theme("JupyterLab Light")  # the server keeps what another test chose
    notebook.run_cells(1)
    notebook.page.wait_for_selector(".dagbook-form")
    module = "".join(letter if letter.isalnum() else "_" for letter in folder)
    notebook.defs = path.parent / module / "defs" / "churn" / "defs.yaml"
    return notebook


def said(form: Any) -> str:
    return str(form.page.locator(".dagbook-state").inner_text())


def pick(form: Any, label: str, option: str) -> None:
    form.page.get_by_label(label, exact=True).select_option(option)


def type_in(form: Any, label: str, text: str) -> None:
    field = form.page.get_by_label(label, exact=True).first
    field.fill(text)
    field.press("Tab")


def test_what_is_chosen_is_what_is_written(form: Any) -> None:
    pick(form, "When", "Every weekday")
    type_in(form, "at", "07:30")
    type_in(form, "Time zone", "Europe/Berlin")
    pick(form, "country", "FR")
    type_in(form, "days", "14")
    form.page.get_by_text("Next: ").wait_for()
    form.picture("form-filled-light")
    form.theme("JupyterLab Dark")
    form.picture("form-filled-dark")
    form.page.get_by_role("button", name="Save", exact=True).click()
    form.page.get_by_text("✓ churn.ipynb").wait_for()
    assert form.defs.read_text() == (
        "type: dagbook.NotebookRunnerComponent\n"
        "attributes:\n"
        "  notebook: churn.ipynb\n"
        '  schedule: {cron: "30 7 * * 1-5", timezone: Europe/Berlin}\n'
        "  parameters: {country: FR, days: 14}\n"
    )
    form.page.get_by_role("button", name="Update schedule").wait_for()


def test_an_error_stands_at_its_field_and_nothing_is_written(form: Any) -> None:
    pick(form, "When", "Every day")
    type_in(form, "at", "25:00")
    alerts = form.page.locator(".dagbook-form [role=alert]")
    alerts.first.wait_for()
    type_in(form, "days", "many")
    form.page.get_by_text("many is not a number").wait_for()
    assert alerts.all_inner_texts() == [
        "✕ 25:00 is no time; write such as 06:00",
        "✕ many is not a number",
    ]
    form.picture("form-errors-light")
    form.theme("JupyterLab Dark")
    form.picture("form-errors-dark")
    form.page.get_by_role("button", name="Save", exact=True).click()
    assert not form.defs.exists()
    type_in(form, "at", "06:00")
    type_in(form, "days", "{{ data_interval_start }}")
    assert form.page.get_by_label("days").input_value() == "{{ data_interval_start }}"


def test_try_and_schedule_tries_first(form: Any) -> None:
    pick(form, "When", "Every day")
    form.page.get_by_role("button", name="Try and schedule").click()
    form.page.get_by_role("button", name="Update schedule").wait_for()
    assert 'cron: "0 6 * * *"' in form.defs.read_text()
    assert list(Path(form.defs).parents[3].glob("runs/churn/*-succeeded.ipynb"))
    form.picture("form-tried")


@pytest.mark.parametrize("form", [520], indirect=True)
def test_a_narrow_window_loses_nothing(form: Any) -> None:
    form.command("application:toggle-left-area")
    pick(form, "When", "Custom")
    box = form.page.locator(".dagbook-form").bounding_box()
    inside = form.page.locator(".dagbook-form input, .dagbook-form select, .dagbook-form button")
    for each in inside.all():
        if each.is_visible():
            found = each.bounding_box()
            assert found["x"] + found["width"] <= box["x"] + box["width"] + 1
    form.picture("form-narrow")


def test_every_input_has_a_name_and_can_be_reached_by_keyboard(form: Any) -> None:
    form.page.get_by_text("More", exact=True).click()
    nameless = form.page.evaluate(
        """() => [...document.querySelectorAll('.dagbook-form input, .dagbook-form select,'
              + ' .dagbook-form textarea, .dagbook-form button')]
            .filter(each => each.offsetParent !== null)
            .filter(each => !(each.labels && [...each.labels].some(l => l.textContent.trim()))
                && !each.textContent.trim() && !each.title && !each.placeholder
                && !each.getAttribute('aria-label'))
            .map(each => each.outerHTML.slice(0, 120))"""
    )
    assert nameless == []
    cut = form.page.evaluate(
        """() => [...document.querySelectorAll('.dagbook-form .widget-label')]
            .filter(each => each.offsetParent !== null && each.scrollWidth > each.clientWidth + 1)
            .map(each => each.textContent)"""
    )
    assert cut == [], "labels that are not shown whole"
    form.picture("form-more")


PLATFORM = """
connections:
  analytics: {provider: environment, key: KEPT, variables: DB_PASSWORD, description: The warehouse}
resources:
  database: {connections: [analytics]}
"""


def test_ones_own_credentials_are_kept_and_leave_the_page(lab: Any, open_notebook: Any) -> None:
    path = lab.write("own/churn.ipynb", "%load_ext dagbook\n%dagster form --init", PARAMETERS)
    (path.parent / "dagbook-platform.yaml").write_text(PLATFORM)
    form = open_notebook("own/churn.ipynb", height=1700)
    form.theme("JupyterLab Light")
    form.run_cells(1)
    form.page.wait_for_selector(".dagbook-form")
    form.page.get_by_label("database", exact=True).select_option("analytics")
    form.page.get_by_text("Your own credentials").click()
    typed = form.page.get_by_label("DB_PASSWORD")
    assert typed.get_attribute("type") == "password"
    typed.fill("correct horse battery")
    form.picture("form-own-light")
    form.theme("JupyterLab Dark")
    form.picture("form-own-dark")
    form.page.get_by_role("button", name="Keep it for my runs").click()
    form.page.get_by_text("Kept. analytics: DB_PASSWORD").wait_for()
    form.command("docmanager:save")
    assert form.page.get_by_label("DB_PASSWORD").input_value() == ""
    assert "correct horse" not in path.read_text()
