"""docs/bridge.md says what the bridge does."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from pathlib import Path

import pytest

from dagbook.bridge import dispatcher
from dagbook.bridge.verbs import VERBS
from dagbook.bridge_client import Bridge
from dagbook.bridge_protocol import PROTOCOL, Code

TEXT = (Path(__file__).parents[3] / "docs" / "bridge.md").read_text("utf-8")


def rows() -> dict[str, str]:
    """By verb, the arguments its row names."""
    table = TEXT[TEXT.index("## Verbs") :]
    found = {}
    for line in re.findall(r"^\| `.*$", table, re.M):
        verbs, arguments = line.split("|")[1:3]
        found |= dict.fromkeys(re.findall(r"`(\w+)`", verbs), arguments.strip())
    return found


def test_every_verb_is_described_and_nothing_else() -> None:
    assert rows().keys() == VERBS.keys()


@pytest.mark.parametrize("verb", VERBS)
def test_every_argument_of_a_verb_is_named(verb: str) -> None:
    module, _, name = VERBS[verb].function.partition(":")
    parameters = list(inspect.signature(getattr(importlib.import_module(module), name)).parameters)
    told = rows()[verb]
    while told.startswith("the same"):
        told = told.replace("the same", rows()["preview"])
    assert set(re.findall(r"`(\w+)`", told)) == set(parameters[1:])


def test_every_code_and_variable_is_described() -> None:
    codes = re.findall(r"^\| `(\w+)` \|", TEXT[TEXT.index("| code |") :].split("## Verbs")[0], re.M)
    assert codes == [str(code) for code in Code]
    for variable in (
        dispatcher.CALL_VARIABLE,
        dispatcher.IMPORT_VARIABLE,
        dispatcher.IDLE_VARIABLE,
    ):
        assert f"| `{variable}` |" in TEXT


def test_the_examples_are_what_is_said(bridge: Bridge) -> None:
    blocks = re.findall(r"```json\n(.*?)```", TEXT, re.S)
    hello = json.loads(blocks[0])["hello"]
    assert hello.keys() == bridge.hello().keys()
    assert hello["protocol"] == PROTOCOL
    question, answer = map(json.loads, blocks[1].splitlines())
    told = bridge.ask(question["verb"], **question["arguments"])
    told["next"] = answer["result"]["next"]
    assert told == answer["result"]
