"""What may mislead in rows, from the guard through a real job to the view that a model is given."""

from __future__ import annotations

from machines import OWNER, make_shop, running, settings_for

from mcp_server.policy import Grant, TableGrant
from mcp_server.sql import check
from mcp_server.wire import job_view

WHOLE = Grant(others=TableGrant(), version="whole")


async def test_cautions_of_the_statement_and_of_the_rows_come_with_the_job(tmp_path):
    async with running(settings_for(tmp_path, make_shop(tmp_path))) as machine:
        schema = await machine.executor.source_schema("shop", wait_s=20)

        async def warnings(sql: str) -> list[str]:
            limits = machine.settings.limits.limits()
            statement = check(sql, source_schema=schema, grant=WHOLE, limits=limits)
            job = await machine.executor.submit(statement, owner=OWNER)
            done = await machine.executor.wait(job.id, owner=OWNER, timeout_s=40)
            again = await machine.executor.get(job.id, owner=OWNER)
            assert job_view(again, max_chars=1000).warnings == job_view(done, max_chars=1000).warnings
            return [line.partition(":")[0] for line in job_view(done, max_chars=1000).warnings]

        product = "SELECT count(*) AS n FROM orders a, orders b WHERE a.id < 3 AND b.id < 3"
        assert await warnings(product) == ["cartesian_product"]
        assert await warnings("SELECT id FROM orders WHERE customer = 'Customer 1'") == ["no_rows"]
        assert await warnings("SELECT sum(amount) AS s FROM orders WHERE id < 0") == ["all_null"]
        tie = "SELECT customer, count(*) AS n FROM orders GROUP BY customer ORDER BY n DESC LIMIT 3"
        assert await warnings(tie) == ["limit_tie"]
        assert await warnings("SELECT id, amount FROM orders ORDER BY amount DESC LIMIT 3") == []
