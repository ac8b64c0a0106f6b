from __future__ import annotations

import json

import kombu
from kombu.transport.virtual import Channel

from executor.leaving import Leaving
from executor.queue import kombu_url, make_celery
from executor.tickets import TASK, queue_name, ticket_template


def test_the_ticket_is_the_message_that_celery_and_kombu_would_have_sent():
    app = make_celery("ns", "memory://", lambda job_id, attempt: None, Leaving(1))
    sent: list[dict] = []
    with kombu.Connection("memory://", transport_options={"body_encoding": None}) as connection:
        channel: Channel = connection.channel()
        channel._put = lambda queue, message, **_: sent.append(message)  # the last step before the wire
        queue = app.amqp.queues[queue_name("ns")]
        with app.amqp.Producer(channel) as producer:
            app.send_task(TASK, ("JOB", "1"), task_id="TAG", producer=producer, queue=queue, ignore_result=True)
    theirs = sent[0]
    ours = json.loads(ticket_template("ns").replace("@JOB@", "JOB").replace("@ATTEMPT@", "1").replace("@TAG@", "TAG"))

    assert json.loads(ours["body"]) == json.loads(theirs["body"])
    assert ours.keys() == theirs.keys()
    assert ours["content-type"] == theirs["content-type"]
    assert ours["content-encoding"] == theirs["content-encoding"]
    told_by_celery_only_for_people = {"origin", "argsrepr"}
    assert ours["headers"].keys() == theirs["headers"].keys()
    assert {k: v for k, v in ours["headers"].items() if k not in told_by_celery_only_for_people} == {
        k: v for k, v in theirs["headers"].items() if k not in told_by_celery_only_for_people
    }
    assert ours["properties"].keys() == theirs["properties"].keys()
    assert ours["properties"]["delivery_info"]["routing_key"] == theirs["properties"]["delivery_info"]["routing_key"]
    assert ours["properties"]["body_encoding"] == theirs["properties"]["body_encoding"]


def test_a_unix_socket_is_spelt_as_kombu_reads_it():
    assert kombu_url("unix:///tmp/a/b.sock?db=3") == "redis+socket:///tmp/a/b.sock?virtual_host=3"
    assert kombu_url("redis://h:6379/0") == "redis://h:6379/0"
