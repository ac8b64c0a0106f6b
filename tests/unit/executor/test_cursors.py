from __future__ import annotations

import pytest

from executor.cursors import Cursor
from executor.errors import ErrorCode, ResultFailed
from executor.handles import new_job_id


def test_a_cursor_is_read_back():
    cursor = Cursor(new_job_id(), 2, 1000)

    assert Cursor.decode(cursor.encode(), cursor.job_id) == cursor


@pytest.mark.parametrize("text", ["", "x", "####", "YQ", "YS5iLmM", "é"])
def test_text_that_is_no_cursor_is_refused(text):
    with pytest.raises(ResultFailed) as caught:
        Cursor.decode(text, new_job_id())

    assert caught.value.code is ErrorCode.INVALID_CURSOR


def test_a_cursor_of_another_job_is_refused():
    with pytest.raises(ResultFailed) as caught:
        Cursor.decode(Cursor(new_job_id(), 1, 0).encode(), new_job_id())

    assert caught.value.code is ErrorCode.INVALID_CURSOR
