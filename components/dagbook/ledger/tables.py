"""The ledger's tables. Money is in millionths of the currency, so that sums are exact."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy.dialects.mysql import MEDIUMTEXT

#: Written into `HEADS` under `SCHEMA`; a later dagbook that changes a table counts it up.
SCHEMA_VERSION = 1
SCHEMA = "schema"
AUDIT = "audit"

METADATA = MetaData()

#: MySQL's own `TEXT` ends at 64 KiB.
LONG_TEXT = Text().with_variant(MEDIUMTEXT(), "mysql", "mariadb")

#: `audit`: how many entries the chain has, and the hash of the last. Whoever writes locks its row
#: first, so that writers come one after another on every database.
HEADS = Table(
    "dagbook_head",
    METADATA,
    Column("name", String(32), primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
)

ENTRIES = Table(
    "dagbook_audit",
    METADATA,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    # ISO-8601 in UTC, as text: what is hashed is what is stored.
    Column("at", String(32), nullable=False, index=True),
    Column("kind", String(32), nullable=False),
    Column("policy", String(64), nullable=False),
    Column("who", String(256), nullable=False),
    Column("asset", String(512), nullable=False),
    Column("run", String(64), nullable=False),
    Column("detail", LONG_TEXT, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)

#: One row for each try of each run: what it reserved, and what it came to.
LAUNCHES = Table(
    "dagbook_budget",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("run", String(64), nullable=False, index=True),
    Column("attempt", Integer, nullable=False),
    Column("asset", String(512), nullable=False),
    Column("notebook", String(1024), nullable=False),
    Column("team", String(128), nullable=False),
    Column("month", String(7), nullable=False),
    Column("size", String(128), nullable=False),
    Column("memory_bytes", BigInteger, nullable=False),
    Column("currency", String(16), nullable=False),
    # Per hour. NULL: the size has no price.
    Column("price", BigInteger),
    Column("reserved", BigInteger, nullable=False),
    # NULL until it is settled.
    Column("cost", BigInteger),
    Column("started", Float(53), nullable=False),
    # When it must have ended at the latest, however it ends.
    Column("gone_by", Float(53), nullable=False),
    # The process, where nobody but this machine can tell what became of it.
    Column("worker", String(256), nullable=False),
    Column("seconds", Float(53)),
    Column("status", String(16), nullable=False),
    Column("cause", String(16), nullable=False),
    Column("peak_memory_bytes", BigInteger),
    Column("cpu_seconds", Float(53)),
    Index("dagbook_budget_month", "month", "team"),
    Index("dagbook_budget_asset", "asset", "started"),
)

#: The policy last seen in each project, to tell what changed.
POLICIES = Table(
    "dagbook_policy",
    METADATA,
    # The hash of the file's place: a path may be longer than a key.
    Column("place", String(64), primary_key=True),
    Column("version", String(64), nullable=False),
    Column("content", LONG_TEXT, nullable=False),
)
