"""What a component file is refused for, before anything in it is imported or executed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import dagbook
from dagbook.errors import DagbookError
from dagbook.notebook_runner import run_time_names
from dagbook.project import Project, create_project
from dagbook.safe_yaml import Registry, Screening, ScreeningRules, screen_file, screen_text
from dagbook.safe_yaml.braces import RUN_TIME_NAMES

REGISTRY = Registry(frozenset({"dagbook", "dagster", "acme.components.*"}))
HEAD = "type: dagbook.NotebookRunnerComponent\nattributes:\n  notebook: n.ipynb\n"
OTHER = "type: dagster.PythonScriptComponent\nattributes:\n"

PLAIN = (
    "in braces a plain name may stand, such as `{{ context.project_root }}`, no calls, filters or "
    "operators"
)


def reasons(
    text: str | bytes, rules: ScreeningRules | None = None, registry: Registry = REGISTRY
) -> list[str]:
    data = text.encode() if isinstance(text, str) else text
    rules = rules or ScreeningRules()
    screened = screen_text(Path("defs.yaml"), data, rules, registry)
    # PyYAML's parser in C, for what is loaded from here, and the one Dagster uses agree.
    again = screen_text(Path("defs.yaml"), data, rules, registry, read_again=True)
    assert screened.refusals == again.refusals
    assert [d.value for d in screened.documents] == [d.value for d in again.documents]
    assert all(str(r) == f"defs.yaml:{r.line}: {r.reason}" for r in screened.refusals)
    assert not any("\n" in str(r) for r in screened.refusals)
    return [f"{r.line}: {r.reason}" for r in screened.refusals]


def test_an_ordinary_component_is_accepted() -> None:
    assert (
        reasons(
            "# A comment may hold {{ env.X }}, {% for %} and {# anything #}.\n" + HEAD +
            '  parameters: {since: "{{ data_interval_start }}", day: "{{run_date}}", n: 3}\n'
            '  experiment: {name: "churn {{ partition_key }}"}\n'
            "  description: 'in {{ context.project_root }}, {{ project_root }}; {a}, }}, {, %}'\n"
            "  owners: &who [team:growth]\n"
            "  tags: {a: x}  # {{ here too }}\n"
            "requirements: {env: [A]}\n---\ntype: acme.components.churn.Churn\n"
        )
        == []
    )  # fmt: skip


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (
            "'{{ env.AWS_SECRET_ACCESS_KEY }}'",
            "`{{ env.AWS_SECRET_ACCESS_KEY }}` is not allowed: component files may read these "
            "variables: none",
        ),
        ("\"{{ env('KEY') }}\"", f"`{{{{ env('KEY') }}}}` is not allowed: {PLAIN}"),
        ("\"{{ env['KEY'] }}\"", f"`{{{{ env['KEY'] }}}}` is not allowed: {PLAIN}"),
        (
            "\"{{ env.__call__.__globals__['os'].popen('id') }}\"",
            f"`{{{{ env.__call__.__globals__['os'].popen('id') }}}}` is not allowed: {PLAIN}",
        ),
        (
            "'{{ cycler.__init__.__globals__ }}'",
            "`{{ cycler.__init__.__globals__ }}` is not allowed: no part of a name may begin with `_`",
        ),
        ("'{{ namespace() }}'", f"`{{{{ namespace() }}}}` is not allowed: {PLAIN}"),
        (
            "'{{ lipsum }}'",
            "`{{ lipsum }}` is no name that may stand here. Known: project_root, context.project_root",
        ),
        (
            "'{{ datetime.datetime }}'",
            "`{{ datetime.datetime }}` is no name that may stand here. Known: context.project_root, "
            "project_root",
        ),
        (
            "'{{ context.build_defs }}'",
            "`{{ context.build_defs }}` is no name that may stand here. Known: "
            "context.project_root, project_root",
        ),
        (
            "'{% include \"/etc/passwd\" %}'",
            '`{% include "/etc/passwd" %}` is not allowed: no logic in a component file',
        ),
        (
            "'{% for i in range(10**9) %}x{% endfor %}'",
            "`{% for i in range(10**9) %}` is not allowed: no logic in a component file",
        ),
        ("\"{{ 'a' * 10**9 }}\"", f"`{{{{ 'a' * 10**9 }}}}` is not allowed: {PLAIN}"),
        ("'{{ project_root | upper }}'", f"`{{{{ project_root | upper }}}}` is not allowed: {PLAIN}"),
        ("'{{- project_root -}}'", f"`{{{{- project_root -}}}}` is not allowed: {PLAIN}"),
        ("'{{{ project_root }}}'", f"`{{{{{{ project_root }}}}` is not allowed: {PLAIN}"),
        ("'{{ ｐroject_root }}'", f"`{{{{ ｐroject_root }}}}` is not allowed: {PLAIN}"),
        ("'{{ project_root'", f"`{{{{ project_root` is not allowed: {PLAIN}"),
        (
            "'{% raw %}{{ env.KEY }}{% endraw %}'",
            "`{% raw %}` is not allowed: no logic in a component file",
        ),
        ("'{%raw%}'", "`{%raw%}` is not allowed: no logic in a component file"),
        (
            "'x {# {{ project_root }} #}'",
            "`{# {{ project_root }} #}` is not allowed: comments begin with `#`, outside of values",
        ),
        ('"\\u007b\\u007b 7*7 }}"', f"`{{{{ 7*7 }}}}` is not allowed: {PLAIN}"),
        ('"\\x7b{ 7*7 }}"', f"`{{{{ 7*7 }}}}` is not allowed: {PLAIN}"),
        ('"{\\\n    { 7*7 }}"', f"`{{{{ 7*7 }}}}` is not allowed: {PLAIN}"),
        ("'{{ run_id }}'", "`{{ run_id }}` is no name that may stand here. Known: project_root, "
         "context.project_root"),
        ("'{{ node.name }}'", "`{{ node.name }}` is no name that may stand here. Known: "
         "context.project_root, project_root"),
        ("'{{ context.project_root.parent }}'", "`{{ context.project_root.parent }}` is no name "
         "that may stand here. Did you mean `context.project_root`? Known: context.project_root, "
         "project_root"),
        ('"{{ \\e[2J\\n }}"', f"`{{{{ �[2J }}}}` is not allowed: {PLAIN}"),
    ],
)  # fmt: skip
def test_only_plain_names_may_stand_in_braces(value: str, said: str) -> None:
    assert reasons(f"{HEAD}  description: {value}\n") == [f"4: description: {said}"]
    assert reasons(f"{OTHER}  a: [{{b: {value}}}]\n") == [f"3: a.0.b: {said}"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            HEAD + "  description: |\n    first\n    second {{ 1 }}\n",
            f"6: description: `{{{{ 1 }}}}` is not allowed: {PLAIN}",
        ),
        (
            HEAD + "  description: >\n    folded {{\n    project_root }} {{ 1 }}\n",
            f"4: description: `{{{{ 1 }}}}` is not allowed: {PLAIN}",
        ),
        (
            HEAD + "  parameters:\n    a: '{{ project_root }}'\n",
            "5: parameters.a: `{{ project_root }}` is no name that a run knows. Known: "
            "experiment_id, environment, partition_key, data_interval_start, run_id, attempt, "
            "run_date, data_interval_end. Only exact names are filled in: expressions belong in "
            "the notebook",
        ),
        (
            HEAD + "  experiment: {tags: ['{{ run_id }}']}\n",
            "4: experiment.tags.0: `{{ run_id }}` is no name that may stand here. Known: "
            "project_root, context.project_root",
        ),
        (
            HEAD + "  '{{ env.X }}': 1\n",
            "4: attributes: braces in a key are not allowed: they are for values",
        ),
        (
            "type: '{{ env.X }}.Y'\n",
            "1: type: '{{ env.X }}.Y' is no component type, write it as in `type: "
            "dagbook.NotebookRunnerComponent`",
        ),
        (
            HEAD + "requirements: {env: ['{{ env.X }}']}\n",
            "4: requirements.env.0: `{{ env.X }}` is not allowed: no name in braces may stand here",
        ),
        (
            HEAD + "  a: &a {b: '{{ 1 }}'}\n---\n" + OTHER + "  x: 1\n  <<: {y: '{{ 2 }}'}\n",
            f"4: a.b: `{{{{ 1 }}}}` is not allowed: {PLAIN}",
        ),
        # What PyYAML takes for the end of a line ends a comment.
        (
            "type: dagster.X\n# \x85attributes: {a: '{{ env.X }}'}\n",
            "3: a: `{{ env.X }}` is not allowed: component files may read these variables: none",
        ),
        (
            "type: dagster.X\r# \rattributes: {a: '{{ env.X }}'}\r",
            "3: a: `{{ env.X }}` is not allowed: component files may read these variables: none",
        ),
    ],
)
def test_templates_are_found_wherever_they_stand(text: str, said: str) -> None:
    assert reasons(text)[0] == said


def test_what_an_alias_stands_for_is_judged_where_it_is_used() -> None:
    text = HEAD + "  parameters: {a: &a '{{ run_id }}'}\n  description: *a\n"
    assert reasons(text) == [
        "4: description: `{{ run_id }}` is no name that may stand here. Known: project_root, "
        "context.project_root"
    ]


def test_rules_release_variables_and_names() -> None:
    rules = ScreeningRules(environment=frozenset({"HOST"}), names=frozenset({"table", "db.name"}))
    text = OTHER + "  a: '{{ env.HOST }} {{ table }} {{ db.name }}'\n  b: '{{ env.PASSWORD }}'\n"
    assert reasons(text, rules) == [
        "4: b: `{{ env.PASSWORD }}` is not allowed: component files may read these variables: HOST"
    ]


def test_plain_data_of_a_package_is_open_and_its_objects_are_not() -> None:
    dbt = "type: dagster_dbt.DbtProjectComponent\nattributes:\n"
    rules = ScreeningRules(types=frozenset({"dagster_dbt.DbtProjectComponent"}))
    assert reasons(dbt + "  translation: {key: '{{ node.meta.dagster.key }}'}\n", rules) == []
    assert reasons(
        dbt + "  select: '{{ node.name }}'\n  translation: {key: '{{ node.meta.__class__ }}'}\n",
        rules,
    ) == [
        "3: select: `{{ node.name }}` is no name that may stand here. Known: context.project_root, "
        "project_root",
        "4: translation.key: `{{ node.meta.__class__ }}` is not allowed: no part of a name may "
        "begin with `_`",
    ]
    dlt = "type: dagster_dlt.DltLoadCollectionComponent\nattributes:\n  loads:\n"
    rules = ScreeningRules(types=frozenset({"dagster_dlt.DltLoadCollectionComponent"}))
    said = reasons(dlt + "  - translation: {key: '{{ pipeline.destination_client }}'}\n", rules)
    assert len(said) == 1
    assert said[0].startswith(
        "4: loads.0.translation.key: `{{ pipeline.destination_client }}` is no name that may "
        "stand here. "
    )


def test_the_run_time_names_are_those_of_the_component() -> None:
    assert set(run_time_names.RUN_TIME_NAMES) == RUN_TIME_NAMES


BOMB = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            HEAD + "  a: !!python/object/apply:os.system [id]\n",
            "4: the tag !!python/object/apply:os.system is not allowed: write plain values",
            id="python-tag",
        ),
        pytest.param(
            HEAD + "  a: !!str 3\n",
            "4: the tag !!str is not allowed: write plain values",
            id="any-tag",
        ),
        pytest.param(
            "%TAG !p! tag:yaml.org,2002:python/\n---\na: !p!name:os.system\n",
            "1: a line that begins with % is not allowed: take it out",
            id="tag-handle",
        ),
        pytest.param(
            "%YAML 1.2\n---\n" + HEAD,
            "1: a line that begins with % is not allowed: take it out",
            id="version",
        ),
        pytest.param(BOMB, "4: aliases make more than 10,000 values", id="alias-bomb"),
        pytest.param(
            "a: &a [" + "x," * 900 + "]\nb: [" + "*a," * 900 + "]\n",
            "2: aliases make more than 10,000 values",
            id="alias-bomb-of-one-level",
        ),
        pytest.param(
            "a: &a {" + ",".join(f"k{i}: 1" for i in range(500)) + "}\nb:\n  <<: ["
            + "*a, " * 900 + "]\n",
            "3: aliases make more than 10,000 values",
            id="merge-bomb",
        ),
        pytest.param("a: &a [*a]\n", "1: an alias inside what it stands for", id="endless-alias"),
        pytest.param("a: *b\n", "1: an alias `*…` whose anchor `&…` is missing", id="no-anchor"),
        pytest.param(
            b"a: " + b"x" * 50_000_000,
            "1: is larger than 262,144 bytes: no component file is",
            id="50-MB",
        ),
        pytest.param(
            "".join(f"k{i}: 1\n" for i in range(200_000)),
            "1: is larger than 262,144 bytes: no component file is",
            id="200,000-keys",
        ),
        pytest.param(
            "[" + "1," * 100_000 + "]", "1: holds more than 10,000 values", id="100,000-values"
        ),
        pytest.param("[" * 5000, "1: nested deeper than 50 levels", id="nesting-of-5,000"),
        pytest.param(
            "".join(" " * i + "a:\n" for i in range(700)),
            "50: nested deeper than 50 levels",
            id="nested-blocks",
        ),
        pytest.param("---\n" * 200, "101: holds more than 100 documents", id="200-documents"),
        pytest.param(
            HEAD + f"  description: '{'{{ project_root }}' * 501}'\n",
            "4: description: the file holds more than 500 templates",
            id="501-templates",
        ),
        pytest.param("a: 1\na: 2\n", "2: `a` is written twice, first in line 1", id="duplicate"),
        pytest.param(
            HEAD + "  x: {1: a, true: b}\n",
            "4: `true` is written twice, first in line 4",
            id="keys-equal-to-python",
        ),
        pytest.param(
            "<<: {a: 1}\n<<: {b: 1}\n", "2: `<<` is written twice, first in line 1", id="two-merges"
        ),
        pytest.param("<<: 1\n", "1: `<<` takes mappings only", id="merge-of-a-number"),
        pytest.param("a: <<\n", "1: `<<` needs quotes", id="merge-as-a-value"),
        pytest.param("a: =\n", "1: `=` needs quotes", id="equals"),
        pytest.param("? [a]\n: 1\n", "1: a list or a mapping cannot be a key", id="list-as-key"),
        pytest.param("a: " + "1:" * 9000 + "1", "1: a number of more than 100 digits", id="digits"),
        pytest.param("a: 0b_\n", "1: `0b_` is not a number", id="no-number"),
        pytest.param(b"a: \xff\n", "1: not UTF-8 text", id="not-utf-8"),
        pytest.param(HEAD.encode("utf-16"), "1: not UTF-8 text", id="utf-16"),
        pytest.param("a: 1\nb: \0\n", "2: a character that YAML does not allow", id="NUL"),
        pytest.param("", "1: holds no component: write `type: …`", id="empty"),
        pytest.param(
            "a: b: c\n",
            "1: `: ` is not allowed here; indent as the lines above, or put the value in quotes",
            id="no-yaml",
        ),
    ],
)  # fmt: skip
def test_what_is_too_much_or_no_plain_yaml_is_refused(text: str | bytes, said: str) -> None:
    assert reasons(text) == [said]


def test_values_are_counted_whatever_the_size() -> None:
    text = "".join(f"k{i}: 1\n" for i in range(200_000))
    rules = ScreeningRules(max_bytes=100_000_000)
    assert reasons(text, rules) == ["5000: holds more than 10,000 values"]


def test_a_byte_order_mark_changes_nothing() -> None:
    assert reasons(b"\xef\xbb\xbf" + HEAD.encode()) == []
    said = reasons(b"\xef\xbb\xbf" + HEAD.encode() + b"  description: '{{ 1 }}'\n")
    assert said == [f"4: description: `{{{{ 1 }}}}` is not allowed: {PLAIN}"]


NO_TYPE = "is no component type, write it as in `type: dagbook.NotebookRunnerComponent`"
KNOWN = (
    "is not registered: install the package, or name the module in `registry_modules` of the "
    "project. Registered: acme.components.*, dagbook, dagster"
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("type: os.system\n", [f"1: type: `os` {KNOWN}"]),
        ("type: subprocess.Popen\n", [f"1: type: `subprocess` {KNOWN}"]),
        ("type: dagster.components.X\n", [f"1: type: `dagster.components` {KNOWN}"]),
        ("type: acme.components.a.b.X\n", [f"1: type: `acme.components.a.b` {KNOWN}"]),
        ("type: dagster._core.X\n", [f"1: type: 'dagster._core.X' {NO_TYPE}"]),
        ("type: ..sideways.X\n", [f"1: type: '..sideways.X' {NO_TYPE}"]),
        ("type: dagbook\n", [f"1: type: 'dagbook' {NO_TYPE}"]),
        ("type: [dagbook.X]\n", [f"1: type: ['dagbook.X'] {NO_TYPE}"]),
        ("type: 3\n", [f"1: type: 3 {NO_TYPE}"]),
        ("<<: {type: os.system}\n", [f"1: type: `os` {KNOWN}"]),
        (
            "attributes: {}\n",
            ["1: type: is missing: write `type: dagbook.NotebookRunnerComponent` or another "
             "component's"],
        ),
        (
            HEAD + "---\ntype: os.system\n---\n---\n- 1\n",
            [f"5: type: `os` {KNOWN}", "7: is empty: write `type: …` and `attributes:`",
             "8: is no component: write `type: …` and `attributes:`"],
        ),
        (
            "typo: x\ntype: dagster.X\ntemplate_vars_module: os\npost_processing: {assets: []}\n",
            ["1: typo: unknown key. Did you mean `type`? Known: type, template_vars_module, "
             "post_processing, attributes, requirements",
             "3: template_vars_module: imports Python and is not allowed in this project. Allowed: "
             "none",
             "4: post_processing: is not allowed in this project: say it in the component's "
             "`attributes`"],
        ),
    ],
)  # fmt: skip
def test_only_registered_types_and_dagsters_keys_may_stand_in_a_document(
    text: str, said: list[str]
) -> None:
    assert reasons(text) == said


def test_rules_name_the_types_and_what_else_a_document_may_hold() -> None:
    rules = ScreeningRules(
        types=frozenset({"acme.Notebook"}),
        template_vars_modules=frozenset({".template_vars"}),
        post_processing=True,
    )
    text = "template_vars_module: .template_vars\npost_processing: {assets: []}\n"
    assert reasons("type: acme.Notebook\n" + text, rules) == []
    assert reasons("type: dagbook.NotebookRunnerComponent\n", rules) == [
        "1: type: `dagbook.NotebookRunnerComponent` is not allowed in this project. Known: "
        "acme.Notebook"
    ]


def test_types_beside_the_file_are_python_below_defs() -> None:
    assert reasons("type: .own.Mine\n") == []
    assert reasons("type: .own.Mine\n", ScreeningRules(python_below_defs=False)) == [
        "1: type: `.own.Mine` is Python below `defs`, which this project does not allow"
    ]


def test_of_many_mistakes_the_first_twenty_are_told() -> None:
    said = reasons("".join(f"k{i}: 1\n" for i in range(4000)))
    assert len(said) == 20


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return create_project(tmp_path / "shop")


def file_in(project: Project, folder: str) -> Path:
    path = project.defs_folder / folder / "defs.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def refused(project: Project, path: Path) -> list[str]:
    return [f"{r.line}: {r.reason}" for r in Screening(project).screen(path).refusals]


def test_what_is_no_file_is_refused_without_waiting(project: Project) -> None:
    pipe, folder, dangling, device = (file_in(project, name) for name in "abcd")
    os.mkfifo(pipe)
    folder.mkdir()
    dangling.symlink_to("nowhere")
    device.symlink_to("/dev/zero")

    assert refused(project, pipe) == ["1: is not a file"]
    assert refused(project, folder) == ["1: is not a file"]
    assert refused(project, dangling) == ["1: cannot be read: No such file or directory"]
    assert refused(project, device) == ["1: is not a file"]


def test_a_link_may_not_lead_out_of_the_project(project: Project, tmp_path: Path) -> None:
    (tmp_path / "secret.yaml").write_text("password: x\n")
    outside, inside = file_in(project, "a"), file_in(project, "b")
    outside.symlink_to(tmp_path / "secret.yaml")
    (project.root / "shared.yaml").write_text(HEAD)
    inside.symlink_to(project.root / "shared.yaml")
    away = tmp_path / "elsewhere"
    away.mkdir()
    (away / "defs.yaml").write_text(HEAD)
    (project.defs_folder / "c").symlink_to(away)

    words = f"1: is a link that leads out of {project.root}: put the file itself there"
    assert refused(project, outside) == [words]
    assert refused(project, project.defs_folder / "c" / "defs.yaml") == [words]
    assert refused(project, inside) == []


def test_a_huge_file_is_not_read(project: Project) -> None:
    path = file_in(project, "a")
    with path.open("wb") as file:
        file.truncate(50 * 1024**3)

    assert refused(project, path) == ["1: is larger than 262,144 bytes: no component file is"]


def test_what_was_screened_is_what_is_handed_on(project: Project) -> None:
    path = file_in(project, "a")
    path.write_text(HEAD)
    screened = screen_file(path, ScreeningRules(), REGISTRY, inside=project.root)
    path.write_text("type: os.system\n")

    assert screened.data == HEAD.encode()
    assert screened.documents[0].value["type"] == "dagbook.NotebookRunnerComponent"


def test_a_project_registers_its_own_modules(project: Project) -> None:
    config = project.config_file
    config.write_text(config.read_text() + 'registry_modules = ["shop.components.*", "acme"]\n')
    registry = Registry.of(project)

    known = ("dagbook.X", "dagster.X", "acme.X", "shop.components.churn.X")
    assert all(registry.knows(name) for name in known)
    assert not any(registry.knows(name) for name in ("acme.inner.X", "shop.X", "os.path"))


def test_screening_imports_nothing_it_reads_about(project: Project) -> None:
    (project.root / "evil.py").write_text("raise SystemExit('imported')\n")
    file_in(project, "a").write_text("type: evil.Thing\n---\ntype: dagbook.evil\n")
    code = (
        "import sys, dagbook.safe_yaml as s; from pathlib import Path; "
        "from dagbook.project import require_project; "
        "project = require_project(Path('.')); "
        "found = s.Screening(project).screen(project.component_paths()[0]); "
        "print(len(found.refusals), {'evil', 'dagster', 'jinja2'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project.root, capture_output=True, text=True
    )

    assert (done.stdout, done.stderr) == ("1 set()\n", "")


def test_one_line_screens_a_project(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    file_in(project, "a").write_text(HEAD)
    monkeypatch.chdir(project.root)
    assert dagbook.screen_project().files == 1

    bad = file_in(project, "b")
    bad.write_text(HEAD + "  description: '{{ env.X }}'\n  tags: {a: '{{ 1 }}'}\n")
    os.mkfifo(file_in(project, "c"))
    for start in (None, project.defs_folder, bad):
        with pytest.raises(DagbookError) as error:
            dagbook.screen_project(start)
        assert str(error.value) == (
            "shop/defs/b/defs.yaml:4: description: `{{ env.X }}` is not allowed: component files "
            "may read these variables: none (2 more: `dagbook validate`)"
        )


def test_python_below_defs_is_refused_where_the_rules_say_so(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.root)
    folder = file_in(project, "a").parent
    (folder / "__init__.py").write_text('"""Only a word."""\n')
    rules = ScreeningRules(python_below_defs=False)
    dagbook.screen_project(rules=rules)

    (folder / "__init__.py").write_text("print('loaded')\n")
    with pytest.raises(DagbookError) as error:
        dagbook.screen_project(rules=rules)
    assert str(error.value) == (
        "shop/defs/a/__init__.py:1: Python below `defs` is not allowed in this project: put it "
        "into a package"
    )
