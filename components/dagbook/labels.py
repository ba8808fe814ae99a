"""What a component's attributes are called wherever a researcher reads of them."""

from __future__ import annotations

#: By attribute, dots leading into nested ones; in the order in which forms show them and new YAML
#: has them. A test compares it with the component.
LABELS: dict[str, str] = {
    "notebook": "Notebook",
    "schedule": "When",
    "schedule.cron": "At",
    "schedule.timezone": "Time zone",
    "schedule.own_job": "Own job in Dagster",
    "compute_size": "Size",
    "parameters": "Values",
    "partitions": "Repeat for",
    "partitions.type": "Each",
    "partitions.start_date": "From",
    "partitions.end_date": "Until",
    "partitions.timezone": "Time zone",
    "partitions.values": "Values",
    "deps": "Run after",
    "resources": "Connections",
    "retries": "Retries",
    "retries.max": "How often",
    "retries.on": "Also after",
    "retries.delay_seconds": "Wait between (seconds)",
    "limits": "Limits",
    "limits.max_runtime_hours": "Longest run (hours)",
    "limits.max_cost_usd": "Most a run may cost",
    "timeout": "Longest cell (seconds)",
    "monitoring": "Alerts",
    "monitoring.track_metrics": "What is measured",
    "experiment": "MLflow experiment",
    "experiment.name": "Name",
    "experiment.tags": "Tags",
    "experiment.tracking_uri": "Server",
    "kernel": "Kernel",
    "owners": "Owners",
    "key": "Name in Dagster",
    "group": "Group",
    "tags": "Tags",
    "description": "Description",
    "engine": "Run by",
    "dagstermill": "For dagstermill",
    "dagstermill.resource_keys": "Resources",
    "dagstermill.io_manager_key": "I/O manager",
    "dagstermill.inputs": "Inputs",
    "schema_version": "Version of the settings",
}

#: What a form says below an attribute whose own description is in Dagster's words, which are
#: those of whoever writes YAML.
HELP: dict[str, str] = {
    "schedule.own_job": "Give the schedule a job of its own, so that Dagster shows it on the "
    "notebook's page. Costs about 32 KB in every load of the project.",
    "deps": "What has to run before, each by its name in Dagster.",
    "experiment.name": "The MLflow experiment. Default: the notebook's name in Dagster. Names in "
    "braces are filled in at run time.",
    "key": "What the notebook is called in Dagster, parts separated by slashes. Default: the "
    "folder its settings lie in.",
    "group": "The group it is shown in, in Dagster.",
    "tags": "Tags to find it by, in Dagster.",
    "engine": "Who runs the notebook: `dagbook`, or `dagstermill` for a notebook that was written "
    "for it. The latter needs `pip install 'dagbook[dagstermill]'`.",
    "dagstermill.inputs": "Variables that the notebook finds set to results of others, each by "
    "its name in Dagster. They run before it.",
    "schema_version": "The version that the settings were written for. Left out, it is 1.",
}


def label_of(*keys: object) -> str:
    """What an attribute is called; one without a name of its own is called by its key.

    Args:
        keys: the keys that lead to it, below ``attributes:``.
    """
    words = [str(key) for key in keys if not isinstance(key, int)]
    if not words:
        return ""
    known = LABELS.get(".".join(words))
    if known is not None:
        return known
    last = words[-1].replace("_", " ")
    return f"{last[:1].upper()}{last[1:]}"
