"""Whether the files of a run go to the server that its login is for."""

from __future__ import annotations

from urllib.parse import urlsplit

from dagbook.sinks.mlflow import MlflowError, is_server, without_login

# With these MLflow's client sends the tracking server's login, whatever host they name.
_WITH_LOGIN = ("http", "https", "mlflow-artifacts")


def confirm_place(address: str, tracking_uri: str) -> None:
    """Confirm that files may be sent to an address of artifacts.

    MLflow's client sends the login of the tracking server to any host that the experiment names,
    and whoever made the experiment said which.

    Raises:
        MlflowError: they would take the login to another server.
    """
    try:
        there = urlsplit(address)
        server = urlsplit(without_login(tracking_uri)) if is_server(tracking_uri) else None
    except ValueError:
        raise MlflowError("the address of the run's files cannot be read") from None
    if there.scheme not in _WITH_LOGIN or (there.scheme == "mlflow-artifacts" and not there.netloc):
        return
    # As it is written: what programs read in different ways is not the server's.
    is_same = server is not None and there.netloc.lower() == server.netloc.lower()
    if is_same and there.scheme in ("mlflow-artifacts", server.scheme if server else ""):
        return
    raise MlflowError(
        f"the experiment keeps its files at {without_login(address)}, which is not the tracking "
        "server, so neither they nor the login are sent there: use another experiment"
    )
