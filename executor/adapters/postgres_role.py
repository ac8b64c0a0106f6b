"""What the role we connect as could do beyond reading, and the SQL that makes a safer one. Runs nothing itself."""

from __future__ import annotations

import psycopg
from psycopg import sql

from executor.adapters.base import Finding

_POWERS = {
    "pg_read_server_files": "read files of the server",
    "pg_write_server_files": "write files of the server",
    "pg_execute_server_program": "run programs on the server",
    "pg_write_all_data": "change every table",
    "pg_signal_backend": "stop others' statements",
}
_WRITABLE = """
    SELECT count(*), min(format('%%I.%%I', n.nspname, c.relname))
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
      AND n.nspname NOT LIKE 'pg\\_t%%' AND has_schema_privilege(n.oid, 'USAGE')
      AND (cardinality(%(schemas)s::text[]) = 0 OR n.nspname = ANY (%(schemas)s))
      AND (has_table_privilege(c.oid, 'INSERT') OR has_table_privilege(c.oid, 'UPDATE')
           OR has_table_privilege(c.oid, 'DELETE') OR has_table_privilege(c.oid, 'TRUNCATE'))
"""
_SCHEMAS = """
    SELECT nspname FROM pg_namespace
    WHERE nspname NOT LIKE 'pg\\_%%' AND nspname <> 'information_schema' AND has_schema_privilege(oid, 'USAGE')
      AND (cardinality(%(schemas)s::text[]) = 0 OR nspname = ANY (%(schemas)s))
    ORDER BY 1
"""


def examine_role(source: str, connection: psycopg.Connection, schemas: tuple[str, ...]) -> list[Finding]:
    """What `doctor` says of the role behind `connection`; a single ``ok`` when it can only read."""
    row = connection.execute(
        "SELECT current_user::text, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication,"
        " current_database()::text, has_database_privilege(current_database(), 'CREATE')"
        " FROM pg_roles WHERE rolname = current_user"
    ).fetchone()
    if row is None:
        return [Finding("warning", f"Source {source}: the server does not show the role we connect as.")]
    role, is_superuser, *powers, database, may_create = row
    fix = _safer_role(connection, database, schemas)
    if is_superuser:
        return [
            Finding(
                "warning",
                f"Source {source} connects as {role}, a superuser: a read-only transaction does not keep it from the "
                "server's files and programs.",
                fix,
            )
        ]
    found: list[Finding] = []
    words = ("bypass row security", "make roles", "make databases", "replicate the server")
    can = [word for word, has in zip(words, powers, strict=True) if has]
    members = connection.execute(
        "SELECT rolname::text FROM pg_roles WHERE rolname = ANY (%s) AND pg_has_role(oid, 'MEMBER')", (list(_POWERS),)
    )
    can += [_POWERS[name] for (name,) in members]
    if may_create:
        can.append("make schemas in the database")
    if can:
        found.append(Finding("warning", f"Source {source} connects as {role}, who may {', '.join(can)}.", fix))
    count, example = connection.execute(_WRITABLE, {"schemas": list(schemas)}).fetchone() or (0, None)
    if count:
        told = f"{example} and {count - 1} more" if count > 1 else str(example)
        found.append(Finding("warning", f"Source {source} connects as {role}, who may change {told}.", fix))
    return found or [Finding("ok", f"Source {source} connects as {role}, who can only read.")]


def _safer_role(connection: psycopg.Connection, database: str, schemas: tuple[str, ...]) -> str:
    """SQL to paste: a role that may read these schemas and nothing else."""
    names = [name for (name,) in connection.execute(_SCHEMAS, {"schemas": list(schemas)})] or ["public"]
    role = sql.Identifier("awaitsql_reader")
    lines = [
        sql.SQL("CREATE ROLE {} LOGIN PASSWORD '…' NOSUPERUSER NOCREATEDB NOCREATEROLE;").format(role),
        sql.SQL("ALTER ROLE {} SET default_transaction_read_only = on;").format(role),
        sql.SQL("GRANT CONNECT ON DATABASE {} TO {};").format(sql.Identifier(database), role),
    ]
    for name in names:
        schema = sql.Identifier(name)
        lines += [
            sql.SQL("GRANT USAGE ON SCHEMA {} TO {};").format(schema, role),
            sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA {} TO {};").format(schema, role),
            sql.SQL("ALTER DEFAULT PRIVILEGES IN SCHEMA {} GRANT SELECT ON TABLES TO {};").format(schema, role),
        ]
    return "\n".join(line.as_string(connection) for line in lines)
