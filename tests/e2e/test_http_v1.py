"""``/v1`` of a real server, as a program uses it: one server for all tests, plain HTTP for each."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pyarrow as pa
import pyarrow.parquet
import pytest
from documents import document
from served import HttpServer, make_shop

SLOW = "with recursive r(n) as (select 1 union all select n + 1 from r where n < 400000000) select count(*) as n from r"
FIVE_THOUSAND = "with recursive r(n) as (select 1 union all select n + 1 from r where n < 5000) select n from r"
TWO_SECONDS = FIVE_THOUSAND.replace("5000", "5000000").replace("select n from", "select count(*) as n from")


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("home")
    with HttpServer(home, ["--db", str(make_shop(home / "shop.sqlite"))]) as server:
        yield server.origin
    assert b"Traceback" not in (home / "log").read_bytes()


@pytest.fixture(scope="module")
def restarted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    """Another server, for tests that stop it and start it again; it denies the ids of customers."""
    home = tmp_path_factory.mktemp("home")
    config = home / "awaitsql.toml"
    config.write_text(
        f"""
        [executor]
        state_dir = "{home}/state"
        [executor.sources.shop]
        kind = "sqlite"
        path = "{make_shop(home / "shop.sqlite")}"
        [[mcp_server.policies.shop]]
        [mcp_server.policies.shop.protect.customers]
        deny = ["id"]
        """
    )
    with HttpServer(home, ["--config", str(config)]) as server:
        yield server


@pytest.fixture
def client(origin: str) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=origin, timeout=60) as made:
        yield made


def submit(client: httpx2.Client, sql: str, **more: Any) -> dict[str, Any]:
    """The view of a job that was taken."""
    answer = client.post("/v1/jobs", json={"sql": sql, "source": "shop", **more})
    assert answer.status_code in {200, 202}, answer.text
    return answer.json()


def finished(client: httpx2.Client, sql: str, **more: Any) -> dict[str, Any]:
    """The view of a job that succeeded."""
    view = submit(client, sql, wait_seconds=40, **more)
    assert view["state"] == "succeeded", view
    return view


def problem(answer: httpx2.Response) -> tuple[int, str]:
    """The status and the code of a refusal, whose shape is looked at."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    told = answer.json()
    assert told["status"] == answer.status_code
    assert {"type", "title", "detail", "code", "next_step"} <= set(told)
    return answer.status_code, told["code"]


def test_a_statement_whose_rows_come_in_time_is_answered_with_them(client: httpx2.Client) -> None:
    answer = client.post("/v1/jobs", json={"sql": "select count(*) as n from orders", "wait_seconds": 30})
    view = answer.json()
    assert answer.status_code == 200
    assert view["rows"] == [[120]]
    assert answer.headers["location"] == f"/v1/jobs/{view['job_id']}"
    assert client.get(answer.headers["location"]).json()["rows"] == [[120]]
    assert view["result_uri"] == f"/v1/jobs/{view['job_id']}/rows"


def test_a_slow_statement_is_taken_and_followed_and_stopped(client: httpx2.Client) -> None:
    answer = client.post("/v1/jobs", json={"sql": SLOW, "source": "shop"})
    view = answer.json()
    assert answer.status_code == 202
    assert int(answer.headers["retry-after"]) >= 1
    assert f"/v1/jobs/{view['job_id']}" in view["next_step"]
    path = answer.headers["location"]
    assert client.get(path, params={"wait_seconds": 0.5}).json()["state"] in {"queued", "running"}
    assert client.delete(path).status_code in {200, 202}
    ended = client.get(path, params={"wait_seconds": 20})
    assert ended.json()["state"] == "cancelled"
    assert "retry-after" not in ended.headers
    assert client.delete(path).status_code == 200


def test_a_job_that_did_not_change_is_not_told_again(client: httpx2.Client) -> None:
    path = f"/v1/jobs/{finished(client, 'select 17 as n')['job_id']}"
    first = client.get(path)
    again = client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""
    assert client.get(path, headers={"If-None-Match": '"other", W/"another"'}).status_code == 200
    assert client.get(path, headers={"If-None-Match": f'"other", {first.headers["etag"][2:]}'}).status_code == 304


def test_a_running_job_has_another_tag_than_the_finished_one(client: httpx2.Client) -> None:
    path = f"/v1/jobs/{submit(client, SLOW)['job_id']}"
    running = client.get(path)
    client.delete(path)
    ended = client.get(path, params={"wait_seconds": 20}, headers={"If-None-Match": running.headers["etag"]})
    assert ended.status_code == 200
    assert ended.json()["state"] == "cancelled"


def test_the_same_key_gives_the_same_job_and_other_sql_a_conflict(client: httpx2.Client) -> None:
    first = submit(client, "select 1 as n", idempotency_key="v1 once")
    again = submit(client, "select 1 as n", idempotency_key="v1 once")
    other = client.post("/v1/jobs", json={"sql": "select 2 as n", "idempotency_key": "v1 once"})
    assert first["job_id"] == again["job_id"]
    assert problem(other) == (409, "idempotency_conflict")


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("drop table orders", "not_read_only"),
        ("select 1; select 2", "many_statements"),
        ("select from where", "unparseable"),
        ("select * from ordrs", "unknown_table"),
    ],
)
def test_sql_that_may_not_run_is_a_problem_with_the_tools_code(client: httpx2.Client, sql: str, code: str) -> None:
    answer = client.post("/v1/jobs", json={"sql": sql})
    assert problem(answer) == (422, code)


def test_a_misspelt_table_has_a_place_and_a_suggestion(client: httpx2.Client) -> None:
    told = client.post("/v1/jobs", json={"sql": "select *\nfrom ordrs"}).json()
    assert "orders" in told["hint"]
    assert (told["line"], told["column"], told["position"]) == (2, 6, 15)
    assert "/v1/sources/" in told["next_step"]


def test_what_cannot_be_understood_is_told(client: httpx2.Client) -> None:
    def post(body: bytes | str, kind: str = "application/json") -> httpx2.Response:
        return client.post("/v1/jobs", content=body, headers={"Content-Type": kind})

    assert problem(client.post("/v1/jobs", json={"sql": "select 1", "limitt": 3})) == (400, "invalid_arguments")
    assert "max_rows" in client.post("/v1/jobs", json={"sql": "select 1", "limitt": 3}).json()["hint"]
    assert problem(client.post("/v1/jobs", json={"sql": "select 1", "max_rows": "3"})) == (400, "invalid_arguments")
    assert problem(client.post("/v1/jobs", json={"sql": None})) == (400, "invalid_arguments")
    assert problem(post(b"{")) == (400, "invalid_arguments")
    assert problem(post(b"[1]")) == (400, "invalid_arguments")
    assert problem(post("[" * 100_000)) == (400, "invalid_arguments")
    assert problem(post(b'{"sql": "\\ud800"}'))[0] in {400, 422}
    assert problem(post("sql=select+1", "application/x-www-form-urlencoded")) == (415, "unsupported_media_type")
    assert problem(post(json.dumps({"sql": "x" * 1_000_001}))) == (413, "body_too_large")
    assert problem(client.post("/v1/jobs", json={"sql": "select 1", "source": "shopp"})) == (404, "unknown_source")
    assert problem(client.get("/v1/jobs", params={"limit": 0})) == (400, "invalid_arguments")
    assert problem(client.get("/v1/jobs?limit=1&limit=2")) == (400, "invalid_arguments")
    assert problem(client.get("/v1/jobs?page=1")) == (400, "invalid_arguments")
    assert problem(client.get("/v1/nothing")) == (404, "no_such_path")
    refused = client.put("/v1/jobs", json={})
    assert problem(refused) == (405, "method_not_allowed")
    assert set(refused.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}


def test_a_truncated_handle_is_told_apart_from_an_unknown_one(client: httpx2.Client) -> None:
    handle = finished(client, "select 1 as one")["job_id"]
    assert problem(client.get(f"/v1/jobs/{handle[:-1]}")) == (404, "invalid_handle")
    for path in ("", "/rows", "/events"):
        assert problem(client.get(f"/v1/jobs/00000-00000-00000-00000-0{path}")) == (404, "job_not_found")
    assert problem(client.delete("/v1/jobs/00000-00000-00000-00000-0")) == (404, "job_not_found")
    assert problem(client.post("/v1/jobs/00000-00000-00000-00000-0/export")) == (404, "job_not_found")


def test_a_statement_that_fails_is_a_job_that_failed_and_its_rows_are_a_problem(client: httpx2.Client) -> None:
    view = submit(client, "select abs(-9223372036854775808) as n", wait_seconds=30)
    assert (view["state"], view["error"]["code"]) == ("failed", "statement_failed")
    assert problem(client.get(f"/v1/jobs/{view['job_id']}/rows")) == (422, "statement_failed")


def test_where_nobody_signs_in_metrics_are_open_to_this_machine_and_to_no_page_elsewhere(client: httpx2.Client) -> None:
    assert "awaitsql_broker_up 1.0" in client.get("/metrics").text
    assert client.get("/metrics", headers={"Host": "rebound.example"}).status_code == 421
    assert client.get("/metrics", headers={"Origin": "https://elsewhere.example"}).status_code == 403


def test_jobs_are_listed_newest_first(client: httpx2.Client) -> None:
    handle = finished(client, "select 4712 as n")["job_id"]
    [newest] = client.get("/v1/jobs", params={"limit": 1}).json()["jobs"]
    assert newest["job_id"] == handle
    assert "4712" in newest["sql"]


@pytest.mark.parametrize("limit", [7_000, 900])
def test_pages_of_every_kind_join_to_the_whole_result(client: httpx2.Client, limit: int) -> None:
    handle = finished(client, FIVE_THOUSAND)["job_id"]

    def pages(accept: str) -> Iterator[httpx2.Response]:
        path: str | None = f"/v1/jobs/{handle}/rows?limit={limit}"
        while path is not None:
            answer = client.get(path, headers={"Accept": accept})
            assert answer.status_code == 200
            assert answer.headers["content-type"].partition(";")[0] == accept
            yield answer
            path = answer.links.get("next", {}).get("url")

    as_json = [row[0] for page in pages("application/json") for row in page.json()["rows"]]
    as_csv = [int(row[0]) for page in pages("text/csv") for row in list(csv.reader(io.StringIO(page.text)))[1:]]
    arrow = [pa.ipc.open_stream(p.content).read_all() for p in pages("application/vnd.apache.arrow.stream")]
    as_arrow = [n for table in arrow for n in table.column("n").to_pylist()]
    assert as_json == as_csv == as_arrow == list(range(1, 5_001))
    assert len(arrow) == (1 if limit == 7_000 else 6)
    assert arrow[0].schema.field("n").type == pa.int64()


def test_columns_are_chosen_and_cells_are_whole(client: httpx2.Client) -> None:
    handle = finished(client, "select id, note, total from orders order by id")["job_id"]
    page = client.get(f"/v1/jobs/{handle}/rows", params={"columns": ["note", "id"], "limit": 2}).json()
    assert page["rows"] == [["x" * 500, 1], ["x" * 500, 2]]
    answer = client.get(f"/v1/jobs/{handle}/rows?columns=total&limit=2", headers={"Accept": "text/csv"})
    assert answer.text.splitlines() == ['"total"', '"1.5"', '"3"']
    assert "columns=total" in answer.links["next"]["url"]
    assert problem(client.get(f"/v1/jobs/{handle}/rows?columns=totl")) == (422, "invalid_cursor")
    assert problem(client.get(f"/v1/jobs/{handle}/rows", headers={"Accept": "image/png"})) == (406, "not_acceptable")
    assert problem(client.get(f"/v1/jobs/{handle}/rows?cursor=zz")) == (422, "invalid_cursor")


def events(client: httpx2.Client, handle: str, **headers: str) -> Iterator[dict[str, str]]:
    """The events of a job as they come, each as its fields."""
    with client.stream("GET", f"/v1/jobs/{handle}/events", headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        event: dict[str, str] = {}
        for line in answer.iter_lines():
            if line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                event[name] = value
            elif event:
                yield event
                event = {}


@pytest.mark.parametrize("columns", [1, 3])
def test_a_page_says_how_many_cells_it_shows_cut(client: httpx2.Client, columns: int) -> None:
    cell = "hex(zeroblob(30000))"
    named = ", ".join(f"{cell} as c{n}" for n in range(columns))
    path = f"/v1/jobs/{finished(client, f'select {named}')['job_id']}/rows"
    page = client.get(path).json()
    whole = client.get(path, headers={"Accept": "text/csv"}).text
    assert all(len(shown) < 60_000 for shown in page["rows"][0])
    assert [warning.split()[0] for warning in page["warnings"]] == [str(columns)]
    assert whole.splitlines()[1] == ",".join(['"' + "0" * 60_000 + '"'] * columns)
    assert client.get(f"/v1/jobs/{finished(client, 'select 1 as n')['job_id']}/rows").json()["warnings"] == []


def test_a_server_that_stops_ends_its_streams_in_order_and_whoever_connects_again_hears_what_was_missed(
    restarted: HttpServer,
) -> None:
    with httpx2.Client(base_url=restarted.origin, timeout=60) as client:
        jobs = [submit(client, sql)["job_id"] for sql in (TWO_SECONDS, SLOW)]
        seen = [next(events(client, job))["id"] for job in jobs]
        heard = events(client, jobs[1])
        assert next(heard)["event"] == "progress"
        stopping = threading.Thread(target=restarted.stop)
        stopping.start()
        assert "end" not in [event["event"] for event in heard]
        stopping.join()
    assert '"level": "error"' not in (restarted.home / "log").read_text()
    restarted.start()
    with httpx2.Client(base_url=restarted.origin, timeout=60) as client:
        goes_on = list(events(client, jobs[0], **{"Last-Event-ID": seen[0]}))
        client.delete(f"/v1/jobs/{jobs[1]}")
        stopped = list(events(client, jobs[1], **{"Last-Event-ID": seen[1]}))
        last = client.get(f"/v1/jobs/{jobs[1]}/events", headers={"Last-Event-ID": stopped[-1]["id"]})
    assert [json.loads(told[-1]["data"])["state"] for told in (goes_on, stopped)] == ["succeeded", "cancelled"]
    assert [told[-1]["event"] for told in (goes_on, stopped)] == ["end", "end"]
    assert seen[0] != goes_on[0]["id"]
    assert len({event["id"] for event in goes_on[-2:]}) == len(goes_on[-2:])
    assert last.status_code == 204


def test_the_changes_of_a_job_come_as_events_until_its_end(client: httpx2.Client) -> None:
    handle = submit(client, TWO_SECONDS)["job_id"]
    told = list(events(client, handle))
    assert [event["event"] for event in told[:-1]] == ["progress"] * (len(told) - 1)
    assert told[-1]["event"] == "end"
    assert json.loads(told[-1]["data"])["state"] == "succeeded"
    assert len({event["id"] for event in told}) == len(told)
    # a browser connects again after the end, and is told to leave it at that
    again = client.get(f"/v1/jobs/{handle}/events", headers={"Last-Event-ID": told[-1]["id"]})
    assert again.status_code == 204
    # one that lost the connection before hears the end
    [end] = events(client, handle, **{"Last-Event-ID": told[0]["id"]})
    assert end["id"] == told[-1]["id"]


def test_a_cancelled_job_ends_its_events(client: httpx2.Client) -> None:
    handle = submit(client, SLOW)["job_id"]
    heard = events(client, handle)
    assert next(heard)["event"] == "progress"
    client.delete(f"/v1/jobs/{handle}")
    *_, end = heard
    assert json.loads(end["data"])["state"] == "cancelled"


def test_whoever_leaves_before_the_handle_came_takes_the_job_along_unless_there_is_a_key(origin: str) -> None:
    with httpx2.Client(base_url=origin, timeout=60) as client:
        for key, ends in ((None, "cancelled"), ("comes back", "running")):
            with pytest.raises(httpx2.ReadTimeout):
                client.post("/v1/jobs", json={"sql": SLOW, "wait_seconds": 40, "idempotency_key": key}, timeout=1.5)
            [job] = client.get("/v1/jobs", params={"limit": 1}).json()["jobs"]
            path = f"/v1/jobs/{job['job_id']}"
            if key is None:
                assert client.get(path, params={"wait_seconds": 20}).json()["state"] == ends
            else:
                assert client.get(path, params={"wait_seconds": 1}).json()["state"] == ends
                assert submit(client, SLOW, idempotency_key=key)["job_id"] == job["job_id"]
                client.delete(path)


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        ("csv", "text/csv; charset=utf-8"),
        ("json", "application/jsonl"),
        ("parquet", "application/vnd.apache.parquet"),
        ("arrow", "application/vnd.apache.arrow.file"),
    ],
)
def test_a_whole_result_is_fetched_by_whoever_has_the_link(client: httpx2.Client, form: str, kind: str) -> None:
    handle = finished(client, FIVE_THOUSAND)["job_id"]
    made = client.post(f"/v1/jobs/{handle}/export", params={"format": form})
    link = made.json()
    assert made.status_code == 201
    assert made.headers["location"] == link["url"]
    assert link["rows"] == 5_000
    head = client.head(link["url"])
    whole = client.get(link["url"])
    assert head.headers["content-length"] == str(link["bytes"]) == str(len(whole.content))
    assert whole.headers["content-type"] == kind
    assert whole.headers["content-disposition"].startswith("attachment")
    if form == "csv":
        assert whole.text.splitlines()[1:] == [str(n) for n in range(1, 5_001)]
    elif form == "json":
        assert [json.loads(line)["n"] for line in whole.text.splitlines()] == list(range(1, 5_001))
    else:
        source = pa.BufferReader(whole.content)
        table = pa.parquet.read_table(source) if form == "parquet" else pa.ipc.open_file(source).read_all()
        assert table.column("n").to_pylist() == list(range(1, 5_001))


def test_a_download_goes_on_where_it_stopped(client: httpx2.Client) -> None:
    handle = finished(client, FIVE_THOUSAND)["job_id"]
    url = client.post(f"/v1/jobs/{handle}/export").json()["url"]
    whole = client.get(url)
    first = client.get(url, headers={"Range": "bytes=0-99"})
    rest = client.get(url, headers={"Range": "bytes=100-", "If-Range": first.headers["etag"]})
    assert (first.status_code, rest.status_code) == (206, 206)
    assert first.content + rest.content == whole.content
    beyond = client.get(url, headers={"Range": "bytes=10000000-"})
    assert problem(beyond) == (416, "range_not_satisfiable")
    assert beyond.headers["content-range"] == f"bytes */{len(whole.content)}"


def test_a_link_that_was_tampered_with_leads_nowhere(client: httpx2.Client) -> None:
    handle = finished(client, "select 1 as n")["job_id"]
    url = client.post(f"/v1/jobs/{handle}/export").json()["url"]
    changed = url[:-5] + ("A" if url[-5] != "A" else "B") + url[-4:]
    for wrong in (changed, url.partition(".")[0], "/v1/exports/nonsense"):
        assert problem(client.get(wrong)) == (404, "invalid_link")


def test_results_are_queried_without_the_database(client: httpx2.Client) -> None:
    numbers = finished(client, FIVE_THOUSAND)["job_id"]
    names = finished(client, "select id, name from customers")["job_id"]
    sql = (
        "select r2.name, count(*) as n, max(r1.n) as last from r1 join r2 on r1.n % 2 = r2.id % 2 group by 1 order by 1"
    )
    answer = client.post("/v1/results/query", json={"sql": sql, "job_ids": [numbers, names], "wait_seconds": 30})
    view = answer.json()
    assert answer.status_code == 200
    assert view["rows"] == [["Ada", 2_500, 4_999], ["Grace", 2_500, 5_000]]
    assert view["source"] == "job results"
    assert answer.headers["location"] == f"/v1/jobs/{view['job_id']}"
    assert client.get(f"{answer.headers['location']}/rows").json()["rows"] == view["rows"]
    at_once = client.post("/v1/results/query", json={"sql": "select 1 as n from r1", "job_ids": [view["job_id"]]})
    assert at_once.status_code in {200, 202}
    ended = client.get(at_once.headers["location"], params={"wait_seconds": 30}).json()
    assert (ended["state"], ended["row_count"]) == ("succeeded", 2)


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({"sql": "select * from orders"}, (422, "unknown_table")),
        ({"sql": "select * from r2"}, (422, "unknown_table")),
        ({"sql": "select nme from r1"}, (422, "unknown_column")),
        ({"sql": "copy r1 to '/tmp/r1.csv'"}, (422, "not_read_only")),
        ({"sql": "select * from read_csv('/etc/passwd')"}, (422, "function_not_allowed")),
        ({"sql": "select 1", "job_ids": ["00000-00000-00000-00000-0"]}, (404, "job_not_found")),
        ({"sql": "select 1", "job_ids": []}, (400, "invalid_arguments")),
        ({"sql": "select 1", "job_ids": "all"}, (400, "invalid_arguments")),
        ({"sql": "select 1", "job_ids": ["x"] * 21}, (400, "invalid_arguments")),
        ({"sql": "select 1", "source": "shop"}, (400, "invalid_arguments")),
    ],
)
def test_what_cannot_be_asked_of_results_is_refused(
    client: httpx2.Client, body: dict[str, Any], refusal: tuple[int, str]
) -> None:
    handle = finished(client, "select id from customers")["job_id"]
    assert problem(client.post("/v1/results/query", json={"job_ids": [handle], **body})) == refusal


def test_a_result_that_is_not_there_yet_cannot_be_queried(client: httpx2.Client) -> None:
    slow = submit(client, SLOW)["job_id"]
    answer = client.post("/v1/results/query", json={"sql": "select * from r1", "job_ids": [slow]})
    client.delete(f"/v1/jobs/{slow}")
    assert problem(answer)[1] == "result_expired"
    assert "get_job" not in answer.text


def test_a_finished_job_tells_where_its_file_is_in_every_format(client: httpx2.Client) -> None:
    view = finished(client, FIVE_THOUSAND)
    path = f"/v1/jobs/{view['job_id']}"
    urls = client.get(path).json()["download_urls"]
    assert list(urls) == ["csv", "json", "parquet", "arrow"]
    assert client.get(urls["csv"]).text.splitlines()[1:] == [str(n) for n in range(1, 5_001)]
    assert client.get(urls["parquet"]).content.startswith(b"PAR1")
    assert client.get(urls["json"], headers={"Range": "bytes=0-7"}).content == b'{"n":1}\n'
    slow = submit(client, SLOW)
    assert "download_urls" not in slow
    client.delete(f"/v1/jobs/{slow['job_id']}")


def test_a_link_ends_with_the_policy_it_was_made_under(restarted: HttpServer) -> None:
    with httpx2.Client(base_url=restarted.origin, timeout=60) as client:
        view = finished(client, "select name from customers")
        links = [client.post(f"/v1/jobs/{view['job_id']}/export").json()["url"], view["download_urls"]["csv"]]
        assert [client.get(link).text for link in links] == ['"name"\n"Ada"\n"Grace"\n'] * 2
    restarted.stop()
    config = restarted.home / "awaitsql.toml"
    config.write_text(config.read_text().replace('"id"', '"id", "name"'))
    restarted.start()
    with httpx2.Client(base_url=restarted.origin, timeout=60) as client:
        assert [problem(client.get(link)) for link in links] == [(410, "link_expired")] * 2
        assert problem(client.post(f"/v1/jobs/{view['job_id']}/export"))[1] == "policy_changed"


def test_sources_and_tables_are_described(client: httpx2.Client) -> None:
    [source] = client.get("/v1/sources").json()["sources"]
    assert (source["name"], source["kind"], source["ready"]) == ("shop", "sqlite", True)
    listed = client.get("/v1/sources/shop/tables").json()
    assert {"customers", "orders"} <= {table["name"] for table in listed["tables"]}
    [orders] = client.get("/v1/sources/shop/tables", params={"tables": "orders"}).json()["tables"]
    assert [column["name"] for column in orders["columns"]] == ["id", "customer_id", "total", "note"]
    found = client.get("/v1/sources/shop/tables", params={"columns": "TOT*"}).json()["tables"]
    assert [[column["name"] for column in table["columns"]] for table in found] == [["total"]]
    two = client.get("/v1/sources/shop/tables", params={"tables": ["orders", "customers"], "columns": "total"}).json()
    assert two["without_such_columns"] == ["customers"]
    none = client.get("/v1/sources/shop/tables", params={"columns": "nothing"})
    assert problem(none) == (422, "unknown_column")
    assert problem(client.get("/v1/sources/shopp/tables")) == (404, "unknown_source")
    unknown = client.get("/v1/sources/shop/tables", params={"tables": "ordrs"})
    assert problem(unknown) == (422, "unknown_table")
    assert "orders" in unknown.json()["hint"]


@pytest.mark.parametrize(
    ("header", "refusal"),
    [
        ({"Host": "evil.example"}, (421, "host_refused")),
        ({"Origin": "http://evil.example"}, (403, "origin_refused")),
    ],
)
def test_a_page_from_elsewhere_reaches_nothing(
    client: httpx2.Client, header: dict[str, str], refusal: tuple[int, str]
) -> None:
    assert problem(client.get("/v1/jobs", headers=header)) == refusal
    assert problem(client.get("/v1/exports/x", headers=header)) == refusal
    assert problem(client.post("/v1/jobs", json={"sql": "select 1"}, headers=header)) == refusal


def test_nothing_of_an_answer_is_in_the_tools_words(client: httpx2.Client) -> None:
    told = [
        finished(client, "select id, note from orders"),
        submit(client, "select abs(-9223372036854775808) as n", wait_seconds=30),
        client.get("/v1/jobs/nonsense").json(),
        client.post("/v1/jobs", json={"sql": "select nme from customers"}).json(),
        client.get("/v1/sources/shop/tables").json(),
    ]
    words = json.dumps(told)
    for tool in ("get_job", "get_rows", "list_jobs", "list_sources", "describe_tables", "call query", "Call query"):
        assert tool not in words


def test_the_document_lists_every_request(client: httpx2.Client) -> None:
    listed = [row[0].strip("`").split() for row in document("docs/http.md").rows("Requests")]
    paths = client.get("/v1/openapi.json").json()["paths"]
    assert sorted(map(tuple, listed)) == sorted((m.upper(), path) for path, methods in paths.items() for m in methods)


SCHEMATHESIS = """
[checks.positive_data_acceptance]
# what is well formed may still be no SQL, no job, no source, or a range that a file does not have
expected-statuses = ["2xx", "304", "404", "406", "409", "410", "416", "422"]
[checks.use_after_free]
# a cancelled job is there still
enabled = false
"""


@pytest.mark.timeout(300)
def test_the_server_does_what_its_description_says(origin: str, tmp_path: Path) -> None:
    (tmp_path / "schemathesis.toml").write_text(SCHEMATHESIS)
    command = [str(Path(sys.executable).with_name("schemathesis")), "--no-color", "run", f"{origin}/v1/openapi.json"]
    how = ["--generation-deterministic", "--max-examples", "20", "--phases", "examples,coverage,fuzzing,stateful"]
    told = subprocess.run([*command, *how], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout[-5_000:]
    assert "Operations:       12 selected / 12 total" in told.stdout
