"""The comment at a statement's end: whatever it is made of, it is one comment, and can be read back."""

from __future__ import annotations

import re
from urllib.parse import unquote

from hypothesis import given
from hypothesis import strategies as st

from executor.tracing.comments import sql_comment


def test_a_comment_says_who_sent_the_statement() -> None:
    traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    told = sql_comment("7KQ4M-XX2PD-9ZTRW-C83HN-V", traceparent)
    assert told == f"/*application='awaitsql',job_id='7KQ4M-XX2PD-9ZTRW-C83HN-V',traceparent='{traceparent}'*/"


@given(st.text(), st.text())
def test_nothing_in_a_value_ends_the_comment_or_begins_another(job_id: str, traceparent: str) -> None:
    told = sql_comment(job_id, traceparent)
    assert re.fullmatch(r"/\*[a-z_]+='[\w.~%-]+'(,[a-z_]+='[\w.~%-]+')*\*/", told, re.ASCII)
    read = {key: unquote(value) for key, value in re.findall(r"([a-z_]+)='([^']*)'", told)}
    assert read.get("job_id", "") == job_id
    assert read.get("traceparent", "") == traceparent
