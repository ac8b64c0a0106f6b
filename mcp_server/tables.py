"""A source's tables in words and bounded: the compact list of all, the details of some. Pure; knows no executor."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from executor import Column, ForeignKey, SourceProfile, SourceSchema, Table
from mcp_server.bounds import cut_json, cut_text, json_length, that_fit
from mcp_server.policy import Grant
from mcp_server.sql import GrantedTable, granted_tables

LIST_CHARS = 6_000
"""The most characters of a list of tables."""

DETAIL_CHARS = 12_000
"""The most characters of tables told in full."""

COMMENT_CHARS = 200

_OTHER_SIGNS = re.compile(r"([?\[])")

_MOST_LIKE_A_NAME = 200
"""Characters: what is longer is no misspelt name, and takes long to compare with all there are."""


def visible(schema: SourceSchema, grant: Grant) -> SourceSchema:
    """`schema` as `grant` lets it be seen: what is not granted is not there, nor is any key that leads to it.

    Where rows are hidden, their number is too; a view over a protected table is shown only where the guard lets it
    be read.
    """
    if grant.gives_all:
        return schema
    found = {granted.key: granted for granted in granted_tables(schema, grant)}
    return replace(schema, tables=tuple(_as_granted(granted, found) for granted in found.values()))


def _as_granted(granted: GrantedTable, found: Mapping[tuple[str, str], GrantedTable]) -> Table:
    table = granted.table
    mine = {column.name for column in granted.columns}
    keys = tuple(
        key
        for key in table.foreign_keys
        if mine.issuperset(key.columns) and _may_name(found.get((key.ref_schema, key.ref_table)), key.ref_columns)
    )
    return replace(
        table,
        columns=tuple(_told_masked(column) if column.name in granted.masks else column for column in granted.columns),
        primary_key=table.primary_key if mine.issuperset(table.primary_key) else (),
        foreign_keys=keys,
        row_estimate=None if granted.filters else table.row_estimate,
    )


def visible_profile(profile: SourceProfile, schema: SourceSchema, grant: Grant) -> SourceProfile:
    """`profile` without every table of which `grant` hides anything: figures and examples there come of hidden values.

    So do the inferred keys to and from them.
    """
    if grant.gives_all:
        return profile
    whole = {granted.key for granted in granted_tables(schema, grant) if not granted.hides}
    return replace(
        profile,
        tables=tuple(table for table in profile.tables if (table.schema, table.name) in whole),
        inferred=tuple(
            one
            for one in profile.inferred
            if (one.schema, one.table) in whole and (one.key.ref_schema, one.key.ref_table) in whole
        ),
    )


def _told_masked(column: Column) -> Column:
    # an enum's type lists its values
    return replace(column, type=column.type.partition("(")[0], comment="masked by the policy.")


def _may_name(granted: GrantedTable | None, columns: Sequence[str]) -> bool:
    return granted is not None and {column.name for column in granted.columns}.issuperset(columns)


def shown_name(table: Table, schema: SourceSchema) -> str:
    """The table's name as SQL needs it: with its schema, unless that is where names are looked up first."""
    return table.name if table.schema == schema.default_schema else f"{table.schema}.{table.name}"


def matching(pattern: str, schema: SourceSchema) -> list[Table]:
    """The tables that `pattern` names: a name, ``schema.name``, or either with ``*`` in it; letters' case is free."""
    plain = _plain(pattern)
    names = [(table, table.name.lower(), f"{table.schema}.{table.name}".lower()) for table in schema.tables]
    if "*" in plain:
        form = _form(plain)
        return [t for t, name, full in names if fnmatchcase(name, form) or fnmatchcase(full, form)]
    return [t for t, name, full in names if plain in {name, full}]


def with_columns(table: Table, pattern: str) -> Table:
    """The table with those columns alone that `pattern` names: a name, or a part of one with ``*``; any case."""
    form = _form(_plain(pattern))
    return replace(table, columns=tuple(column for column in table.columns if fnmatchcase(column.name.lower(), form)))


def _plain(pattern: str) -> str:
    return pattern.strip().replace('"', "").replace("`", "").lower()


def _form(plain: str) -> str:
    # only * stands for something: names may hold the other signs
    return _OTHER_SIGNS.sub(r"[\1]", plain)


def near(pattern: str, schema: SourceSchema) -> list[str]:
    """Up to three names of tables that look like `pattern`."""
    if len(pattern) > _MOST_LIKE_A_NAME:
        return []
    names = {shown_name(t, schema).lower(): shown_name(t, schema) for t in schema.tables}
    names |= {t.name.lower(): shown_name(t, schema) for t in schema.tables}
    close = difflib.get_close_matches(pattern.strip().lower(), list(names), n=3, cutoff=0.65)
    return list(dict.fromkeys(names[name] for name in close))


def listed(tables: Sequence[Table], schema: SourceSchema, *, max_chars: int = LIST_CHARS) -> list[dict[str, Any]]:
    """The tables in the richest form of which all fit: with column names, with counts, names alone; else as many names.

    Each is ``{"name"}`` with ``columns`` (names or their number), ``rows`` (an estimate), ``kind`` for a view and
    the beginning of the comment.
    """
    forms = (
        [_line(t, schema, columns=[cut_text(c.name, 60) for c in t.columns]) for t in tables],
        [_line(t, schema, columns=len(t.columns)) for t in tables],
        [{"name": shown_name(t, schema)} for t in tables],
    )
    for form in forms:
        if json_length(form) <= max_chars:
            return form
    return that_fit(forms[-1], max_chars)


def detailed(tables: Sequence[Table], schema: SourceSchema, *, max_chars: int = DETAIL_CHARS) -> list[dict[str, Any]]:
    """The first tables in full, as many as fit, at least one: columns with types and comments, keys, estimates."""
    lines = [_details(t, schema) for t in tables]
    return that_fit(lines, max_chars) or [_cut_columns(lines[0], max_chars)]


def _cut_columns(line: dict[str, Any], max_chars: int) -> dict[str, Any]:
    """A table that alone is more than `max_chars`, with as many of its columns and keys as fit."""
    told = {**line, "name": cut_json(line["name"], 500)}
    for key, share in (("columns", 2), ("primary_key", 8), ("foreign_keys", 8)):
        if key in line:
            told[key] = that_fit(line[key], max_chars // share)
            if len(told[key]) < len(line[key]):
                told[f"more_{key}"] = len(line[key]) - len(told[key])
    return told


def _line(table: Table, schema: SourceSchema, *, columns: list[str] | int) -> dict[str, Any]:
    line: dict[str, Any] = {"name": shown_name(table, schema), "columns": columns}
    if table.kind != "table":
        line["kind"] = table.kind
    if table.row_estimate is not None:
        line["rows"] = table.row_estimate
    if table.comment:
        line["comment"] = cut_text(table.comment, 80)
    return line


def _details(table: Table, schema: SourceSchema) -> dict[str, Any]:
    told: dict[str, Any] = {"name": shown_name(table, schema), "kind": table.kind}
    if table.comment:
        told["comment"] = cut_text(table.comment, COMMENT_CHARS)
    if table.row_estimate is not None:
        told["row_estimate"] = table.row_estimate
    columns: list[dict[str, Any]] = []
    for column in table.columns:
        one: dict[str, Any] = {"name": column.name, "type": cut_text(column.type, 60)}
        if not column.nullable:
            one["nullable"] = False
        if column.comment:
            one["comment"] = cut_text(column.comment, COMMENT_CHARS)
        columns.append(one)
    told["columns"] = columns
    if table.primary_key:
        told["primary_key"] = list(table.primary_key)
    if table.foreign_keys:
        told["foreign_keys"] = [_key(key, schema) for key in table.foreign_keys]
    return told


def _key(key: ForeignKey, schema: SourceSchema) -> dict[str, Any]:
    place = key.ref_table if key.ref_schema == schema.default_schema else f"{key.ref_schema}.{key.ref_table}"
    return {"columns": list(key.columns), "references": place, "ref_columns": list(key.ref_columns)}
