"""Questions, from the door to the rows: real broker, workers, guard and database; only the model is a scripted double.

The double speaks HTTP as an OpenAI-compatible server does, so the provider's own client is what runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from machines import COUNT_FOR_EVER, make_shop
from model_double import ModelDouble, Reply, ask_back, cannot, in_turn, model_server, sql
from served import free_port

from executor import Answer, ErrorCode, InputFailed, Job, JobState, WorkerFleet
from mcp_server.errors import CallCode, CallRefused
from mcp_server.knowledge.verified import VerifiedQueries
from mcp_server.machine import running_machine
from mcp_server.principal import LOCAL, Principal
from mcp_server.questions import Asking, submitted_question
from mcp_server.reach import Reach
from mcp_server.settings import load_settings
from mcp_server.wire import job_view

pytestmark = pytest.mark.asyncio(loop_scope="module")

COUNT = "SELECT COUNT(*) AS n FROM orders"
SLOW = COUNT_FOR_EVER.replace("SELECT COUNT(*)", "SELECT COUNT(*) + (SELECT COUNT(*) FROM orders)")


class Desk:
    """Where questions about one source are asked."""

    def __init__(
        self, reach: Reach, double: ModelDouble, source: str, *, questions: WorkerFleet, metrics_port: int
    ) -> None:
        self.reach = reach
        self.questions = questions
        self.double = double
        self.source = source
        self.metrics_port = metrics_port

    async def submit(self, question: str, *, principal: Principal = LOCAL, **more: Any) -> Job:
        return await submitted_question(self.reach, principal, Asking(question=question, source=self.source, **more))

    async def until(self, job: Job, *states: str, timeout_s: float = 60) -> Job:
        async for seen in self.reach.executor.watch(job.id, owner=job.owner, timeout_s=timeout_s):
            if seen.state in states:
                return seen
        raise AssertionError(f"not {states}: {seen.state} {seen.stage} {seen.error!r}")

    async def executing(self, job: Job) -> Job:
        """The job once its statement is the next thing to come."""
        async for seen in self.reach.executor.watch(job.id, owner=job.owner, timeout_s=40):
            if seen.stage == "executing" or seen.is_finished:
                break
        return seen

    async def ask(self, question: str, **more: Any) -> Job:
        job = await self.submit(question, **more)
        return await self.until(job, "succeeded", "failed", "cancelled")

    def view(self, job: Job) -> dict[str, Any]:
        return job_view(job, max_chars=8000).content()

    async def children(self, job: Job) -> list[Job]:
        import redis.asyncio

        executor = self.reach.executor
        async with redis.asyncio.Redis.from_url(executor._broker_url, decode_responses=True) as broker:
            ids = await broker.lrange(f"{executor.settings.namespace}:children:{job.id}", 0, -1)
        return [await executor.get(child, owner=job.owner) for child in ids]

    def metrics(self) -> list[str]:
        """What the worker of statements tells, and that of questions."""
        told = [httpx2.get(f"http://127.0.0.1:{self.metrics_port + n}/metrics") for n in range(2)]
        return [answer.raise_for_status().text for answer in told]


Opened = Callable[..., Desk]


@asynccontextmanager
async def room(
    folder: Path, *, own: tuple[str, ...] = (), shops: int = 3, rest: str = "", **ask: Any
) -> AsyncIterator[Opened]:
    """A running machine; what it gives opens a desk over a shop that nobody asked about, with a model by the script.

    The shops called `own` are opened by their names only.
    """
    shop = make_shop(folder)
    names = [*own, *(f"shop_{n}" for n in range(shops))]
    for name in names:
        shutil.copy(shop, folder / f"{name}.sqlite")
    if "states" in own:
        with closing(sqlite3.connect(folder / "states.sqlite")) as made:
            made.executescript(
                "ALTER TABLE orders ADD state TEXT; UPDATE orders SET state = iif(id % 9, 'paid', 'cancelled')"
            )
    unused = iter(names[len(own) :])
    port = two_free_ports()
    with model_server(in_turn(sql(COUNT))) as (double, base_url):
        told = {"model": "scripted", "base_url": base_url, "request_retries": 1, **ask}
        lines = "\n".join(f"{name} = {json.dumps(value)}" for name, value in told.items())
        sources = "".join(
            f'[executor.sources.{name}]\nkind = "sqlite"\npath = "{folder / name}.sqlite"\n' for name in names
        )
        file = folder / "awaitsql.toml"
        file.write_text(
            f'[executor]\nstate_dir = "{folder / "state"}"\nlease_s = 2\nbeat_s = 0.5\nclaim_timeout_s = 2\n'
            f"metrics_port = {port}\n{sources}[mcp_server.ask]\n{lines}\n{rest}"
        )
        settings = load_settings(config=file, databases=(), environ={})
        async with running_machine(settings, workers=1, submits=True, questions=True) as machine:
            reach = Reach(
                executor=machine.executor,
                settings=settings.mcp_server,
                policies=machine.policies,
                farewells=machine.farewells,
            )

            def opened(script: Callable[[str], Reply], source: str | None = None) -> Desk:
                double.script, double.requests = script, []
                return Desk(reach, double, source or next(unused), questions=machine.questions, metrics_port=port)

            yield opened


def two_free_ports() -> int:
    """The first of two neighbours that nobody listens on."""
    while True:
        port = free_port()
        with contextlib.suppress(OSError), socket.socket() as neighbour:
            neighbour.bind(("127.0.0.1", port + 1))
            return port


RULES = """
[mcp_server.cost]
confirm = 1_000_000_000_000
confirm_by = "human"
[mcp_server.glossary]
words = "shop.yaml"
[[mcp_server.policies.dear]]
cost = { confirm = 1000 }
[[mcp_server.policies.dear_to_clients]]
cost = { confirm = 1000, confirm_by = "client" }
[[mcp_server.policies.guarded]]
roles = ["analyst"]
[mcp_server.policies.guarded.protect.orders]
rows = "customer = 'customer 1'"
masks = { amount = "null" }
"""
WORDS = "metrics: [{name: turnover, sql: sum(amount), from: orders}, {name: wages, sql: sum(pay), from: staff}]"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Opened]:
    folder = tmp_path_factory.mktemp("asks")
    (folder / "shop.yaml").write_text(WORDS)
    async with room(
        folder, own=("dear", "dear_to_clients", "guarded", "states", "words"), shops=16, rest=RULES
    ) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hasty_desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Opened]:
    """Where neither a model nor a statement has more than a second, and SQL is written twice at most."""
    limits = "[executor.limits]\nstatement_timeout_s = 1\n"
    async with room(tmp_path_factory.mktemp("asks"), rest=limits, request_timeout_s=1, max_rounds=2) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def short_desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Opened]:
    """Where tokens and money are short."""
    prices = {"input_price": 1.0, "output_price": 30.0, "money_per_day": 0.05}
    tokens = {"tokens_per_day": 4_000, "tokens_per_ask": 3_000, "max_output_tokens": 500}
    async with room(tmp_path_factory.mktemp("asks"), **tokens, **prices) as opened:
        yield opened


async def test_a_wrong_table_is_refused_with_a_suggestion_and_the_next_round_is_right(desk: Opened) -> None:
    script = in_turn(sql("SELECT COUNT(*) AS n FROM orderz"), sql(COUNT, assumptions=["all orders count"]))
    d = desk(script)
    job = await d.ask("How many orders are there?")

    assert job.state is JobState.SUCCEEDED, job.error
    view = d.view(job)
    assert (view["rows"], view["question"]) == ([[5000]], "How many orders are there?")
    assert "COUNT(*)" in view["sql"]
    assert view["assumptions"] == ["all orders count"]
    assert "unknown_table" in d.double.requests[1]
    assert "Did you mean orders?" in d.double.requests[1]
    told = job.notes["generated"]
    assert (told["tokens_in"], told["tokens_out"], told["rounds"], told["model"]) == (200, 40, 2, "scripted")
    assert told["prompt_version"] == "write-2.question-1.sqlite-1"
    assert "orders (table, ~5,000 rows)" in d.double.requests[0], "the first question has a profile, too"


QUERIES = 'awaitsql_run_seconds_count{kind="query",state="succeeded"}'
ASKS = 'awaitsql_run_seconds_count{kind="ask",state="succeeded"}'


def count(told: str, metric: str) -> float:
    """A figure of what is told; 0 where it is not there yet."""
    return next((float(line.split()[-1]) for line in told.splitlines() if line.startswith(metric)), 0.0)


async def test_each_process_of_a_server_has_a_port_for_its_metrics_also_the_one_that_answers(desk: Opened) -> None:
    d = desk(in_turn(sql(COUNT)))
    before = d.metrics()
    job = await d.ask("How many orders are there?")
    statements, questions = d.metrics()

    assert job.state is JobState.SUCCEEDED, job.error
    assert count(statements, QUERIES) == count(before[0], QUERIES) + 1
    assert 'kind="ask"' not in statements
    assert count(questions, ASKS) == count(before[1], ASKS) + 1
    assert f'awaitsql_wait_seconds_count{{source="{d.source}",wait="worker"}} 1.0' in questions
    assert 'kind="query"' not in questions


async def test_a_write_is_refused_and_never_reaches_the_database(hasty_desk: Opened) -> None:
    hidden = "WITH gone AS (DELETE FROM orders RETURNING id) SELECT COUNT(*) FROM gone"
    d = hasty_desk(in_turn(sql(hidden), sql("DELETE FROM orders")))
    job = await d.ask("Remove all orders")
    assert await d.children(job) == []
    d.double.script = in_turn(sql(COUNT))
    assert (await d.ask("How many?")).preview == [[5000]]

    assert job.error is not None
    assert job.error.code is ErrorCode.NO_WORKING_SQL
    assert "not_read_only" in job.error.message


async def test_what_cannot_be_answered_is_said_so(desk: Opened) -> None:
    d = desk(in_turn(cannot("there is nothing about the weather")))
    job = await d.ask("Will it rain?")

    assert job.error is not None
    assert job.error.code is ErrorCode.CANNOT_ANSWER
    assert "weather" in job.error.message


async def test_a_database_error_is_repaired(desk: Opened) -> None:
    script = in_turn(sql("SELECT json_extract('{', '$.a') AS n FROM orders"), sql(COUNT))
    d = desk(script)
    job = await d.ask("How many?")
    children = await d.children(job)

    assert job.preview == [[5000]], job.error
    assert [child.state for child in children] == [JobState.FAILED, JobState.SUCCEEDED]
    assert "statement_failed" in d.double.requests[1]


async def test_a_statement_that_takes_too_long_is_repaired_and_doubted_rows_outlive_the_model(
    hasty_desk: Opened,
) -> None:
    nothing = "SELECT id FROM orders WHERE customer = 'nobody'"
    d = hasty_desk(in_turn(sql(SLOW), sql(COUNT)))
    job = await d.ask("How many?")
    asked = len(d.double.requests)
    d.double.script = in_turn(sql(nothing), Reply(status=400))
    doubted = await d.ask("Which orders has nobody?")

    assert (job.preview, asked) == ([[5000]], 2), job.error
    assert "statement_timeout" in d.double.requests[1]
    assert (doubted.state, doubted.rows) == (JobState.SUCCEEDED, 0), doubted.error


async def test_rows_that_are_doubted_are_asked_about_once_and_the_same_sql_again_stands(desk: Opened) -> None:
    nothing = "SELECT id FROM orders WHERE customer = 'nobody'"
    d = desk(in_turn(sql(nothing)))
    job = await d.ask("Which orders has nobody?")

    assert (job.state, job.rows) == (JobState.SUCCEEDED, 0)
    assert len(d.double.requests) == 2
    assert any("no_rows" in warning for warning in d.view(job)["warnings"])


async def test_a_clarifying_question_waits_for_its_answer_and_goes_on_with_it(desk: Opened) -> None:
    def script(text: str) -> Reply:
        if "came_of_it" not in text and "you_asked" not in text:
            return ask_back("Which customer?", "customer 1", "customer 2")
        return sql("SELECT COUNT(*) AS n FROM orders WHERE customer = 'customer 1'")

    d = desk(script)
    job = await d.submit("How many orders does the customer have?")
    waiting = await d.until(job, "waiting", "failed", "succeeded")
    assert waiting.input_request is not None, waiting.error
    assert waiting.input_request.message == "Which customer?"
    answer = Answer("accept", {"answer": "customer 1"})
    await d.reach.executor.answer(job.id, owner=job.owner, answer=answer)
    job = await d.until(job, "succeeded", "failed")

    assert job.preview == [[100]], job.error
    assert len(d.double.requests) == 2
    assert '"answer": "customer 1"' in d.double.requests[1]


async def test_a_dear_statement_waits_for_a_yes_and_runs_with_it(desk: Opened) -> None:
    d = desk(in_turn(sql(COUNT, assumptions=["all orders"])), "dear")
    job = await d.submit("How many orders are there?")
    waiting = await d.until(job, "waiting", "failed", "succeeded")
    assert waiting.input_request is not None, waiting.error
    assert "about 5,000 rows" in waiting.input_request.message
    view = d.view(waiting)
    assert (view["sql"], view["assumptions"]) == (COUNT, ["all orders"])
    with pytest.raises(InputFailed, match="person"):
        await d.reach.executor.answer(job.id, owner=job.owner, answer=Answer("accept", {"confirm": True}))
    yes = Answer("accept", {"confirm": True}, by="human")
    await d.reach.executor.answer(job.id, owner=job.owner, answer=yes)
    job = await d.until(job, "succeeded", "failed")
    children = await d.children(job)

    assert job.preview == [[5000]], job.error
    assert [child.state for child in children] == [JobState.FAILED, JobState.SUCCEEDED]
    assert len(d.double.requests) == 1


async def test_a_no_to_what_a_statement_costs_has_a_cheaper_one_written_or_ends_the_ask(desk: Opened) -> None:
    def script(text: str) -> Reply:
        if "They said no" not in text:
            return sql(COUNT)
        return cannot("there is no cheaper way") if "altogether" in text else sql("SELECT 5000 AS n")

    d = desk(script, "dear_to_clients")
    for question in ("How many orders, about?", "How many orders altogether?"):
        job = await d.submit(question)
        await d.until(job, "waiting", "failed", "succeeded")
        await d.reach.executor.answer(job.id, owner=job.owner, answer=Answer("decline"))
        job = await d.until(job, "succeeded", "failed")
        if "about" in question:
            assert job.preview == [[5000]], job.error

    assert job.error is not None
    assert job.error.code is ErrorCode.NEEDS_CONFIRMATION


async def test_a_budget_that_is_used_up_ends_the_ask_and_the_next_of_the_same_caller(short_desk: Opened) -> None:
    other = Principal("local", "local", "somebody else")
    dear = Reply("answer_with_sql", {"sql": COUNT}, tokens=(2_930, 20))
    d = short_desk(in_turn(dear))
    first = await d.ask("first")
    assert first.state is JobState.SUCCEEDED, first.error
    second = await d.ask("second")
    assert (await d.ask("of another", principal=other)).state is JobState.SUCCEEDED

    assert second.error is not None
    assert (second.error.code, "today (4,000 tokens)" in second.error.message) == (ErrorCode.BUDGET_EXHAUSTED, True)
    assert len(d.double.requests) == 2


async def test_money_and_the_tokens_of_one_question_are_bounded_too(short_desk: Opened) -> None:
    one, other = Principal("local", "local", "rich in words"), Principal("local", "local", "short of a question")
    right = Reply("answer_with_sql", {"sql": COUNT}, tokens=(100, 1_400))
    d = short_desk(in_turn(right))
    first = await d.ask("first", principal=one)
    assert first.notes["generated"]["cost"] == pytest.approx(0.0421)
    second = await d.ask("second", principal=one)
    assert len(d.double.requests) == 1, "nothing is asked that there is no money for"
    d.double.script = in_turn(Reply("answer_with_sql", {"sql": "SELECT 1 FROM orderz"}, tokens=(1_500, 400)))
    third = await d.ask("third", principal=other)

    assert second.error is not None
    assert (second.error.code, "today (0.05 in money)" in second.error.message) == (ErrorCode.BUDGET_EXHAUSTED, True)
    assert third.error is not None
    assert (third.error.code, "this question" in third.error.message) == (ErrorCode.BUDGET_EXHAUSTED, True)
    assert len(d.double.requests) == 2


async def test_nobody_is_asked_back_a_third_time_and_a_no_is_told(desk: Opened) -> None:
    d = desk(in_turn(ask_back("Which?", "a", "b")))
    job = await d.submit("How many?")
    for name in ("clarify-1", "clarify-2"):
        waiting = await d.until(job, "waiting", "failed", "succeeded")
        assert waiting.input_request is not None, waiting.error
        assert waiting.input_request.name == name
        await d.reach.executor.answer(job.id, owner=job.owner, answer=Answer("decline"))
        async for seen in d.reach.executor.watch(job.id, owner=job.owner, timeout_s=60):
            if seen.is_finished or (seen.input_request is not None and seen.input_request.name != name):
                break
    job = await d.until(job, "failed", "succeeded")

    assert job.error is not None
    assert job.error.code is ErrorCode.NO_WORKING_SQL
    assert '"answer": "They would not say' in d.double.requests[1]
    assert '"answer": "Nobody can be asked again' in d.double.requests[3]


async def test_a_model_that_gives_nothing_usable_is_unavailable_after_a_few_calls(hasty_desk: Opened) -> None:
    right = sql(COUNT)
    unusable = {
        "down": (Reply(status=503), 2),
        "babble": (Reply(text="Sure! Let me think about that."), 3),
        "wrong shape": (Reply("answer_with_sql", {"no": "sql"}), 3),
        "slow": (replace(right, delay_s=8), None),
    }
    d = hasty_desk(in_turn(right))
    for name, (reply, calls) in unusable.items():
        d.double.script, before = in_turn(reply), len(d.double.requests)
        job = await d.ask(f"How many, of one who is {name}?")
        asked = len(d.double.requests) - before
        assert job.error is not None, name
        assert job.error.code is ErrorCode.MODEL_UNAVAILABLE, name
        assert asked == calls if calls is not None else asked <= 3, name
    d.double.script = in_turn(right)
    assert (await d.ask("How many?")).preview == [[5000]]


async def test_cancelled_while_the_model_writes_it_ends_at_once(desk: Opened) -> None:
    d = desk(in_turn(Reply("answer_with_sql", {"sql": COUNT}, delay_s=20)))
    job = await d.submit("How many?")
    assert await asyncio.to_thread(d.double.hangs.wait, 30)
    await d.until(job, "running")
    await d.reach.executor.cancel(job.id, owner=job.owner)
    ended = await d.until(job, "cancelled", timeout_s=5)

    assert ended.state is JobState.CANCELLED


async def test_cancelled_while_its_statement_runs_the_database_stops(desk: Opened) -> None:
    d = desk(in_turn(sql(SLOW)))
    job = await d.submit("How many?")
    seen = await d.executing(job)
    assert seen.stage == "executing", seen.error
    [child] = await d.children(job)
    await d.until(child, "running")
    await d.reach.executor.cancel(job.id, owner=job.owner)
    assert (await d.until(child, "cancelled")).notes["stop_seen"] == "call"
    assert (await d.until(job, "cancelled")).state is JobState.CANCELLED


async def test_a_policy_holds_for_what_a_model_writes_and_the_model_sees_only_what_is_granted(desk: Opened) -> None:
    analyst = Principal("local", "local", "local", frozenset({"analyst"}))
    stranger = Principal("local", "local", "stranger")
    script = in_turn(sql("SELECT COUNT(*) AS n, COUNT(amount) AS amounts, COUNT(DISTINCT customer) AS c FROM orders"))
    d = desk(script, "guarded")
    job = await d.ask("How many?", principal=analyst)
    with pytest.raises(CallRefused) as unseen:
        await d.submit("How many?", principal=stranger)

    assert job.preview == [[100, 0, 1]], job.error
    assert unseen.value.code is CallCode.UNKNOWN_SOURCE
    assert d.view(job)["policy"] == [{"table": "main.orders", "rows": "filtered", "masked": ["amount"]}]


async def test_the_model_is_told_the_glossary_confirmed_sql_like_it_and_how_the_dialect_differs(desk: Opened) -> None:
    d = desk(in_turn(sql(COUNT)), "words")
    kept = VerifiedQueries(d.reach.executor.settings)
    kept.add(d.source, "What was the turnover?", "SELECT SUM(amount) FROM orders", read={}, by="Ann", is_verified=True)
    kept.add(d.source, "What is turnover?", "SELECT 42 AS guessed", read={}, by="a model", is_verified=False)
    await d.ask("How large is our turnover?")

    [told] = d.double.requests
    assert '{"metric": "turnover", "sql": "sum(amount)", "from": "orders"}' in told
    assert '"SELECT SUM(amount) FROM orders", "verified_by": "Ann"' in told
    assert "wages" not in told
    assert "guessed" not in told
    assert "julianday" in told


async def test_that_cancelled_rows_are_counted_is_said_and_is_no_reason_to_write_again(desk: Opened) -> None:
    d = desk(in_turn(sql(COUNT)), "states")
    await d.reach.shared_profile(d.source, wait_s=40)
    job = await d.ask("How many?")

    assert [w.partition(":")[0] for w in d.view(job)["warnings"]] == ["unfiltered_enum"]
    assert len(d.double.requests) == 1


async def test_a_conversation_carries_earlier_turns_and_is_its_owners_alone(desk: Opened) -> None:
    other = Principal("local", "local", "somebody else")
    d = desk(in_turn(sql(COUNT)))
    first = await d.ask("How many orders?")
    handle = d.view(first)["conversation"]
    second = await d.ask("And now?", conversation=handle)
    with pytest.raises(CallRefused) as unknown:
        await d.submit("And mine?", principal=other, conversation=handle)

    assert second.state is JobState.SUCCEEDED
    assert "How many orders?" not in d.double.requests[0].split("<question>")[0]
    assert '"question": "How many orders?"' in d.double.requests[1]
    assert '"columns": ["n integer"]' in d.double.requests[1]
    assert unknown.value.code is CallCode.UNKNOWN_CONVERSATION


async def test_of_three_candidates_the_result_that_most_agree_on_counts(tmp_path: Path) -> None:
    script = in_turn(sql("SELECT 1 AS n"), sql(COUNT), sql("SELECT SUM(1) AS n FROM orders"))
    async with room(tmp_path, candidates=3) as opened:
        d = opened(script)
        job = await d.ask("How many?")
        children = await d.children(job)

    assert job.preview == [[5000]], job.error
    assert job.notes["generated"]["agreeing"] == 2
    assert len(children) == 3


async def test_the_same_key_is_the_same_ask_and_other_asks_conflict(desk: Opened) -> None:
    d = desk(in_turn(sql(COUNT)))
    first = await d.ask("How many?", idempotency_key="k")
    again = await d.ask("How many?", idempotency_key="k")
    assert first.id == again.id
    assert len(d.double.requests) == 1


async def test_a_killed_worker_of_questions_is_replaced_and_the_statement_runs_once(desk: Opened) -> None:
    slow = SLOW.replace("4000000000", "15000000")
    d = desk(in_turn(sql(slow)))
    job = await d.submit("How many?")
    await d.executing(job)
    [servant] = d.questions.pids()
    os.kill(servant, signal.SIGKILL)
    job = await d.until(job, "succeeded", "failed", timeout_s=90)
    children = await d.children(job)

    assert job.preview == [[15_005_000]], job.error
    assert len(children) == 1
    assert len(d.double.requests) == 1


async def test_a_worker_of_questions_that_is_asked_to_stop_finishes_its_question(desk: Opened) -> None:
    import psutil

    d = desk(in_turn(sql(SLOW.replace("4000000000", "4000000"))))
    job = await d.submit("How many?")
    await d.executing(job)
    [servant] = map(psutil.Process, d.questions.pids())
    servant.terminate()
    job = await d.until(job, "succeeded", "failed", timeout_s=60)
    await asyncio.to_thread(servant.wait, 20)

    assert (job.attempt, job.preview) == (1, [[4_005_000]]), job.error
