"""What MLflow's client sends, read with care: it need not be MLflow's client that sends it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dagbook.recorder.answers import Refusal, bad_value

if TYPE_CHECKING:
    from dagbook.masking import Masker

#: MLflow's own limits; what is longer the server would cut, as is done here.
MOST_METRICS, MOST_OTHERS, LONGEST_KEY, LONGEST_PARAM, LONGEST_TAG = 1000, 100, 250, 6000, 8000
LONGEST_EXPERIMENT_TAG, LONGEST_EXPERIMENT_NAME = 20000, 500

_NAME = re.compile(r"[\w\-./ :]+")
_ID = re.compile(r"[A-Za-z0-9][\w-]{0,255}", re.ASCII)
_NO_NAME = re.compile(r"[^\w\-./ :]")
_MOST_INTEGER = 2**63


def text(body: Mapping[str, Any], *names: str, default: str | None = None) -> str:
    """The first of some fields that is there.

    Raises:
        Refusal: none is, or it is no text.
    """
    for name in names:
        value = body.get(name)
        if isinstance(value, str) and value:
            return value
        if value not in (None, ""):
            raise bad_value(f"{name} has to be a text")
    if default is not None:
        return default
    raise bad_value(f"Missing value for required parameter {names[0]!r}.")


def id_of(text: str, what: str) -> str:
    """What names a run, a model or an experiment; what else stands there, nobody could deliver.

    Raises:
        Refusal: it names none.
    """
    if not _ID.fullmatch(text):
        raise bad_value(f"Invalid {what} ID: {text[:100]!r}")
    return text


def integer(body: Mapping[str, Any], name: str, default: int) -> int:
    """A whole number, which JSON may hold as a text.

    Raises:
        Refusal: it is none.
    """
    value = body.get(name)
    if value is None:
        return default
    try:
        if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
            raise ValueError
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        raise bad_value(f"{name} has to be a whole number") from None
    if not -_MOST_INTEGER <= number < _MOST_INTEGER:
        raise bad_value(f"{name} has to be a whole number of 64 bits")
    return number


def items(body: Mapping[str, Any], name: str, most: int | None = None) -> list[dict[str, Any]]:
    """A list of objects.

    Raises:
        Refusal: it is none, or too long.
    """
    values = body.get(name) or []
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise bad_value(f"{name} has to be a list of objects")
    if most is not None and len(values) > most:
        raise bad_value(
            f"A batch logging request can contain at most {most} {name}. Got {len(values)} {name}. "
            "Please split up your request and try again."
        )
    return values


def key_of(item: Mapping[str, Any], what: str) -> str:
    """A name that MLflow takes.

    Raises:
        Refusal: it does not.
    """
    key = text(item, "key")
    if not _NAME.fullmatch(key) or key.startswith("/") or _climbs(key):
        raise bad_value(
            f"Invalid value {key!r} for parameter {what!r} supplied: Names may only contain "
            "alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and "
            "slashes (/)."
        )
    if len(key) > LONGEST_KEY:
        raise bad_value(f"{what} is longer than {LONGEST_KEY} characters: {key[:50]!r}…")
    return key


def metric(item: Mapping[str, Any]) -> dict[str, Any]:
    """One point.

    Raises:
        Refusal: it is none.
    """
    key, value = key_of(item, "Metric name"), item.get("value")
    try:
        if isinstance(value, bool) or value is None:
            raise ValueError
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise bad_value(
            f"Got invalid value {value!r} for metric {key!r} (timestamp={item.get('timestamp')!r}). "
            "Please specify value as a valid double (64-bit floating point)"
        ) from None
    found = {
        "key": key,
        "value": number,
        "timestamp": integer(item, "timestamp", int(time.time() * 1000)),
        "step": integer(item, "step", 0),
    }
    more = ("model_id", "dataset_name", "dataset_digest")
    return {**found, **{name: text(item, name) for name in more if item.get(name)}}


def strings(values: list[dict[str, Any]], what: str, longest: int = LONGEST_TAG) -> dict[str, str]:
    """Names with values, which are texts, cut as MLflow's servers do.

    Raises:
        Refusal: they are not.
    """
    return {key_of(item, what): text(item, "value", default="")[:longest] for item in values}


def checked_params(
    known: Mapping[str, str], values: list[dict[str, Any]], run_id: str, *, alone: bool
) -> dict[str, str]:
    """Parameters as they may be added to what a run has.

    Raises:
        Refusal: one has another value already; the text is the server's.
    """
    params: dict[str, str] = {}
    for item in values:
        for key, value in strings([item], "Param name", LONGEST_PARAM).items():
            if params.setdefault(key, value) != value:
                raise bad_value(
                    f"Duplicate parameter keys have been submitted: {[key]}. Please ensure the "
                    "request contains only one param value per param key."
                )
    changed = [
        {"key": key, "old_value": known[key], "new_value": value}
        for key, value in params.items()
        if known.get(key, value) != value
    ]
    if changed and alone:
        raise bad_value(
            "Changing param values is not allowed. Param with key='{key}' was already logged with "
            "value='{old_value}' for run ID='{run_id}'. Attempted logging new value "
            "'{new_value}'.".format(**changed[0], run_id=run_id)
        )
    if changed:
        raise bad_value(
            "Changing param values is not allowed. Params were already "
            f"logged='{changed}' for run ID='{run_id}'."
        )
    return params


def confirm_datasets(values: list[dict[str, Any]]) -> None:
    """Confirm that data sets can be delivered.

    Raises:
        Refusal: one cannot.
    """
    for item in values:
        dataset = as_object(item.get("dataset"))
        text(dataset, "name")
        for name in ("digest", "source_type", "source", "schema", "profile"):
            text(dataset, name, default="")
        for tag in items(item, "tags"):
            text(tag, "key")
            text(tag, "value", default="")


def confirm_models(values: list[dict[str, Any]]) -> None:
    """Confirm that models that a run read or made can be delivered.

    Raises:
        Refusal: one cannot.
    """
    for item in values:
        text(item, "model_id")
        integer(item, "step", 0)


def artifact_path(path: str) -> str:
    """A path below the address of artifacts.

    Raises:
        Refusal: it leads elsewhere, or names no file.
    """
    parts = path.split("/")
    if not path or "\0" in path or "\\" in path or any(part in ("", ".", "..") for part in parts):
        raise bad_value(f"Invalid path: {path!r}")
    if any(len(part.encode()) > 255 for part in parts):
        raise bad_value(f"A name in the path is longer than 255 bytes: {path[:50]!r}…")
    return path


def hide_in(value: Any, masker: Masker) -> Any:
    """What a call says, with what must not be seen masked, so that MLflow still takes it.

    What is shown for it has stars, which may not stand in the name of a metric.
    """
    if isinstance(value, dict):
        return {
            masker.text(name): _hidden_key(item, masker)
            if name == "key" and isinstance(item, str)
            else hide_in(item, masker)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [hide_in(item, masker) for item in value]
    return masker.value(value)


def _hidden_key(key: str, masker: Masker) -> str:
    shown = masker.text(key)
    return key if shown == key else _NO_NAME.sub("_", shown)


def as_object(data: object) -> dict[str, Any]:
    """The body of a call.

    Raises:
        Refusal: it is no object.
    """
    if isinstance(data, dict):
        try:
            json.dumps(data, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise bad_value(
                "a text in the call holds half of a letter (a lone surrogate), which MLflow cannot "
                "keep"
            ) from None
        return data
    raise Refusal("BAD_REQUEST", "the body of a call has to be a JSON object")


def _climbs(key: str) -> bool:
    return any(part in ("", ".", "..") for part in key.split("/"))
