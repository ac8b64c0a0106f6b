"""The short form of the storm: see ``storm.py`` for the long one."""

from __future__ import annotations

import pytest
from storm import flush, mysql_where_it_can_run, storm


@pytest.mark.timeout(300)
async def test_a_storm_loses_no_job_and_ends_none_twice(tmp_path, postgres_url):
    with mysql_where_it_can_run() as mysql:
        seen = await storm(tmp_path, postgres_url, mysql, jobs=300, seed=20261128)

    assert seen["ends"]["succeeded"] > 150
    assert len(seen["blows"]) == (6 if mysql is None else 7)


async def test_a_flushed_broker_forgets_its_jobs_and_leaves_nothing_running(tmp_path, postgres_url):
    job = await flush(tmp_path, postgres_url)

    assert job.is_finished
