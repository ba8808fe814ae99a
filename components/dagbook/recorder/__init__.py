"""The MLflow recorder: takes a notebook's own ``mlflow.*`` calls, so that no server can hold it up.

A process beside the runner that speaks MLflow's REST API on 127.0.0.1. It acknowledges what it has
written to the run's spool, and `dagbook.sinks` brings that to MLflow.
"""
