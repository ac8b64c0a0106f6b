"""What the tools' answers say of the next call, in HTTP's words: ``get_job(…)`` is ``GET /v1/jobs/…`` there."""

from __future__ import annotations

import re

_WORDS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r'get_job\(job_id="([^"]+)", wait_seconds=(\d+)\)', r"GET /v1/jobs/\1?wait_seconds=\2"),
        (r'get_job\(job_id="([^"]+)"\)', r"GET /v1/jobs/\1"),
        (r"get_job on (\S+)", r"GET /v1/jobs/\1"),
        (r'get_rows\(job_id="([^"]+)", cursor="([^"]+)"\)', r"GET /v1/jobs/\1/rows?cursor=\2"),
        (r'get_rows\(job_id="([^"]+)"\)', r"GET /v1/jobs/\1/rows"),
        (r"get_rows\(columns=\[…\]\)", "GET /v1/jobs/{job_id}/rows?columns=NAME"),
        (r"get_rows(?:\(job_id\))?", "GET /v1/jobs/{job_id}/rows"),
        (
            r'answer_job\(job_id="([^"]+)", answer="…"\) with their words, or JSON by asks.answer where it asks '
            "several things",
            r'POST /v1/jobs/\1/answer with {"answer": …} by asks.answer; null declines',
        ),
        (r"answer_job", "POST /v1/jobs/{job_id}/answer"),
        (r'cancel_job\(job_id="([^"]+)"\)', r"DELETE /v1/jobs/\1"),
        (r"get_job", "GET /v1/jobs/{job_id}"),
        (r"list_jobs(?:\(\))?", "GET /v1/jobs"),
        (r"list_sources(?:\(\))?", "GET /v1/sources"),
        (r"describe_tables\(tables=\[[^\]]*\]\)", "GET /v1/sources/{source}/tables?tables=NAME"),
        (r'columns="part\*"', "columns=part*"),
        (r"describe_tables(?:\(\))?", "GET /v1/sources/{source}/tables"),
        (r"query\(sql\)", "POST /v1/jobs"),
        (r"\bcall(ed)? query\b", "POST /v1/jobs"),
        (r"\bCall query\b", "POST /v1/jobs"),
        (r"\bnever query again\b", "never POST it again"),
        (r"\b[Cc]all the tool again\b", "Send the request again"),
        (r"\b[Cc]all (GET|POST)\b", r"\1"),
    )
)


def in_http(text: str) -> str:
    """`text` with every tool call in it as a request."""
    for pattern, words in _WORDS:
        text = pattern.sub(words, text)
    return text
