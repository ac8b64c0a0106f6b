"""What a model is given to write SQL for a question: cards, joins, glossary, verified queries, notes on the dialect.

As one text.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from executor import SourceProfile, SourceSchema
from mcp_server.knowledge.examples import examples
from mcp_server.knowledge.known import known
from mcp_server.knowledge.meanings import Meanings, about
from mcp_server.knowledge.verified import VerifiedQuery
from mcp_server.policy import Grant

CONTEXT_TABLES = 15
"""How many tables of a schema that is too large to be shown whole."""


def context_for(
    question: str,
    source: SourceSchema,
    grant: Grant,
    *,
    profile: SourceProfile | None = None,
    meanings: Meanings | None = None,
    queries: Sequence[VerifiedQuery] = (),
    dialect_notes: str = "",
    tables: int = CONTEXT_TABLES,
) -> str:
    """The part of `source` that `question` is about, as `grant` lets it be seen; all of it where it fits.

    Takes milliseconds, and seconds for the first question about a source of thousands of tables: call it in a thread.

    Args:
        question: in plain language, or some keywords.
        source: the whole schema.
        grant: what the caller may read of it.
        profile: of the whole source; what the grant hides is left out.
        meanings: the source's glossary; what the grant hides of it is left out.
        queries: of this source; those that are verified, like the question and within the grant are given.
        dialect_notes: how the source's SQL differs, given at the end.
        tables: how many tables at most where not all fit.
    """
    mine = known(source, grant, profile, meanings)
    found = mine.find([question], limit=tables)
    if not found.tables:
        which = "No table fits the question." if mine.schema.tables else "There are no tables."
    elif found.whole:
        which = "These are all its tables, the likeliest first."
    else:
        which = "These are the likeliest of its tables; there are more."
    told = [f"Source {source.source}, SQL dialect {source.dialect}. {which}", *found.cards]
    if found.joins:
        told.append("Joins:\n" + "\n".join(found.joins))
    if found.near:
        told.append("Joins to tables not shown:\n" + "\n".join(found.near))
    if meanings is not None:
        keys = [(table.schema, table.name) for table in found.tables]
        lines = about(meanings.seen(source, grant), tables=keys, keywords=[question])
        if lines:
            told.append("Glossary:\n" + "\n".join(json.dumps(line, ensure_ascii=False) for line in lines))
    names = [f"{table.schema}.{table.name}" for table in found.tables]
    alike = examples(queries, [question], schema=source, grant=grant, tables=names) if queries else []
    if alike:
        told.append(
            "Questions like it, with SQL that a person has confirmed:\n"
            + "\n".join(json.dumps(one, ensure_ascii=False) for one in alike)
        )
    if dialect_notes:
        told.append(f"SQL here:\n{dialect_notes.strip()}")
    return "\n\n".join(told)
