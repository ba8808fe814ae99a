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
