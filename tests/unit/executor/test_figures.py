"""What the broker answers, as figures: a word that is none of ours names nothing in them."""

from __future__ import annotations

from executor.exposition import metrics_of
from executor.figures import Figures, figures_of

QUEUES = [["generate", 0, "0.000000", 0, 0, 0, 0], ["", 3, "1.500000", 2, 1, 8, 1]]
MEMORY = {"used_memory": 1000, "maxmemory": 0}


def told(*counts: str | int) -> Figures:
    return figures_of([QUEUES, 4, 5, "0.250000", list(counts)], MEMORY)


def test_counters_are_taken_apart_by_their_names():
    figures = told(
        *("submitted query stored", 2, "ended query failed statement_timeout", 3, "ended ask succeeded ", 1),
        *("lease_lost ", 6, "lease_lost generate", 7),
    )

    assert figures.submitted == {("query", "stored"): 2}
    assert figures.ended == {("query", "failed", "statement_timeout"): 3, ("ask", "succeeded", ""): 1}
    assert figures.leases_lost == {"statements": 6, "generate": 7}
    assert figures.memory_limit_bytes is None
    assert (figures.queues[0].name, figures.queues[0].oldest_s, figures.queues[0].zombies) == ("statements", 1.5, 1)


def test_words_that_somebody_else_wrote_are_one_series_however_many_there_are():
    written = [part for n in range(1000) for part in (f"ended kind{n} state{n} secret{n}", 1)]
    figures = told(*written, "submitted secret run", 5, "nobody knows this one at all", 9)

    assert figures.ended == {("other", "other", "other"): 1000}
    assert figures.submitted == {("other", "run"): 5}


def test_a_broker_without_a_bound_has_no_limit_to_compare_with():
    names = {metric.name for metric in metrics_of(told())}

    assert "awaitsql_broker_memory_bytes" in names
    assert "awaitsql_broker_memory_limit_bytes" not in names


def test_a_series_that_alerts_look_at_is_there_before_its_first_event():
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for metric in metrics_of(told())
        for sample in metric.samples
    }

    assert samples["awaitsql_leases_lost_total", "statements"] == 0
    assert samples["awaitsql_jobs_ended_total", "failed", "query", "statement_timeout"] == 0
    assert samples["awaitsql_jobs_submitted_total", "query", "stored"] == 0
