"""The history's tables as the queries know them. `schema` makes them in the database; nothing else does.

``chain`` is everywhere the configuration's namespace: several configurations may keep their history in one database,
each with a chain of its own.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Integer, MetaData, Table, Text

metadata = MetaData()

jobs = Table(
    "awaitsql_jobs",
    metadata,
    Column("chain", Text, primary_key=True),
    Column("job_id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("sql", Text, nullable=False),
    Column("question", Text),
    Column("parent_id", Text, nullable=False),
    Column("generated", Text, nullable=False),
    Column("policy_version", Text, nullable=False),
    Column("told", Text, nullable=False),
    Column("mac", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("submitted_at", Double, nullable=False),
    Column("started_at", Double),
    Column("finished_at", Double),
)
"""One row a job, as it is by now. `told` holds the rest of the signed record, `mac` its signature; empty where the
record did not carry ours, and then the job is shown to nobody. `parent_id` is the job that submitted it, or empty;
`generated` what the body of a question has told of its work: model, version of the prompt, tokens."""

audit = Table(
    "awaitsql_audit",
    metadata,
    Column("chain", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("event", Text, nullable=False),
    Column("job_id", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("content", Text, nullable=False),
    Column("hash", Text, nullable=False),
)
"""One row an event, never changed. `event` is the stream's and the entry's id, unique in its chain; of what did not
come from a stream, ``own-`` and the place in the chain. `hash` covers the row and the hash before it."""

chains = Table(
    "awaitsql_chains",
    metadata,
    Column("chain", Text, primary_key=True),
    Column("fence", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", Text, nullable=False),
    Column("anchor_seq", BigInteger, nullable=False),
    Column("anchor_hash", Text, nullable=False),
    Column("seal", Text, nullable=False),
    Column("at", Double, nullable=False),
)
"""One row a chain: who may write (`fence`), its end, and the place up to which rows have been deleted (the anchor).
`at` is when it was last written to; `seal` covers it, the end and the anchor, with the configuration's key."""

streams = Table(
    "awaitsql_streams",
    metadata,
    Column("chain", Text, primary_key=True),
    Column("epoch", Text, primary_key=True),
    Column("position", Text, nullable=False),
    Column("drained", BigInteger, nullable=False),
)
"""How far each event stream has been read: a broker that lost its data begins another `epoch`."""

version = Table("awaitsql_history_version", metadata, Column("version", Integer, nullable=False))
