"""Stored results as the tables of a statement: their names, their columns, the schema that a guard checks against.

Server and worker both name columns from here. Knows no rows and no store.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from executor.jobs import RESULTS, Input, Job, Origin, Touch
from executor.source_schema import Column, SourceSchema, Table

MOST_INPUTS = 20
"""How many results one statement may read."""


def inputs_of(jobs: Sequence[Job]) -> tuple[Input, ...]:
    """The results of `jobs` as tables ``r1``, ``r2`` …, in this order."""
    return tuple(Input(f"r{n}", job.id, job.attempt, job.rows_of) for n, job in enumerate(jobs, 1))


def schema_of_results(jobs: Sequence[Job]) -> SourceSchema:
    """What a statement over the results of `jobs`, all succeeded, may name."""
    tables: list[Table] = []
    for told, job in zip(inputs_of(jobs), jobs, strict=True):
        columns = job.summary.columns if job.summary is not None else ()
        names = column_names(column.name for column in columns)
        tables.append(
            Table(
                schema="main",
                name=told.name,
                columns=tuple(Column(name, column.type) for name, column in zip(names, columns, strict=True)),
                row_estimate=job.rows,
            )
        )
    return SourceSchema(source=RESULTS, dialect="duckdb", default_schema="main", tables=tuple(tables))


def origins_of_results(jobs: Sequence[Job]) -> tuple[Origin, ...]:
    """Where all the rows of `jobs` were read, each place once."""
    return tuple(dict.fromkeys(origin for job in jobs for origin in job.origins))


def proof_of_results(jobs: Sequence[Job]) -> tuple[Touch, ...]:
    """What policies did to the tables behind the results of `jobs`."""
    return tuple(dict.fromkeys(touch for job in jobs for touch in job.proof))


def column_names(names: Iterable[str]) -> list[str]:
    """The names as DuckDB can hold them: none empty, and those that come again, in any case, with a number behind."""
    given = [name or "column" for name in names]
    taken = {name.lower() for name in given}
    seen: set[str] = set()
    unique: list[str] = []
    for name in given:
        found, number = name, 1
        while found.lower() in seen or (number > 1 and found.lower() in taken):
            number += 1
            found = f"{name}_{number}"
        seen.add(found.lower())
        unique.append(found)
    return unique
