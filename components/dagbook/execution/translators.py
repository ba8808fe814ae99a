"""Keeps papermill's way of writing parameters as papermill has it."""

from __future__ import annotations


def restore_python_translator() -> None:
    """Have papermill write parameters of Python notebooks in its own way again.

    ``import dagstermill``, ours or a project's own, replaces the translator that papermill keeps
    for the language ``python`` in the whole process by one that refuses every ordinary parameter.
    dagstermill itself calls its translator directly and does not miss it there. A translator that
    somebody else registered stays.
    """
    from papermill.translators import PythonTranslator, papermill_translators

    found = papermill_translators.find_translator("", "python")
    if found.__module__.split(".")[0] == "dagstermill":
        papermill_translators.register("python", PythonTranslator)
