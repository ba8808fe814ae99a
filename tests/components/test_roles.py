"""Roles: three ways to write each, everything misspelt refused, other tools' tags left alone."""

from __future__ import annotations

import pytest

from dagbook.errors import DagbookError
from dagbook.roles import CellRoles, Role, RoleKind, read_roles

WHERE = "churn.ipynb, cell 3"


def read(source: str = "x = 1", *tags: str, language: str = "python") -> CellRoles:
    return read_roles(source, tags, language=language, where=WHERE)


def refusal(source: str = "x = 1", *tags: str, language: str = "python") -> str:
    with pytest.raises(DagbookError) as caught:
        read(source, *tags, language=language)
    text = str(caught.value)
    assert text.startswith(f"{WHERE}: ")
    assert "\n" not in text
    return text.removeprefix(f"{WHERE}: ")


PARAMETERS = Role(RoleKind.PARAMETERS)
SKIP = Role(RoleKind.SKIP)
METRICS = Role(RoleKind.METRICS)
CHECK = Role(RoleKind.CHECK, "rows_positive")
NOTED = Role(RoleKind.CHECK, "rows_positive", warn=True)
RESULT = Role(RoleKind.RESULT, "model")

THREE_WAYS = [
    pytest.param("parameters", "parameters", PARAMETERS, id="parameters"),
    pytest.param("skip", "skip", SKIP, id="skip"),
    pytest.param("metrics", "metrics", METRICS, id="metrics"),
    pytest.param("check:rows_positive", "check rows_positive", CHECK, id="check"),
    pytest.param("check-warn:rows_positive", "check rows_positive --warn", NOTED, id="noted check"),
    pytest.param("result:model", "result model", RESULT, id="result"),
]


@pytest.mark.parametrize(("tag", "text", "role"), THREE_WAYS)
def test_tag_comment_and_magic_say_the_same(tag: str, text: str, role: Role) -> None:
    results = ("model",) if role is RESULT else ()
    assert read("x = 1", tag) == CellRoles(role, results)
    assert read(f"# dagster: {text}\nx = 1") == CellRoles(role, results)
    assert read(f"%%dagster {text}\nx = 1") == CellRoles(role, results)


@pytest.mark.parametrize(("tag", "text", "role"), THREE_WAYS)
def test_tag_and_text_that_agree_stand_together(tag: str, text: str, role: Role) -> None:
    assert read(f"# dagster: {text}\nx = 1", "other", tag).role == role
    assert str(role) == tag


@pytest.mark.parametrize(
    ("source", "role"),
    [
        pytest.param("#dagster:skip\nx", SKIP, id="no spaces"),
        pytest.param("#   dagster:   skip  ", SKIP, id="many spaces"),
        pytest.param("\n\n  # dagster: skip\nx", SKIP, id="blank lines above"),
        pytest.param("# Dagster: skip", SKIP, id="capital letter"),
        pytest.param("# dagster: skip  # only for exploring", SKIP, id="comment behind"),
        pytest.param("# dagster: skip-execution", SKIP, id="nbclient's word"),
        pytest.param("# dagster: check:rows_positive", CHECK, id="the tag's spelling"),
        pytest.param("# dagster: check-warn:rows_positive", NOTED, id="the tag's spelling, noted"),
        pytest.param("# dagster: check: rows_positive", CHECK, id="a colon too many"),
        pytest.param("# dagster: check --warn rows_positive", NOTED, id="option first"),
        pytest.param("%%dagster\tskip\nx", SKIP, id="tab after the magic"),
        pytest.param("  %%dagster skip\nx", SKIP, id="indented magic"),
        pytest.param("# dagster: skip\r\nx = 1\r\n", SKIP, id="Windows line ends"),
    ],
)
def test_first_lines_are_read_as_people_type_them(source: str, role: Role) -> None:
    assert read(source).role == role


@pytest.mark.parametrize(
    ("language", "line"),
    [
        ("R", "# dagster: check rows_positive --warn"),
        ("bash", "# dagster: check rows_positive --warn"),
        ("julia", "# dagster: check rows_positive --warn"),
        ("scala", "// dagster: check rows_positive --warn"),
        ("c#", "// dagster: check rows_positive --warn  // why"),
        ("sql", "-- dagster: check rows_positive --warn"),
        ("matlab", "% dagster: check rows_positive --warn"),
        ("octave", "# dagster: check rows_positive --warn"),
        ("clojure", ";; dagster: check rows_positive --warn"),
        ("a new language", "-- dagster: check rows_positive --warn"),
        ("a new language", "# dagster: check rows_positive --warn"),
        ("scala", "%%dagster check rows_positive --warn"),
    ],
)
def test_every_language_has_its_own_comment(language: str, line: str) -> None:
    assert read(f"{line}\nx", language=language).role == NOTED


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("x = 1\n# dagster: check\n", id="not on the first line"),
        pytest.param("# dagster runs this every night", id="no colon"),
        pytest.param("# Dagster: the orchestrator we use", id="a sentence"),
        pytest.param("# the dagster: check", id="words before it"),
        pytest.param("'# dagster: metric'", id="in a string"),
        pytest.param("%%dagster_other check", id="another magic"),
        pytest.param("%%time\nx = 1", id="a cell magic"),
        pytest.param("// dagster: skip", id="another language's comment"),
        pytest.param("", id="empty"),
        pytest.param("\n \n", id="blank"),
    ],
)
def test_other_first_lines_are_no_roles(source: str) -> None:
    assert read(source) == CellRoles()


def test_metrics_and_results_stand_together() -> None:
    both = CellRoles(METRICS, ("model", "scores"))
    assert read("x", "metrics", "result:model", "result:scores") == both
    assert read("# dagster: metrics, result model, result scores\nx") == both
    assert read("# dagster: metrics\nx", "result:model", "result:scores") == both


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (
            "metric",
            "`metric` is not a role. Did you mean `metrics`? "
            "Known: metrics, parameters, check, result, skip",
        ),
        (
            "Skip",
            "`Skip` is not a role. Did you mean `skip`? "
            "Known: skip, check, result, metrics, parameters",
        ),
        (
            "validate the rows",
            "`validate` is not a role. Known: parameters, result, skip, check, metrics",
        ),
        ("check", "`check` needs a name: write `# dagster: check NAME`."),
        ("check --warn", "`check` needs a name: write `# dagster: check NAME`."),
        ("result", "`result` needs a name: write `# dagster: result NAME`."),
        (
            "check rows positive",
            "`positive` does not belong behind `# dagster: check rows`; "
            "a second role is set off by a comma.",
        ),
        (
            "check rows!",
            "`rows!` cannot be a check's name; use letters, digits, `_`, `-` and `.` "
            "without spaces.",
        ),
        (
            "check rows --warning",
            "`check` has no option `--warning`. Did you mean `--warn`? Known: --warn",
        ),
        ("skip --warn", "`skip` takes no option; leave out `--warn`."),
        ("metrics auc", "`metrics` takes no name; leave out `auc`."),
        (
            "result for",
            "`for` cannot be a result; name the variable whose value is to be kept.",
        ),
        (
            "result my-model",
            "`my-model` cannot be a result; name the variable whose value is to be kept.",
        ),
        (
            "skip, metrics",
            "has two roles, `skip` (its first line) and `metrics` (its first line). "
            "Keep one of them.",
        ),
        (
            "skip,",
            "`# dagster:` names no role. Known: check, metrics, parameters, result, skip",
        ),
        (
            "",
            "`# dagster:` names no role. Which is it: parameters, skip, metrics, check, result? "
            "Write for example `# dagster: skip`.",
        ),
    ],
)
def test_a_misspelt_role_in_text_is_refused(text: str, answer: str) -> None:
    assert refusal(f"# dagster: {text}\nx = 1") == answer


def test_errors_show_the_form_the_author_used() -> None:
    assert refusal("%%dagster check\nx") == "`check` needs a name: write `%%dagster check NAME`."
    assert (
        refusal("// dagster: check\nx", language="scala")
        == "`check` needs a name: write `// dagster: check NAME`."
    )
    assert refusal("x", "check:") == "`check` needs a name: write `check:NAME`."
    assert refusal("x", "check-warn:") == "`check-warn` needs a name: write `check-warn:NAME`."
    assert refusal("x", "result:") == "`result` needs a name: write `result:NAME`."


@pytest.mark.parametrize("tag", ["check:bad name", "check: name", "check-warn:a/b", "check:---"])
def test_a_check_tag_with_a_bad_name_is_refused(tag: str) -> None:
    assert refusal("x", tag) == (
        f"`{tag.partition(':')[2]}` cannot be a check's name; use letters, digits, `_`, `-` and "
        "`.` without spaces."
    )


@pytest.mark.parametrize("name", ["rows", "rows-positive", "v1.2", "größe", "検査"])
def test_a_check_may_be_called_as_its_author_speaks(name: str) -> None:
    assert read("x", f"check:{name}").role == Role(RoleKind.CHECK, name)


def test_a_check_has_a_name_that_dagster_takes() -> None:
    assert Role(RoleKind.CHECK, "rows-positive.v2").slug == "rows_positive_v2"
    assert Role(RoleKind.SKIP).slug is None


def test_a_result_is_a_variable_of_its_language() -> None:
    assert read("x", "result:my.model", language="R").results == ("my.model",)
    assert refusal("x", "result:my.model") == (
        "`my.model` cannot be a result; name the variable whose value is to be kept."
    )


@pytest.mark.parametrize(
    ("tags", "source", "first", "second"),
    [
        (("skip", "metrics"), "x", "`skip` (its tag)", "`metrics` (its tag)"),
        (("check:a", "check:b"), "x", "`check:a` (its tag)", "`check:b` (its tag)"),
        (("check:a", "check-warn:a"), "x", "`check:a` (its tag)", "`check-warn:a` (its tag)"),
        (
            ("check:a",),
            "# dagster: check a --warn",
            "`check:a` (its tag)",
            "`check-warn:a` (its first line)",
        ),
        (("parameters",), "%%dagster skip", "`parameters` (its tag)", "`skip` (its first line)"),
        (("skip", "result:a"), "x", "`skip` (its tag)", "`result:a` (its tag)"),
        (("parameters", "result:a"), "x", "`parameters` (its tag)", "`result:a` (its tag)"),
        (("metrics",), "%%dagster\nretries: 2", "`metrics` (its tag)", "`skip` (its first line)"),
    ],
)
def test_two_roles_in_one_cell_are_refused(
    tags: tuple[str, ...], source: str, first: str, second: str
) -> None:
    answer = f"has two roles, {first} and {second}. Keep one of them."
    assert refusal(source, *tags) == answer


@pytest.mark.parametrize(
    ("tag", "meant"),
    [
        ("check", "check:NAME"),
        ("check-warn", "check-warn:NAME"),
        ("result", "result:NAME"),
        ("results", "result:NAME"),
        ("checks", "check:NAME"),
        ("metric", "metrics"),
        ("Metrics", "metrics"),
        ("Parameters", "parameters"),
        ("parameter", "parameters"),
        ("Check:rows", "check:NAME"),
        ("metrics:auc", "metrics"),
    ],
)
def test_a_tag_close_to_a_role_is_left_alone_and_noted(tag: str, meant: str) -> None:
    assert read("x", tag) == CellRoles(
        notes=(
            f"the tag `{tag}` is no role and is left alone; if it is meant as one, write `{meant}`",
        )
    )


@pytest.mark.parametrize(
    "tag",
    ["injected-parameters", "remove-input", "hide-output", "raises-exception", "", ":", "a:b"],
)
def test_tags_of_other_tools_are_left_alone(tag: str) -> None:
    assert read("x", tag) == CellRoles()


@pytest.mark.parametrize(
    "yaml",
    [
        pytest.param("notebook: churn.ipynb", id="one key"),
        pytest.param("# mine\n\ncompute_size: small\nschedule:\n  cron: 0 6 * * *", id="nested"),
        pytest.param("owners:\n- team:growth\nretries: 2", id="list at the margin"),
        pytest.param(
            "type: dagbook.NotebookRunnerComponent\nattributes:\n  a: [1,\n    2\n  ]", id="type"
        ),
    ],
)
def test_yaml_below_a_bare_magic_is_a_settings_cell_left_out_of_production(yaml: str) -> None:
    assert read(f"%%dagster\n{yaml}") == CellRoles(SKIP, settings=yaml)
    assert read(f"%%dagster\n{yaml}", "skip") == CellRoles(SKIP, settings=yaml)


@pytest.mark.parametrize(
    "below",
    [
        pytest.param("x = 1", id="assignment"),
        pytest.param("", id="nothing"),
        pytest.param("import os\nprint(1)", id="statements"),
        pytest.param("day: str\nalpha: float", id="declared parameters"),
        pytest.param("try:\n    pass\nfinally:\n    pass", id="keyword with a colon"),
        pytest.param("for x in y:\n    pass", id="block"),
        pytest.param("{'a': 1}", id="dict"),
        pytest.param("a: 1\nprint(a)", id="both"),
    ],
)
def test_a_bare_magic_above_code_is_asked_about(below: str) -> None:
    assert refusal(f"%%dagster\n{below}") == (
        "`%%dagster` names no role. Which is it: parameters, skip, metrics, check, result? "
        "Write for example `%%dagster skip`."
    )


def test_yaml_below_a_bare_comment_is_asked_about() -> None:
    assert refusal("# dagster:\nretries: 2").startswith("`# dagster:` names no role.")
