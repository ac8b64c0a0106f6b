"""Makes the history's tables, step by step, and refuses those of a newer program. Safe when several start at once.

The steps are written out and never changed once they are released; the next change of a table is the next step.
"""

from __future__ import annotations

from sqlalchemy import Connection, Engine, func, insert, inspect, select, text, update

from executor.errors import SettingsInvalid
from executor.history.tables import version
from executor.jobs import JobState

_STATES = ", ".join(f"'{state}'" for state in JobState)

STEPS: tuple[tuple[str, ...], ...] = (
    (
        f"""CREATE TABLE awaitsql_jobs (
            chain TEXT NOT NULL, job_id TEXT NOT NULL, owner TEXT NOT NULL, source TEXT NOT NULL, kind TEXT NOT NULL,
            sql TEXT NOT NULL, question TEXT, policy_version TEXT NOT NULL, told TEXT NOT NULL, mac TEXT NOT NULL,
            state TEXT NOT NULL CHECK (state IN ({_STATES})), reason TEXT NOT NULL, error TEXT NOT NULL,
            attempt INTEGER NOT NULL, rows BIGINT NOT NULL, bytes BIGINT NOT NULL,
            submitted_at DOUBLE PRECISION NOT NULL, started_at DOUBLE PRECISION, finished_at DOUBLE PRECISION,
            PRIMARY KEY (chain, job_id))""",
        "CREATE INDEX awaitsql_jobs_of_owner ON awaitsql_jobs (chain, owner, submitted_at)",
        "CREATE INDEX awaitsql_jobs_unfinished ON awaitsql_jobs (chain) WHERE finished_at IS NULL",
        """CREATE TABLE awaitsql_audit (
            chain TEXT NOT NULL, seq BIGINT NOT NULL, event TEXT NOT NULL, job_id TEXT NOT NULL,
            at DOUBLE PRECISION NOT NULL, content TEXT NOT NULL, hash TEXT NOT NULL,
            PRIMARY KEY (chain, seq), UNIQUE (chain, event))""",
        """CREATE TABLE awaitsql_chains (
            chain TEXT NOT NULL PRIMARY KEY, fence BIGINT NOT NULL, seq BIGINT NOT NULL, hash TEXT NOT NULL,
            anchor_seq BIGINT NOT NULL, anchor_hash TEXT NOT NULL, seal TEXT NOT NULL)""",
        """CREATE TABLE awaitsql_streams (
            chain TEXT NOT NULL, epoch TEXT NOT NULL, position TEXT NOT NULL, drained BIGINT NOT NULL,
            PRIMARY KEY (chain, epoch))""",
    ),
    (
        "ALTER TABLE awaitsql_jobs ADD COLUMN parent_id TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE awaitsql_jobs ADD COLUMN generated TEXT NOT NULL DEFAULT ''",
    ),
    ("ALTER TABLE awaitsql_chains ADD COLUMN at DOUBLE PRECISION NOT NULL DEFAULT 0",),
)
"""What each version adds to the one before, in SQL that SQLite and PostgreSQL both understand."""

_LOCK = 0x61776169
"""The number of PostgreSQL's advisory lock under which tables are made."""


def migrate(engine: Engine) -> None:
    """Brings the database to this program's version, in one transaction that others wait for.

    Raises:
        SettingsInvalid: the tables are of a newer program.
        SQLAlchemyError: the database does not answer, or does not let us.
    """
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
        found = _found(connection)
        if found > len(STEPS):
            raise SettingsInvalid(
                message=f"The history's tables are of version {found}; this program knows versions up to {len(STEPS)}.",
                hint="Run the newer program, or give this one a history of its own: [executor.history] url.",
            )
        for step in STEPS[found:]:
            for sql in step:
                connection.execute(text(sql))
        if found < len(STEPS):
            connection.execute(update(version).values(version=len(STEPS)))


def _found(connection: Connection) -> int:
    if not inspect(connection).has_table(version.name):
        version.create(connection)
        connection.execute(insert(version).values(version=0))
    return connection.execute(select(version.c.version)).scalar_one()
