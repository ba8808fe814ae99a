"""Print the JSON schema of dagbook-platform.yaml, for editors."""

from __future__ import annotations

import argparse
import json

EXAMPLES = """\
  dagbook platform schema > dagbook-platform.schema.json

An editor with a YAML language server reads it where the platform file begins with
  # yaml-language-server: $schema=dagbook-platform.schema.json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`dagbook platform schema` takes nothing."""


def run(args: argparse.Namespace) -> int:
    """Print the schema as one JSON object."""
    from dagbook.policy.file_keys import platform_schema

    print(json.dumps(platform_schema(), indent=2, ensure_ascii=False))
    return 0
