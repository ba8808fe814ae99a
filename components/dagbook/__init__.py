"""dagbook turns a Jupyter notebook into a scheduled, observed production run on Dagster."""

__version__ = "0.1.0"
