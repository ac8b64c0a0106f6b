"""What a model is told beside the question and the tables: earlier turns, what was tried. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence

from mcp_server.bounds import cut_text
from mcp_server.conversations import Turn
from mcp_server.generate.drafts import Clarification, SqlDraft
from mcp_server.generate.progress import Progress, Try

_FEEDBACK_CHARS = 1_500


def earlier_text(turns: Sequence[Turn]) -> str:
    """Earlier turns of the conversation, or nothing."""
    if not turns:
        return ""
    told = [
        {"question": turn.question, "sql": turn.sql, "columns": turn.columns, "rows": turn.row_count} for turn in turns
    ]
    lines = "\n".join(json.dumps(one, ensure_ascii=False) for one in told)
    return f"<earlier_turns>\n{lines}\n</earlier_turns>\n\n"


def tried_text(progress: Progress) -> str:
    """What was tried for this question and what came of it, or nothing."""
    tried = [one for candidates in progress.rounds for one in candidates]
    if not tried:
        return ""
    lines = "\n".join(json.dumps(_told(one), ensure_ascii=False) for one in tried)
    return (
        f"<tried>\n{lines}\n</tried>\nCorrect what was said of the last one, and keep the rest of what it means. "
        "If its result was doubted and is right all the same, give the same SQL again.\n\n"
    )


def _told(one: Try) -> dict[str, str]:
    if isinstance(one.draft, SqlDraft):
        came = one.feedback or " ".join(one.doubts)
        return {"sql": one.draft.sql, "came_of_it": cut_text(came, _FEEDBACK_CHARS)}
    if isinstance(one.draft, Clarification):
        return {"you_asked": one.draft.question, "answer": cut_text(one.feedback, _FEEDBACK_CHARS)}
    return {"you_said": one.draft.why}
