"""What a statement ends in where a database is shared: who sent it, in the format of sqlcommenter. Knows no database.

Source: https://google.github.io/sqlcommenter/spec/. Values are percent-encoded, down to letters, digits and ``_.-~``:
nothing in one can end the text it stands in, or the comment.
"""

from __future__ import annotations

from urllib.parse import quote


def sql_comment(job_id: str, traceparent: str) -> str:
    """``/*application='awaitsql',job_id='…',traceparent='00-…'*/``."""
    told = {"application": "awaitsql", "job_id": job_id, "traceparent": traceparent}
    pairs = (f"{key}='{quote(value, safe='')}'" for key, value in sorted(told.items()) if value)
    return f"/*{','.join(pairs)}*/"
