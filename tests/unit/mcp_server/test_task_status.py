from __future__ import annotations

from executor import JobState
from mcp_server.tasks import TASK_STATUS


def test_every_state_of_a_job_has_a_task_status_and_ends_where_the_job_does():
    assert set(TASK_STATUS) == set(JobState)
    terminal = {"completed", "cancelled", "failed"}
    assert all((TASK_STATUS[state] in terminal) == state.is_terminal for state in JobState)


def test_no_job_is_a_failed_task_because_that_word_is_for_json_rpc_errors():
    assert "failed" not in TASK_STATUS.values()
