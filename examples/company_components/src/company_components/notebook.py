"""The company's notebook: knows who pays, and whom to tell."""

import os
from typing import Annotated, ClassVar

import dagster as dg
from dagbook import NotebookRunnerComponent
from dagbook.policy.decision import Objection

from company_components.ledger import Ledger


class CompanyNotebook(NotebookRunnerComponent):
    """Runs a notebook for a cost centre, and writes each run into the company's ledger."""

    current_schema_version: ClassVar[int] = 2
    compatible_versions: ClassVar[frozenset[int]] = frozenset({1})
    platform: ClassVar[str] = "company_components:dagbook-platform.yaml"

    cost_centre: Annotated[str, dg.Resolver.default(description="Who pays.", examples=["rd-042"])]
    channels: Annotated[list[str] | None, dg.Resolver.default(description="Whom to tell.")] = None

    def more_rules(self, request, platform):
        """A size with a GPU needs a channel: somebody has to know of it."""
        size = platform.sizes.get(request.attributes["compute_size"])
        if size and size.gpus and not self.channels:
            text = f"{size.name} has a GPU: name one of the `channels` to tell of its runs"
            yield Objection("company", ("channels",), [], "a channel", platform.contact, text)

    def sinks(self):
        """The ledger, where there is one."""
        path = os.environ.get("COMPANY_LEDGER")
        return [Ledger(path, self.cost_centre)] if path else []

    @classmethod
    def migrate_config(cls, old, old_version):
        """Version 1 said `cost_center`, and `notify` for the one channel there was."""
        new = {key: value for key, value in old.items() if key != "notify"}
        new["cost_centre"] = new.pop("cost_center", None)
        return {**new, "channels": [old["notify"]]} if old.get("notify") else new
