"""What a PostgreSQL database holds that our role may read: tables, views, keys, comments, partitions, functions.

Reads the catalog, no rows. Names are as the database spells them.
"""

from __future__ import annotations

import time
from typing import Literal

import psycopg

from executor.source_schema import Column, ForeignKey, SourceSchema, Table

_RELATIONS = """
    SELECT c.oid, n.nspname, c.relname, c.relkind IN ('v', 'm') AS is_view, c.reltuples,
           coalesce(obj_description(c.oid, 'pg_class'), '')
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'
      AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_toast%%'
      AND n.nspname NOT LIKE 'pg\\_temp\\_%%'
      AND (cardinality(%(schemas)s::text[]) = 0 OR n.nspname = ANY (%(schemas)s))
      AND has_schema_privilege(n.oid, 'USAGE') AND has_any_column_privilege(c.oid, 'SELECT')
    ORDER BY n.nspname, c.relname
"""
_COLUMNS = """
    SELECT a.attrelid, a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
           coalesce(col_description(a.attrelid, a.attnum), '')
    FROM pg_attribute a
    WHERE a.attrelid = ANY (%(oids)s) AND a.attnum > 0 AND NOT a.attisdropped
      AND has_column_privilege(a.attrelid, a.attnum, 'SELECT')
    ORDER BY a.attrelid, a.attnum
"""
_KEYS = """
    SELECT k.conrelid, k.contype, fn.nspname, f.relname,
           ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u(n, i)
                 JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n ORDER BY u.i),
           ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS u(n, i)
                 JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.n ORDER BY u.i)
    FROM pg_constraint k
    LEFT JOIN pg_class f ON f.oid = k.confrelid
    LEFT JOIN pg_namespace fn ON fn.oid = f.relnamespace
    WHERE k.conrelid = ANY (%(oids)s) AND k.contype IN ('p', 'f')
    ORDER BY k.conrelid, k.conname
"""
_INHERITS = """
    WITH RECURSIVE above AS (
        SELECT inhrelid, inhparent FROM pg_inherits WHERE inhrelid = ANY (%(oids)s)
        UNION
        SELECT a.inhrelid, i.inhparent FROM above a JOIN pg_inherits i ON i.inhrelid = a.inhparent
    )
    SELECT a.inhrelid, n.nspname, p.relname
    FROM above a JOIN pg_class p ON p.oid = a.inhparent JOIN pg_namespace n ON n.oid = p.relnamespace
    ORDER BY 1, 2, 3
"""
_READS = """
    SELECT DISTINCT r.ev_class, n.nspname, c.relname
    FROM pg_rewrite r
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
                    AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
    JOIN pg_class c ON c.oid = d.refobjid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE r.ev_class = ANY (%(oids)s)
    UNION
    SELECT r.ev_class, n.nspname, p.proname || '()'
    FROM pg_rewrite r
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_proc'::regclass
    JOIN pg_proc p ON p.oid = d.refobjid
    JOIN pg_namespace n ON n.oid = p.pronamespace AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    WHERE r.ev_class = ANY (%(oids)s)
    ORDER BY 1, 2, 3
"""
_FUNCTIONS = """
    SELECT DISTINCT lower(p.proname)
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                      AND d.deptype = 'e')
    ORDER BY 1
"""


def read_schema(source: str, connection: psycopg.Connection, schemas: tuple[str, ...]) -> SourceSchema:
    """The tables our role may read, in `schemas` or in all but the system's; columns it may not read are left out."""
    found = connection.execute(_RELATIONS, {"schemas": list(schemas)}).fetchall()
    oids = {"oids": [row[0] for row in found]}
    columns: dict[int, list[Column]] = {}
    for oid, name, kind, nullable, comment in connection.execute(_COLUMNS, oids):
        columns.setdefault(oid, []).append(Column(name, kind, nullable, comment))
    primary: dict[int, tuple[str, ...]] = {}
    foreign: dict[int, list[ForeignKey]] = {}
    for oid, constraint, ref_schema, ref_table, names, ref_names in connection.execute(_KEYS, oids):
        if constraint == "p":
            primary[oid] = tuple(names)
        else:
            foreign.setdefault(oid, []).append(ForeignKey(tuple(names), ref_schema, ref_table, tuple(ref_names)))
    reads: dict[int, list[tuple[str, str]]] = {}
    for oid, schema, name in connection.execute(_READS, oids):
        reads.setdefault(oid, []).append((schema, name))
    inherits: dict[int, list[tuple[str, str]]] = {}
    for oid, schema, name in connection.execute(_INHERITS, oids):
        inherits.setdefault(oid, []).append((schema, name))
    tables: list[Table] = []
    for oid, schema, name, is_view, estimate, comment in found:
        kind: Literal["table", "view"] = "view" if is_view else "table"
        tables.append(
            Table(
                schema=schema,
                name=name,
                kind=kind,
                columns=tuple(columns.get(oid, ())),
                primary_key=primary.get(oid, ()),
                foreign_keys=tuple(foreign.get(oid, ())),
                row_estimate=int(estimate) if estimate >= 0 and (estimate > 0 or not is_view) else None,
                comment=comment,
                inherits=tuple(inherits.get(oid, ())),
                reads=tuple(reads.get(oid, ())),
            )
        )
    functions = connection.execute(_FUNCTIONS).fetchall()
    about = connection.execute("SELECT coalesce(current_schema(), 'public'), current_setting('server_version')")
    default_schema, version = about.fetchone() or ("public", "")
    return SourceSchema(
        source=source,
        dialect="postgres",
        default_schema=default_schema,
        tables=tuple(tables),
        functions=tuple(name for (name,) in functions),
        server_version=version,
        inspected_at=time.time(),
    )
