"""Web pages that ask a real server from a browser: what is sent here is what browsers send (Fetch, 3.2)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from served import HttpServer, make_shop

PAGE = "https://app.example"
PAGES = (PAGE, "http://tools.example:6274", "http://tools.example:80")
OTHERS = ("https://evil.example", "https://app.example.evil.example", "http://app.example", "null")
EXPOSED = {
    "mcp-session-id",
    "mcp-protocol-version",
    "etag",
    "retry-after",
    "www-authenticate",
    "location",
    "link",
    "content-range",
}
SENT = "authorization,content-type,mcp-protocol-version,mcp-session-id,mcp-method,mcp-name,last-event-id"
CONFIG = """
[executor]
state_dir = "{home}/state"
[executor.sources.shop]
kind = "sqlite"
path = "{file}"
[mcp_server]
allowed_origins = ["https://App.example", "http://tools.example:*"]
{more}
"""


def server(home: Path, more: str = "") -> HttpServer:
    config = home / "awaitsql.toml"
    config.write_text(CONFIG.format(home=home, file=make_shop(home / "shop.sqlite"), more=more))
    return HttpServer(home, ["--config", str(config)])


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with server(tmp_path_factory.mktemp("home")) as running:
        yield running.origin


def preflight(url: str, page: str, method: str = "POST", headers: str = SENT) -> httpx2.Response:
    """What a browser asks before it sends a page's request."""
    asks = {"Origin": page, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    return httpx2.options(url, headers=asks)


def readable_by(answer: httpx2.Response, page: str) -> bool:
    return answer.headers.get("access-control-allow-origin") == page and "Origin" in answer.headers["vary"]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize(("path", "method"), [("/mcp", "POST"), ("/mcp", "DELETE"), ("/v1/jobs", "POST")])
def test_a_page_that_is_named_may_ask(origin: str, page: str, path: str, method: str) -> None:
    told = preflight(origin + path, page, method)
    allowed = {header.strip().lower() for header in told.headers["access-control-allow-headers"].split(",")}
    assert told.status_code == 200
    assert readable_by(told, page)
    assert method in told.headers["access-control-allow-methods"]
    assert set(SENT.split(",")) <= allowed
    assert "access-control-allow-credentials" not in told.headers


@pytest.mark.parametrize("page", OTHERS)
@pytest.mark.parametrize("path", ["/mcp", "/v1/jobs"])
def test_any_other_page_may_not_and_is_not_asked_twice(origin: str, page: str, path: str) -> None:
    for told in (preflight(origin + path, page), httpx2.get(origin + path, headers={"Origin": page})):
        assert told.status_code == 403
        assert "access-control-allow-origin" not in told.headers


def test_a_page_reads_the_headers_that_clients_need(origin: str) -> None:
    with httpx2.Client(base_url=origin, headers={"Origin": PAGE}, timeout=60) as page:
        taken = page.post("/v1/jobs", json={"sql": "select id from orders", "wait_seconds": 30})
        rows = page.get(f"{taken.headers['location']}/rows", params={"limit": 10})
        link = page.post(f"{taken.headers['location']}/export").json()["url"]
        part = page.get(link, headers={"Range": "bytes=0-3"})
        wrong = page.post("/v1/jobs", json={"sql": "drop table orders"})
        nothing = page.get("/v1/nothing")
    assert [answer.status_code for answer in (taken, rows, part, wrong, nothing)] == [200, 200, 206, 422, 404]
    for answer in (taken, rows, part, wrong, nothing):
        assert readable_by(answer, PAGE), answer.url
        exposed = {header.strip().lower() for header in answer.headers["access-control-expose-headers"].split(",")}
        assert exposed >= EXPOSED
    assert {"Accept", "Origin"} <= {word.strip() for word in rows.headers["vary"].split(",")}


async def test_a_client_of_the_protocol_works_from_a_page(origin: str) -> None:
    async with (
        httpx2.AsyncClient(headers={"Origin": PAGE}, timeout=60) as http,
        Client(streamable_http_client(f"{origin}/mcp", http_client=http)) as client,
    ):
        told = await client.call_tool("query", {"sql": "select count(*) as n from orders"})
    assert told.structured_content is not None
    assert told.structured_content["rows"] == [[120]]


def test_a_page_may_ask_before_it_is_signed_in_and_is_told_how(tmp_path: Path) -> None:
    with server(tmp_path, "[mcp_server.auth]\n") as running:
        for path in ("/mcp", "/v1/jobs"):
            asked = preflight(running.origin + path, PAGE)
            refused = httpx2.post(running.origin + path, headers={"Origin": PAGE}, json={})
            assert (asked.status_code, refused.status_code) == (200, 401)
            assert readable_by(asked, PAGE)
            assert readable_by(refused, PAGE)
            assert refused.headers["www-authenticate"].startswith("Bearer")
            assert "WWW-Authenticate" in refused.headers["access-control-expose-headers"]
        assert preflight(f"{running.origin}/mcp", "https://evil.example").status_code == 403


def test_without_configured_origins_no_page_reads_anything(tmp_path: Path) -> None:
    with HttpServer(tmp_path, ["--db", str(make_shop(tmp_path / "shop.sqlite"))]) as running:
        for page in (PAGE, "http://localhost:3000"):
            asked = preflight(f"{running.origin}/mcp", page)
            told = httpx2.get(f"{running.origin}/v1/sources", headers={"Origin": page})
            assert asked.status_code >= 400
            assert {name for answer in (asked, told) for name in answer.headers if name.startswith("access-")} == set()
