"""What the role we connect as could do beyond reading, and the SQL that makes a safer one. Runs nothing itself."""

# ruff: noqa: S608 # the queries are put together of constants of this module

from __future__ import annotations

from typing import LiteralString

import psycopg
from psycopg import sql

from executor.adapters.base import Finding

_POWERS = {
    "pg_read_all_data": "read every table, whatever is granted later",
    "pg_read_server_files": "read files of the server",
    "pg_write_server_files": "write files of the server",
    "pg_execute_server_program": "run programs on the server",
    "pg_write_all_data": "change every table",
    "pg_maintain": "lock and rebuild every table",
    "pg_signal_backend": "stop others' statements",
    "pg_monitor": "read others' statements",
    "pg_read_all_stats": "read others' statements",
    "pg_read_all_settings": "read every setting of the server",
    "pg_checkpoint": "force checkpoints",
    "pg_create_subscription": "copy tables of other servers",
}
_USERS = "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_t%%'"
_SHOWN = "(cardinality(%(schemas)s::text[]) = 0 OR n.nspname = ANY (%(schemas)s))"
_VISIBLE = f"{_USERS} AND has_schema_privilege(n.oid, 'USAGE') AND {_SHOWN}"

_WRITABLE = f"""
    SELECT count(*), min(format('%%I.%%I', n.nspname, c.relname))
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {_VISIBLE}
      AND (has_table_privilege(c.oid, 'INSERT') OR has_table_privilege(c.oid, 'UPDATE')
           OR has_table_privilege(c.oid, 'DELETE') OR has_table_privilege(c.oid, 'TRUNCATE'))
"""
_OWNED = f"""
    SELECT count(*), min(format('%%I.%%I', n.nspname, c.relname))
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {_USERS} AND {_SHOWN} AND pg_has_role(c.relowner, 'USAGE')
"""
_LATER_WRITABLE = """
    SELECT count(*), min(coalesce('in schema ' || n.nspname, 'anywhere'))
    FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace, aclexplode(d.defaclacl) AS a
    WHERE d.defaclobjtype = 'r' AND a.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')
      AND CASE a.grantee WHEN 0 THEN true ELSE pg_has_role(a.grantee, 'USAGE') END
"""
_CREATABLE = f"""
    SELECT count(*), min(quote_ident(n.nspname)) FROM pg_namespace n
    WHERE {_USERS} AND has_schema_privilege(n.oid, 'CREATE')
"""
_CALLABLE = f"""
    SELECT count(*), min(format('%%I.%%I', n.nspname, p.proname))
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
    WHERE {_USERS} AND has_schema_privilege(n.oid, 'USAGE') AND has_function_privilege(p.oid, 'EXECUTE')
      AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
"""
_DEFINERS = f"{_CALLABLE} AND p.prosecdef"
_UNTRUSTED = f"{_CALLABLE} AND NOT l.lanpltrusted AND l.lanname NOT IN ('internal', 'c')"
_REACHING = f"{_CALLABLE} AND l.lanname = 'c' AND p.probin ~ '(dblink|http|plproxy|pg_net|oracle_fdw)'"
_SERVERS = (
    "SELECT count(*), min(quote_ident(srvname)) FROM pg_foreign_server s WHERE has_server_privilege(oid, 'USAGE')"
)
_LANGUAGES = """
    SELECT count(*), min(quote_ident(lanname)) FROM pg_language
    WHERE NOT lanpltrusted AND lanname NOT IN ('internal', 'c') AND has_language_privilege(oid, 'USAGE')
"""
_TIMED = """
    SELECT EXISTS (
        SELECT FROM pg_db_role_setting s, unnest(s.setconfig) AS told
        WHERE s.setrole = (SELECT oid FROM pg_roles WHERE rolname = current_user)
          AND told LIKE 'statement\\_timeout=%' AND told NOT IN ('statement_timeout=0', 'statement_timeout=0s'))
"""
_SCHEMAS = f"SELECT n.nspname FROM pg_namespace n WHERE {_VISIBLE} ORDER BY 1"

_COUNTED: tuple[tuple[LiteralString, str, str], ...] = (
    (_WRITABLE, "may change {}", ""),
    (_OWNED, "owns {}, and an owner may always do everything", "Let another role own them: ALTER TABLE … OWNER TO …;"),
    (
        _LATER_WRITABLE,
        "will be given the right to change tables that are made later ({})",
        "ALTER DEFAULT PRIVILEGES … REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON TABLES FROM …;  -- see \\ddp in psql",
    ),
    (
        _CREATABLE,
        "may make tables, functions and operators in the schema {}; what is made there can stand in for what others "
        "call",
        "REVOKE CREATE ON SCHEMA … FROM PUBLIC;  -- who makes tables there needs a grant of his own then",
    ),
    (
        _DEFINERS,
        "may call {}, which runs with its owner's rights (SECURITY DEFINER)",
        "REVOKE EXECUTE ON FUNCTION … FROM PUBLIC;  -- and grant it to those who need it",
    ),
    (
        _UNTRUSTED,
        "may call {}, written in a language that can reach the server's files and network",
        "REVOKE EXECUTE ON FUNCTION … FROM PUBLIC;  -- and grant it to those who need it",
    ),
    (
        _REACHING,
        "may call {}, which opens connections to other servers",
        "REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA … FROM PUBLIC;  -- or keep such extensions in a schema of their own",
    ),
    (
        _SERVERS,
        "may use the foreign server {}",
        "REVOKE USAGE ON FOREIGN SERVER … FROM …;  -- foreign tables that were granted can still be read",
    ),
    (_LANGUAGES, "may write functions in the untrusted language {}", "REVOKE USAGE ON LANGUAGE … FROM …;"),
)
"""Queries of a count and an example, what a count above zero means, and what to type (empty: the safer role)."""


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
    fix = safer_role(connection, database, schemas)
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
        "SELECT rolname::text, rolsuper FROM pg_roles"
        " WHERE (rolname = ANY (%s) OR rolsuper) AND pg_has_role(oid, 'MEMBER')",
        (list(_POWERS),),
    )
    for name, is_super in members:
        can.append(f"become {name}, a superuser" if is_super else _POWERS[name])
    if may_create:
        can.append("make schemas in the database")
    if can:
        told = ", ".join(dict.fromkeys(can))
        found.append(Finding("warning", f"Source {source} connects as {role}, who may {told}.", fix))
    for query, meaning, advice in _COUNTED:
        count, example = connection.execute(query, {"schemas": list(schemas)}).fetchone() or (0, None)
        if count:
            some = f"{example} and {count - 1} more" if count > 1 else str(example)
            message = f"Source {source} connects as {role}, who {meaning.format(some)}."
            found.append(Finding("warning", message, advice or fix))
    (is_timed,) = connection.execute(_TIMED).fetchone() or (False,)
    if not is_timed:
        told = f"Source {source} connects as {role}, for whom the server knows no statement_timeout, only ours."
        line = sql.SQL("ALTER ROLE {} SET statement_timeout = '10min';").format(sql.Identifier(role))
        found.append(Finding("warning", told, line.as_string(connection)))
    return found or [Finding("ok", f"Source {source} connects as {role}, who can only read.")]


def safer_role(connection: psycopg.Connection, database: str, schemas: tuple[str, ...]) -> str:
    """SQL to paste: a role that may read these schemas and nothing else. What concerns others is commented out."""
    names = [name for (name,) in connection.execute(_SCHEMAS, {"schemas": list(schemas)})] or ["public"]
    role, base = sql.Identifier("awaitsql_reader"), sql.Identifier(database)
    lines = [
        sql.SQL(
            "CREATE ROLE {} LOGIN PASSWORD '…' NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
            " CONNECTION LIMIT 50;"
        ).format(role),
        sql.SQL("ALTER ROLE {} SET default_transaction_read_only = on;").format(role),
        sql.SQL("ALTER ROLE {} SET statement_timeout = '10min';").format(role),
        sql.SQL("ALTER ROLE {} SET lock_timeout = '10s';").format(role),
        sql.SQL("ALTER ROLE {} SET idle_in_transaction_session_timeout = '5min';").format(role),
        sql.SQL("GRANT CONNECT ON DATABASE {} TO {};").format(base, role),
    ]
    for name in names:
        schema = sql.Identifier(name)
        lines += [
            sql.SQL("GRANT USAGE ON SCHEMA {} TO {};").format(schema, role),
            sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA {} TO {};").format(schema, role),
            sql.SQL("ALTER DEFAULT PRIVILEGES IN SCHEMA {} GRANT SELECT ON TABLES TO {};").format(schema, role),
        ]
    stops = "pg_catalog.pg_cancel_backend(int), pg_catalog.pg_terminate_backend(int"
    stops += ", bigint)" if connection.info.server_version >= 140_000 else ")"
    lines += [
        sql.SQL("-- What follows is optional; as a superuser, each spill to disk can be bounded:"),
        sql.SQL("-- ALTER ROLE {} SET temp_file_limit = '10GB';").format(role),
        sql.SQL("-- For every role of the database: without a grant of its own none may then make tables in public,"),
        sql.SQL("-- REVOKE CREATE ON SCHEMA public FROM PUBLIC;"),
        sql.SQL("-- make temporary tables,"),
        sql.SQL("-- REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC;").format(base),
        sql.SQL("-- or stop another connection of its own name."),
        sql.SQL("-- REVOKE EXECUTE ON FUNCTION {} FROM PUBLIC;").format(sql.SQL(stops)),
    ]
    return "\n".join(line.as_string(connection) for line in lines)
