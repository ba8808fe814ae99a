"""Every YAML that Dagster's documentation shows for its dbt, sling, dlt and fivetran components.

Taken from Dagster's repository (Apache-2.0), each with its path there: the snippets below
``examples/docs_snippets/docs_snippets`` (``guides/components/integrations`` where no other folder
is named), the blocks written right
into the pages below ``docs/docs/integrations/libraries``, and the docstrings of the component
classes. YAML of other programs on the same pages (dbt's profiles, Sling's replications, Dagster's
instance) is no component file and never screened.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from dagbook.safe_yaml import Registry, ScreeningRules, screen_text

REGISTRY = Registry(
    frozenset({"dagster", "dagster_dbt", "dagster_sling", "dagster_dlt", "dagster_fivetran"})
)

#: What a platform team that knows these projects would release.
RELEASED = ScreeningRules(
    environment=frozenset(
        {
            *("FIVETRAN_ACCOUNT_ID", "FIVETRAN_API_KEY", "FIVETRAN_API_SECRET", "SOME_PASSWORD"),
            *("GIT_TOKEN", "SNOWFLAKE_ACCOUNT", "SNOWFLAKE_USER", "SNOWFLAKE_PASSWORD"),
            "SNOWFLAKE_DATABASE",
        }
    ),
    names=frozenset({"daily_partitions_def"}),
    template_vars_modules=frozenset({".template_vars"}),
    post_processing=True,
)

PLAIN = (
    "in braces a plain name may stand, such as `{{ context.project_root }}`, no calls, filters or "
    "operators"
)
NO_VARIABLE = "is not allowed: component files may read these variables: none"
NO_MODULE = "template_vars_module: imports Python and is not allowed in this project. Allowed: none"
NO_POST_PROCESSING = (
    "post_processing: is not allowed in this project: say it in the component's `attributes`"
)
NO_NAME = "post_processing.assets.0.attributes.partitions_def: `{{ daily_partitions_def }}` is not "
NO_NAME += "allowed: no name in braces may stand here"


@dataclass(frozen=True)
class Documented:
    """One YAML text, why it is refused by default, and why still when all is released."""

    origin: str
    text: str
    refusals: tuple[str, ...] = ()
    still: tuple[str, ...] = ()


DBT = "type: dagster_dbt.DbtProjectComponent\n"
ROOT = "attributes:\n  project: '{{ context.project_root }}/dbt'\n"
OLD_ROOT = "attributes:\n  project: '{{ project_root }}/dbt'\n"
TRANSLATED = (
    "  translation:\n    group_name: dbt_models\n"
    '    description: "Transforms data using dbt model {{ node.name }}"\n'
)
DAILY = (
    'post_processing:\n  assets:\n    - target: "*"\n      attributes:\n'
    '        partitions_def: "{{ daily_partitions_def }}"\n'
)
SLING = "type: dagster_sling.SlingReplicationCollectionComponent\n\nattributes:\n"
DLT = "type: dagster_dlt.DltLoadCollectionComponent\n\nattributes:\n  loads:\n"
STARGAZERS = (
    "    - source: .loads.dlthub_dlt_stargazers_source\n"
    "      pipeline: .loads.dlthub_dlt_stargazers_pipeline\n"
)
FIVETRAN = "type: dagster_fivetran.FivetranAccountComponent\n"
KEYS = (
    '    api_key: "{{ env.FIVETRAN_API_KEY }}"\n    api_secret: "{{ env.FIVETRAN_API_SECRET }}"\n'
)
BY_NAME = "  connector_selector:\n    by_name:\n      - salesforce_warehouse_sync\n"

SNOWFLAKE_LIST = (
    SLING + "  sling:\n    connections:\n      - name: SNOWFLAKE\n        type: snowflake\n"
    '        account: "{{ env.SNOWFLAKE_ACCOUNT }}"\n        user: "{{ env.SNOWFLAKE_USER }}"\n'
    '        password: "{{ env.SNOWFLAKE_PASSWORD }}"\n'
    '        database: "{{ env.SNOWFLAKE_DATABASE }}"\n'
    "    replications:\n      - path: replication.yaml\n"
)
NO_TYPE = "type: is missing: write `type: dagbook.NotebookRunnerComponent` or another component's"


def unregistered(module: str) -> str:
    return (
        f"type: `{module}` is not registered: install the package, or name the module in "
        "`registry_modules` of the project. Registered: dagster, dagster_dbt, dagster_dlt, "
        "dagster_fivetran, dagster_sling"
    )


def variable(line: int, key: str, name: str) -> str:
    return f"{line}: {key}: `{{{{ env.{name} }}}}` {NO_VARIABLE}"


def call(line: int, key: str, template: str) -> str:
    return f"{line}: {key}: `{template}` is not allowed: {PLAIN}"


def keys(line: int) -> tuple[str, ...]:
    return (
        variable(line, "workspace.api_key", "FIVETRAN_API_KEY"),
        variable(line + 1, "workspace.api_secret", "FIVETRAN_API_SECRET"),
    )


ACCOUNT = (*keys(4), variable(6, "workspace.account_id", "FIVETRAN_ACCOUNT_ID"))
SNOWFLAKE_KEYS = tuple(
    variable(line, f"sling.connections.0.{key}", f"SNOWFLAKE_{key.upper()}")
    for line, key in enumerate(("account", "user", "password", "database"), start=8)
)
# Dagster shows this one as a mistake, too.
UNCLOSED = "7: found unexpected end of stream, while scanning a quoted scalar that starts in line 6"
ON_CRON = call(
    9,
    "asset_post_processors.0.attributes.automation_condition",
    "{{ automation_condition.on_cron('@daily') }}",
)

DOCUMENTED = [
    # dbt
    Documented("dbt-component/6-component.yaml", DBT + "\nattributes:\n  project: '{{ project_root }}/../dbt'\n"),
    Documented("dbt-component/7-component.yaml", f"{DBT}\n{ROOT}"),
    Documented(
        "dbt-component/9-customized-component.yaml",
        DBT + "\nattributes:\n  project: '{{ project_root }}/dbt/jdbt'\n  select: \"customers\"\n",
    ),
    Documented("dbt-component/10-customized-component.yaml", f'{DBT}\n{ROOT}  select: "customers"\n'),
    Documented(
        "dbt-component/12-customized-component.yaml",
        f'{DBT}\n{ROOT}  select: "customers"\n{TRANSLATED}',
    ),
    Documented(
        "dbt-component/generated/12-customized-component.yaml",
        f'{DBT}\n{OLD_ROOT}  select: "customers"\n{TRANSLATED}',
    ),
    Documented(
        "dbt-component/16-component.yaml",
        "type: dagster.PythonScriptComponent\n\nattributes:\n  execution:\n"
        "    path: export_customers.py\n  assets:\n    - key: customers_export\n      deps:\n"
        "        - \"{{ context.load_component('dbt_ingest').asset_key_for_model('customers') }}\"\n",
        (call(9, "assets.0.deps.0", "{{ context.load_component('dbt_ingest').asset_key_for_model(…"),),
        (call(9, "assets.0.deps.0", "{{ context.load_component('dbt_ingest').asset_key_for_model(…"),),
    ),
    Documented(
        "dbt-component/19-defs.yaml",
        f'{DBT}\ntemplate_vars_module: .template_vars\n{ROOT}  select: "customers"\n{TRANSLATED}{DAILY}',
        (f"3: {NO_MODULE}", f"10: {NO_POST_PROCESSING}", f"14: {NO_NAME}"),
    ),
    Documented(
        "dbt-component/20-defs.yaml",
        f'{DBT}\ntemplate_vars_module: .template_vars\n{ROOT}  select: "customers"\n{TRANSLATED}'
        "  cli_args:\n    - build\n    - --vars:\n"
        "      start_date: \"{{ partition_time_window.start.strftime('%Y-%m-%d') }}\"\n"
        "      end_date: \"{{ partition_time_window.end.strftime('%Y-%m-%d') }}\"\n" + DAILY,
        (
            f"3: {NO_MODULE}",
            call(13, "cli_args.1.start_date", "{{ partition_time_window.start.strftime('%Y-%m-%d') }}"),
            call(14, "cli_args.1.end_date", "{{ partition_time_window.end.strftime('%Y-%m-%d') }}"),
            f"15: {NO_POST_PROCESSING}",
            f"19: {NO_NAME}",
        ),
        (
            call(13, "cli_args.1.start_date", "{{ partition_time_window.start.strftime('%Y-%m-%d') }}"),
            call(14, "cli_args.1.end_date", "{{ partition_time_window.end.strftime('%Y-%m-%d') }}"),
        ),
    ),
    Documented(
        "dbt-component/20b-microbatch-defs.yaml",
        f'{DBT}\ntemplate_vars_module: .template_vars\n{ROOT}  select: "customers"\n{TRANSLATED}'
        "  cli_args:\n    - build\n    - --event-time-start\n"
        '    - "{{ partition_key }}"\n    - --event-time-end\n'
        "    - \"{{ partition_time_window.end.strftime('%Y-%m-%d') }}\"\n" + DAILY,
        (
            f"3: {NO_MODULE}",
            call(15, "cli_args.4", "{{ partition_time_window.end.strftime('%Y-%m-%d') }}"),
            f"16: {NO_POST_PROCESSING}",
            f"20: {NO_NAME}",
        ),
        (call(15, "cli_args.4", "{{ partition_time_window.end.strftime('%Y-%m-%d') }}"),),
    ),
    Documented(
        "dbt-component/22-defs.yaml",
        f"{DBT}\n{OLD_ROOT}  translation:\n    group_name: my_dbt_group\n"
        "    key: 'my_prefix_{{ node.name }}'",
    ),
    Documented(
        "dbt-component/23-custom-dbt-defs.yaml",
        "type: my_project.lib.custom_dbt_component.CustomDbtProjectComponent\n\n"
        f'template_vars_module: .template_vars\n{OLD_ROOT}  select: "customers"\n{DAILY}',
        (
            "1: type: `my_project.lib.custom_dbt_component` is not registered: install the package, "
            "or name the module in `registry_modules` of the project. Registered: dagster, "
            "dagster_dbt, dagster_dlt, dagster_fivetran, dagster_sling",
            f"3: {NO_MODULE}",
            f"7: {NO_POST_PROCESSING}",
            f"11: {NO_NAME}",
        ),
        (
            "1: type: `my_project.lib.custom_dbt_component` is not registered: install the package, "
            "or name the module in `registry_modules` of the project. Registered: dagster, "
            "dagster_dbt, dagster_dlt, dagster_fivetran, dagster_sling",
        ),
    ),
    Documented(
        "dbt-component/group-defs.yaml",
        f"{DBT}template_vars_module: .template_vars\n\n{ROOT}  translation:\n"
        '    group_name: "{{ group_from_fqn()(node.fqn) }}"\n'
        '    description: "Transforms data using dbt model {{ node.name }}"\n',
        (
            f"2: {NO_MODULE}",
            call(7, "translation.group_name", "{{ group_from_fqn()(node.fqn) }}"),
        ),
        (call(7, "translation.group_name", "{{ group_from_fqn()(node.fqn) }}"),),
    ),
    Documented(
        "dbt-component/snapshot/models.yaml",
        f'{DBT}\n{OLD_ROOT}  exclude: "resource_type:snapshot"',
    ),
    Documented(
        "dbt-component/snapshot/snapshot_sales.yaml",
        f'{DBT}\n{OLD_ROOT}  select: "resource_type:snapshot,path:snapshots/sales/*"\n\n'
        'post_processing:\n  assets:\n    - target: "*"\n      attributes:\n'
        '        pool: "sales-snapshots"',
        (f"7: {NO_POST_PROCESSING}",),
    ),
    Documented(
        "dbt-component-remote/remote-3-component.yaml",
        DBT + "\nattributes:\n  project:\n"
        "    repo_url: https://github.com/dagster-io/jaffle-platform.git\n"
        "    repo_relative_path: jdbt\n",
    ),
    Documented(
        "DbtProjectComponent's docstring",
        "# defs.yaml\n\n" + DBT + 'attributes:\n  project: "{{ project_root }}/path/to/dbt_project"\n'
        "  cli_args:\n    - build\n",
    ),
    Documented(
        "integrations/dbt/component/group-defs.yaml",
        f"{DBT}template_vars_module: .template_vars\n\n{ROOT}  translation:\n"
        '    group_name: "{{ group_from_fqn(node.fqn) }}"\n'
        '    description: "Transforms data using dbt model {{ node.name }}"\n',
        (
            f"2: {NO_MODULE}",
            call(7, "translation.group_name", "{{ group_from_fqn(node.fqn) }}"),
        ),
        (call(7, "translation.group_name", "{{ group_from_fqn(node.fqn) }}"),),
    ),
    Documented(
        "integrations/dbt/component/snapshot/snapshot.yaml",
        f'{DBT}\n{OLD_ROOT}  select: "resource_type:snapshot"\n  op:\n    pool: "dbt-snapshots"',
    ),
    Documented(
        "integrations/dbt/component/snapshot/snapshot_inventory.yaml",
        f'{DBT}\n{OLD_ROOT}  select: "resource_type:snapshot,path:snapshots/inventory/*"\n\n'
        'post_processing:\n  assets:\n    - target: "*"\n      attributes:\n'
        '        pool: "inventory-snapshots"',
        (f"7: {NO_POST_PROCESSING}",),
    ),
    Documented(
        "integrations/dbt/component/snapshot/snapshot_sales.yaml",
        f'{DBT}\n{ROOT}  select: "resource_type:snapshot,path:snapshots/sales/*"\n'
        '  op:\n    pool: "sales-snapshots"',
    ),
    Documented(
        "integrations/dbt/component/snapshot/models.yaml",
        f'{DBT}\n{ROOT}  exclude: "resource_type:snapshot"',
    ),
    Documented("integrations/dbt/defs.yaml", f"{DBT}\n{OLD_ROOT}"),
    Documented(
        "integrations/dbt/blue_green/defs.yaml",
        DBT + "\nattributes:\n  project:\n    project_dir: ../../dbt_project\n"
        "  # it runs models and tests in one call\n  cli_args:\n    - build\n",
    ),
    Documented(
        "integrations/dbt/pythonic/custom_component_incremental_defs.yaml",
        "type: my_project.lib.incremental_dbt_component.IncrementalDbtProjectComponent\n\n"
        f'template_vars_module: .template_vars\n{ROOT}  select: "config.materialized:incremental"\n'
        + DAILY,
        (
            f"1: {unregistered('my_project.lib.incremental_dbt_component')}",
            f"3: {NO_MODULE}",
            f"7: {NO_POST_PROCESSING}",
            f"11: {NO_NAME}",
        ),
        (f"1: {unregistered('my_project.lib.incremental_dbt_component')}",),
    ),
    Documented(
        "integrations/dbt/pythonic/custom_component_translator_defs.yaml",
        f"type: my_project.lib.custom_dbt_component.CustomDbtProjectComponent\n\n{ROOT}",
        (f"1: {unregistered('my_project.lib.custom_dbt_component')}",),
        (f"1: {unregistered('my_project.lib.custom_dbt_component')}",),
    ),
    Documented(
        "dbt/index.md, private repositories",
        DBT + "\nattributes:\n  project:\n"
        "    repo_url: https://some-host.com/your-org/your-dbt-project.git\n"
        "    repo_relative_path: path/to/dbt\n    token: '{{ env.GIT_TOKEN }}'\n",
        (variable(7, "project.token", "GIT_TOKEN"),),
    ),
    Documented(
        "dbt/index.md, partitioned and unpartitioned models",
        "post_processing:\n  assets:\n"
        "    - target: 'key:orders_incremental or key:events_incremental'\n      attributes:\n"
        "        partitions_def: '{{ daily_partitions_def }}'\n",
        (f"1: {NO_TYPE}", f"1: {NO_POST_PROCESSING}", f"5: {NO_NAME}"),
        (f"1: {NO_TYPE}",),
    ),
    Documented(
        "dbt/index.md, manifest generation",
        f"# defs.yaml\n{DBT}\nattributes:\n  project:\n"
        "    project_dir: '{{ project_root }}/path/to/dbt_project'\n"
        "    prepare_project_cli_args: ['compile', '--quiet']\n",
    ),
    Documented(
        "dbt/index.md, insights",
        f"# defs.yaml\n{DBT}\nattributes:\n  project: '{{{{ project_root }}}}/path/to/dbt_project'\n"
        "  include_metadata:\n    - insights\n",
    ),
    Documented(
        "dbt/index.md, insights with other metadata",
        "attributes:\n  project: '{{ project_root }}/path/to/dbt_project'\n"
        "  include_metadata:\n    - column_metadata\n    - row_count\n    - insights\n",
        (f"1: {NO_TYPE}",),
        (f"1: {NO_TYPE}",),
    ),
    Documented(
        "components/index/20-component-jdbt.yaml",
        DBT + "\nattributes:\n  dbt:\n    project_dir: ../../../dbt/jdbt\n",
    ),
    Documented(
        "components/index/22-project-jdbt.yaml",
        DBT + '\nattributes:\n  project: "{{ context.project_root }}/dbt/jdbt"\n'
        '  translation:\n    key: "target/main/{{ node.name }}"\n',
    ),
    Documented(
        "components/index/20-project-jdbt-incorrect.yaml",
        'type: dagster_dt.dbt_project\n\nattributes:\n'
        '  project: "{{ context.project_root }}/dbt/jdbt"\n'
        '  translation:\n    key: "target/main/{{ node.name }}\n',
        (UNCLOSED,),
        (UNCLOSED,),
    ),
    Documented(
        "components/index/27-component-jdbt-automation.yaml",
        DBT + "\nattributes:\n  dbt:\n    project_dir: ../../../dbt/jdbt\n  asset_attributes:\n"
        '    key: "target/main/{{ node.name }}"\n  asset_post_processors:\n    - target: "*"\n'
        '      attributes:\n        automation_condition: "{{ automation_condition.eager() }}"\n'
        '        metadata:\n            automation_condition: "eager"\n',
        (
            "7: asset_attributes.key: `{{ node.name }}` is no name that may stand here. Known: "
            "context.project_root, project_root",
            call(
                11, "asset_post_processors.0.attributes.automation_condition",
                "{{ automation_condition.eager() }}",
            ),
        ),
        (
            "7: asset_attributes.key: `{{ node.name }}` is no name that may stand here. Known: "
            "env.GIT_TOKEN, env.FIVETRAN_API_KEY, env.FIVETRAN_API_SECRET, env.SOME_PASSWORD, "
            "env.SNOWFLAKE_USER, env.SNOWFLAKE_ACCOUNT, env.SNOWFLAKE_DATABASE, "
            "context.project_root, …",
            call(
                11, "asset_post_processors.0.attributes.automation_condition",
                "{{ automation_condition.eager() }}",
            ),
        ),
    ),
    Documented(
        "etl-pipeline-tutorial/transform.md",
        DBT + "\nattributes:\n  project: '{{ project_root }}/transform/jdbt'\n",
    ),
    # sling
    Documented("sling-component/5-component.yaml", SLING + "  replications:\n    - path: replication.yaml\n"),
    Documented(
        "sling-component/6-customized-component.yaml",
        SLING + "  sling:\n    connections:\n      - name: DUCKDB\n        type: duckdb\n"
        "        instance: /tmp/my_project.duckdb\n"
        '        password: "{{ env.SOME_PASSWORD }}"\n'
        "  replications:\n    - path: ./replication.yaml\n",
        (variable(9, "sling.connections.0.password", "SOME_PASSWORD"),),
    ),
    Documented(
        "sling-component/8-customized-component.yaml",
        SLING + "  sling:\n    connections:\n      - name: DUCKDB\n        type: duckdb\n"
        "        instance: /tmp/my_project.duckdb\n"
        "  replications:\n    - path: ./replication.yaml\n",
    ),
    Documented(
        "sling-component/9-customized-component.yaml",
        SLING + "  connections:\n    DUCKDB:\n      type: duckdb\n"
        "      instance: /tmp/my_project.duckdb\n  replications:\n    - path: ./replication.yaml\n",
    ),
    Documented(
        "sling-component/11-customized-component.yaml",
        SLING + "  connections:\n    DUCKDB:\n      type: duckdb\n"
        "      instance: /tmp/my_project.duckdb\n  replications:\n    - path: ./replication.yaml\n"
        "      translation:\n        group_name: sling_data\n"
        '        description: "Loads data from Sling replication {{ stream_definition.name }}"\n',
    ),
    Documented("integrations/sling/defs.yaml", SLING + "  replications:\n    - path: replication.yaml"),
    Documented(
        "components/index/12-component.yaml",
        "type: dagster_sling.SlingReplicationComponent\n\nattributes:\n  replication:\n"
        "    path: replication.yaml\n",
    ),
    Documented(
        "components/index/14-component-connections.yaml",
        SLING + "  sling:\n    connections:\n      - name: DUCKDB\n        type: duckdb\n"
        "        instance: /tmp/jaffle_platform.duckdb\n"
        "  replications:\n    - path: replication.yaml\n",
    ),
    Documented(
        "components/index/26-component-ingest-automation.yaml",
        "type: dagster_components.dagster_sling.SlingReplicationCollectionComponent\n\n"
        "attributes:\n  replications:\n    - path: replication.yaml\n  asset_post_processors:\n"
        '    - target: "*"\n      attributes:\n'
        "        automation_condition: \"{{ automation_condition.on_cron('@daily') }}\"\n"
        '        metadata:\n          automation_condition: "on_cron(@daily)"\n',
        (f"1: {unregistered('dagster_components.dagster_sling')}", ON_CRON),
        (f"1: {unregistered('dagster_components.dagster_sling')}", ON_CRON),
    ),
    Documented("dg/using-env/8-defs.yaml", SNOWFLAKE_LIST, SNOWFLAKE_KEYS),
    Documented(
        "dg/using-env/10-component-with-env-deps.yaml",
        SNOWFLAKE_LIST + "\nrequirements:\n  env:\n    - SNOWFLAKE_ACCOUNT\n    - SNOWFLAKE_USER\n"
        "    - SNOWFLAKE_PASSWORD\n    - SNOWFLAKE_DATABASE\n",
        SNOWFLAKE_KEYS,
    ),
    # dlt
    Documented(
        "dlt-component/6-component.yaml",
        DLT + "    - source: .loads.duckdb_repo_reactions_issues_only_source\n"
        "      pipeline: .loads.duckdb_repo_reactions_issues_only_pipeline\n"
        "    - source: .loads.airflow_events_source\n"
        "      pipeline: .loads.airflow_events_pipeline\n"
        "    - source: .loads.dlthub_dlt_all_data_source\n"
        "      pipeline: .loads.dlthub_dlt_all_data_pipeline\n" + STARGAZERS,
    ),
    Documented(
        "dlt-component/6-defs.yaml",
        DLT + "    - source: .loads.my_load_source\n      pipeline: .loads.my_load_pipeline\n",
    ),
    Documented("dlt-component/8-customized-defs.yaml", DLT + STARGAZERS),
    Documented(
        "dlt-component/10-customized-defs.yaml",
        DLT + STARGAZERS + "      translation:\n        group_name: github_data\n"
        '        description: "Loads all users who have starred the dlt-hub/dlt repo"\n',
    ),
    Documented(
        "dlt-component/12-customized-defs.yaml",
        DLT + STARGAZERS + "      translation:\n        metadata:\n"
        '          resource_name: "{{ resource.name }}"\n'
        '          pipeline_name: "{{ pipeline.pipeline_name }}"\n'
        '          is_transformer: "{{ resource.is_transformer }}"\n',
    ),
    Documented(
        "integrations/dlt/defs.yaml",
        DLT + "    - source: .loads.my_load_source\n      pipeline: .loads.my_load_pipeline",
    ),
    # fivetran
    Documented(
        "fivetran-component/5-component.yaml",
        "type: dagster_fivetran.FivetranWorkspaceComponent\n\nattributes:\n  workspace:\n"
        "    account_id: test_account\n    api_key: '{{ env(''FIVETRAN_API_KEY'') }}'\n"
        "    api_secret: '{{ env(''FIVETRAN_API_SECRET'') }}'\n",
        (
            call(6, "workspace.api_key", "{{ env('FIVETRAN_API_KEY') }}"),
            call(7, "workspace.api_secret", "{{ env('FIVETRAN_API_SECRET') }}"),
        ),
        (
            call(6, "workspace.api_key", "{{ env('FIVETRAN_API_KEY') }}"),
            call(7, "workspace.api_secret", "{{ env('FIVETRAN_API_SECRET') }}"),
        ),
    ),
    Documented(
        "fivetran-component/7-customized-component.yaml",
        f"{FIVETRAN}\nattributes:\n  workspace:\n    account_id: test_account\n{KEYS}{BY_NAME}",
        keys(6),
    ),
    Documented(
        "fivetran-component/9-customized-component.yaml",
        f"{FIVETRAN}\nattributes:\n  workspace:\n    account_id: test_account\n"
        "    api_key: \"{{ env('FIVETRAN_API_KEY') }}\"\n"
        "    api_secret: \"{{ env('FIVETRAN_API_SECRET') }}\"\n" + BY_NAME +
        "  translation:\n    group_name: fivetran_data\n"
        '    description: "Loads data from Fivetran connector {{ props.name }}"\n',
        (
            call(6, "workspace.api_key", "{{ env('FIVETRAN_API_KEY') }}"),
            call(7, "workspace.api_secret", "{{ env('FIVETRAN_API_SECRET') }}"),
        ),
        (
            call(6, "workspace.api_key", "{{ env('FIVETRAN_API_KEY') }}"),
            call(7, "workspace.api_secret", "{{ env('FIVETRAN_API_SECRET') }}"),
        ),
    ),
    Documented(
        "fivetran/index.md, polling sensor",
        f"{FIVETRAN}attributes:\n  workspace:\n{KEYS}"
        '    account_id: "{{ env.FIVETRAN_ACCOUNT_ID }}"\n  polling_sensor: true\n',
        ACCOUNT,
    ),
    Documented(
        "fivetran/index.md, quotas",
        f"{FIVETRAN}attributes:\n  workspace:\n{KEYS}"
        '    account_id: "{{ env.FIVETRAN_ACCOUNT_ID }}"\n    retry_on_reschedule: false\n',
        ACCOUNT,
    ),
    Documented(
        "fivetran/index.md, Fivetran's own schedule",
        f"{FIVETRAN}attributes:\n  workspace:\n{KEYS}"
        '    account_id: "{{ env.FIVETRAN_ACCOUNT_ID }}"\n    disable_schedule_on_trigger: false\n',
        ACCOUNT,
    ),
    Documented(
        "FivetranAccountComponent's docstring",
        f"# defs.yaml\n\n{FIVETRAN}attributes:\n  workspace:\n    account_id: your_account_id\n{KEYS}"
        "  connector_selector:\n    by_name:\n      - my_postgres_connector\n"
        "      - my_snowflake_connector\n",
        keys(7),
    ),
]  # fmt: skip


def reasons(text: str, rules: ScreeningRules) -> list[str]:
    screened = screen_text(Path("defs.yaml"), text.encode(), rules, REGISTRY)
    return [f"{refusal.line}: {refusal.reason}" for refusal in screened.refusals]


@pytest.mark.parametrize("documented", DOCUMENTED, ids=lambda found: found.origin)
def test_documented_yaml_is_accepted_or_refused_for_this_reason(documented: Documented) -> None:
    assert reasons(documented.text, ScreeningRules()) == list(documented.refusals)


@pytest.mark.parametrize("documented", DOCUMENTED, ids=lambda found: found.origin)
def test_documented_yaml_needs_this_when_all_is_released(documented: Documented) -> None:
    assert reasons(documented.text, RELEASED) == list(documented.still)
