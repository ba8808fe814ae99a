"""What component files may hold, as the platform file of their project says."""

from __future__ import annotations

from pathlib import Path

from dagbook.policy.governing import refuse_inner_project
from dagbook.policy.presence import has_platform_file
from dagbook.project import Project, require_project
from dagbook.safe_yaml import ScreenedProject, ScreeningRules, refuse_unsafe


def screening_rules(project: Project) -> ScreeningRules:
    """The rules a project's component files are screened by: its platform file's, or the defaults.

    Raises:
        DagbookError: there is a platform file and it cannot be used, or there is none and the
            project lies in one that has.
    """
    if not has_platform_file(project.root):
        refuse_inner_project(project.root)
        return ScreeningRules()
    from dagbook.policy.platform_file import find_platform

    rules = find_platform(project.root).rules
    return ScreeningRules(
        types=rules.component_types,
        environment=rules.environment,
        names=rules.template_names,
        template_vars_modules=rules.template_vars_modules,
        post_processing=rules.post_processing,
        python_below_defs=rules.python_below_defs,
    )


def screen_project(
    path_within_project: Path | str | None = None, *, rules: ScreeningRules | None = None
) -> ScreenedProject:
    """Refuse a project whose component files are not safe, before Dagster loads them::

        dagbook.screen_project(__file__)
        defs = dg.load_from_defs_folder(path_within_project=Path(__file__).parent)

    This guards against mistakes only: Dagster reads the files again afterwards, and Python below
    ``defs`` runs as ever. ``dagbook.location`` loads the very text it has screened.

    Args:
        path_within_project: a file or folder of the project; the working directory by default.
        rules: what the files may hold, instead of what the project's platform file says.

    Raises:
        DagbookError: a file is refused, or the platform file cannot be used; the text has its
            place and the reason of the first.
    """
    project = require_project(path_within_project or Path.cwd())
    return refuse_unsafe(project, rules or screening_rules(project))
