"""How large an answer of each tool may be, whatever is asked: characters of its structured content as JSON.

Everything but ASCII counts as JSON escapes it, see `bounds`. Errors of any tool are bounded, too. A test holds every
tool to its line here, over results, schemas and statements of every shape.
"""

from __future__ import annotations

from mcp_server.bounds import COLUMN_LIST_CHARS
from mcp_server.errors import WORDS_CHARS
from mcp_server.knowledge.examples import EXAMPLES_CHARS
from mcp_server.knowledge.known import JOINS_CHARS, WHOLE_CHARS
from mcp_server.knowledge.meanings import GLOSSARY_CHARS
from mcp_server.pages import PAGE_CHARS
from mcp_server.searched_values import HITS
from mcp_server.sources import SOURCES_CHARS
from mcp_server.wire import FRAME_CHARS, LEAST_FRAME_CHARS, LINES_CHARS

ERROR_CHARS = 2 * WORDS_CHARS + 500
"""An error: message, hint, and what is of a fixed length."""

_AROUND = 500
"""Keys, a handle, a next step: what is of a fixed length in an answer."""

_BESIDE_ROWS: dict[str, int] = {
    "query": FRAME_CHARS,
    "ask": FRAME_CHARS,
    "query_result": FRAME_CHARS,
    "get_job": FRAME_CHARS,
    "cancel_job": FRAME_CHARS,
    "answer_job": FRAME_CHARS,
}
_WHOLE: dict[str, int] = {
    "list_sources": SOURCES_CHARS + _AROUND,
    "search_schema": WHOLE_CHARS
    + 2 * JOINS_CHARS
    + GLOSSARY_CHARS
    + EXAMPLES_CHARS
    + 16_000,  # the last: names of tables
    "describe_tables": 24_000,
    "search_values": HITS * 2_000 + 4 * _AROUND,
    "get_rows": PAGE_CHARS + COLUMN_LIST_CHARS + 4 * _AROUND,
    "export": 4 * _AROUND,
    "save_verified": 4 * _AROUND,
    "list_jobs": LINES_CHARS + _AROUND,
}


def most_chars(tool: str, *, preview_chars: int, jobs: int = 1) -> int:
    """The most that an answer of `tool` takes.

    Args:
        tool: its name.
        preview_chars: the most characters of rows: the setting of that name, or a smaller ``max_chars``.
        jobs: how many jobs one ``get_job`` asks for; they share both.

    Raises:
        KeyError: the tool has no budget.
    """
    if tool in _WHOLE:
        return _WHOLE[tool]
    frame = _BESIDE_ROWS[tool]
    return preview_chars + (frame if jobs == 1 else max(frame, jobs * LEAST_FRAME_CHARS) + _AROUND)
