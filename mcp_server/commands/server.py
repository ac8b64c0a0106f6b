"""A server elsewhere that does the work: its address and token, and its ``/v1`` as the commands call it."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import httpx2
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from executor import ErrorCode, ExecutorError, SettingsInvalid
from mcp_server.commands.exits import Exit, exit_of, say_error
from mcp_server.commands.follow import run_until_interrupted
from mcp_server.commands.options import There

JobDict = dict[str, Any]
"""A job as ``/v1`` shows it: a JobView."""

FINISHED = ("succeeded", "failed", "cancelled")

_ANSWER_S = 60.0
_LOOK_S = 1.0
_CANCEL_S = 5.0
_TRIES = 5
_USAGE = ("invalid_arguments", "unknown_source", "invalid_settings", "sign_in_required", "insufficient_scope")


class ServerRefused(Exception):
    """What a server said no with.

    Attributes:
        code: stable, see docs/errors.md.
        message: one sentence.
        hint: what to do next, or an empty string.
        position: 1-based character of the SQL, or None.
        status: of HTTP.
    """

    def __init__(self, told: Mapping[str, Any], status: int) -> None:
        super().__init__(str(told.get("detail", "")))
        self.code = str(told.get("code", "no_such_path"))
        self.message = str(told.get("detail") or f"The server answered {status}, and not as /v1 of awaitsql does.")
        self.hint = str(told.get("hint") or told.get("next_step") or "")
        self.position: int | None = told.get("position")
        self.status = status

    def as_dict(self) -> dict[str, Any]:
        """For a program: code, message, hint, position."""
        return {"code": self.code, "message": self.message, "hint": self.hint, "position": self.position}

    @property
    def exit(self) -> Exit:
        """The command's exit code."""
        if self.code in _USAGE:
            return Exit.USAGE
        # what is no code of the executor's and well formed is the guard's
        is_refusal = self.status == 422 and self.code not in list(ErrorCode)
        return Exit.REFUSED if is_refusal else _exit_of_code(self.code)


class Server:
    """One server's ``/v1``.

    Args:
        client: with the server's address and the token.
    """

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client

    async def ask(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        """The JSON that the server answers.

        Raises:
            ServerRefused: it says no.
            ExecutorError: ``executor_unavailable`` when nobody answers.
        """
        try:
            answer = await self._client.request(method, path, **more)
        except httpx2.HTTPError as error:
            raise _away(self._client, error) from error
        return _told(answer)

    async def job(self, job_id: str, *, wait_s: float = 0, rows: bool = True) -> JobDict:
        """The job now, or at its end within `wait_s` seconds. Raises as `ask`."""
        asked: dict[str, Any] = {"wait_seconds": wait_s} | ({} if rows else {"max_chars": 0})
        return await self.ask("GET", f"/v1/jobs/{_quoted(job_id)}", params=asked)

    async def cancelled(self, job_id: str) -> JobDict:
        """The job after it was cancelled, at its end if that comes soon. Raises as `ask`."""
        view = await self.ask("DELETE", f"/v1/jobs/{_quoted(job_id)}")
        return view if view["state"] in FINISHED else await self.job(job_id, wait_s=_CANCEL_S, rows=False)

    async def download(self, job_id: str, format: str, out: BinaryIO) -> None:  # noqa: A002 - the word users know
        """Writes the whole result to `out`, as it comes. Raises as `ask`."""
        link = await self.ask("POST", f"/v1/jobs/{_quoted(job_id)}/export", params={"format": format})
        if not str(link["url"]).startswith("/v1/exports/"):  # the token is for this server only
            raise ServerRefused({}, 200)
        try:
            async with self._client.stream("GET", link["url"]) as answer:
                if answer.status_code != 200:
                    await answer.aread()
                    _told(answer)
                async for some in answer.aiter_bytes():
                    out.write(some)
        except httpx2.HTTPError as error:
            raise _away(self._client, error) from error


@asynccontextmanager
async def _connected(there: There) -> AsyncGenerator[Server]:
    address = (there.server or "").rstrip("/").removesuffix("/mcp").removesuffix("/v1")
    headers = {} if there.token is None else {"Authorization": f"Bearer {there.token}"}
    try:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsInvalid(message=f"--server {there.server}: no address.", hint="Such as http://127.0.0.1:8765")
        client = httpx2.AsyncClient(base_url=address, headers=headers, timeout=_ANSWER_S)
    except (ValueError, httpx2.InvalidURL) as error:
        raise SettingsInvalid(
            message="--server or --token holds what a request cannot.", hint="Copy it whole."
        ) from error
    async with client:
        yield Server(client)


def run_there(there: There, work: Callable[[Server], Awaitable[int]], *, sql: str = "", as_json: bool = False) -> int:
    """What `work` with the server comes to, as an exit code; its refusals are told."""

    async def main() -> int:
        async with _connected(there) as server:
            try:
                return await work(server)
            except ServerRefused as refused:
                say_error(Console(stderr=True, highlight=False), refused, sql=sql, as_json=as_json)
                return refused.exit

    return run_until_interrupted(main)


def words(view: JobDict) -> str:
    """What a job is doing, in a few words."""
    stage, rows = view.get("stage"), view["progress"]["rows"]
    if view["state"] in FINISHED:
        return f"{view['state']}; {stage}" if stage else view["state"]
    if view.get("workers_alive") == 0:
        return "queued; waiting for a worker"
    return f"{stage or view['state']}, {rows:,} rows" if rows else stage or view["state"]


def exit_of_view(view: JobDict) -> Exit:
    """The exit code that a job ends with."""
    error = view.get("error")
    if error is not None:
        return _exit_of_code(error["code"])
    if view["state"] == "cancelled":
        return Exit.INTERRUPTED
    return Exit.DONE if view["state"] in FINISHED else Exit.UNFINISHED


def _exit_of_code(code: str) -> Exit:
    return exit_of(ExecutorError.of(ErrorCode(code), "")) if code in list(ErrorCode) else Exit.FAILED


async def followed(server: Server, view: JobDict, *, wait_s: float | None, console: Console) -> JobDict:
    """The job at its end, when it asks something, or after `wait_s` seconds.

    Cancelled itself (Ctrl-C), it cancels the job and waits for that. A server that is being started again meanwhile is
    waited for.

    Raises:
        asyncio.CancelledError: after the job was cancelled.
        ServerRefused: as `Server.ask`.
        ExecutorError: as `Server.ask`.
    """
    spinner = Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console, transient=True
    )
    until = time.monotonic() + (math.inf if wait_s is None else wait_s)
    tries = _TRIES
    try:
        with spinner:
            line = spinner.add_task(words(view), total=None)
            while view["state"] not in (*FINISHED, "waiting") and (left := until - time.monotonic()) > 0:
                try:
                    view = await server.job(view["job_id"], wait_s=min(left, _LOOK_S))
                except ExecutorError:
                    tries -= 1
                    if tries == 0:
                        raise
                    await asyncio.sleep(_LOOK_S)
                    continue
                tries = _TRIES
                spinner.update(line, description=words(view))
    except asyncio.CancelledError:
        ended = await asyncio.shield(server.cancelled(view["job_id"]))
        console.print(words(ended), markup=False)
        raise
    return view


def _told(answer: httpx2.Response) -> dict[str, Any]:
    try:
        told: Any = answer.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        told = None
    if not answer.is_success:
        raise ServerRefused(told if isinstance(told, dict) else {}, answer.status_code)
    if not isinstance(told, dict):
        raise ServerRefused({}, answer.status_code)
    return told


def _quoted(job_id: str) -> str:
    """A handle as it may be spoken, as one piece of a path."""
    return "-".join(job_id.split()).replace("/", "-").replace("?", "-").replace("#", "-") or "-"


def _away(client: httpx2.AsyncClient, error: Exception) -> ExecutorError:
    return ExecutorError.of(
        ErrorCode.EXECUTOR_UNAVAILABLE,
        f"No server answers at {client.base_url} ({type(error).__name__}).",
        hint="Is `awaitsql serve --transport http` running there?",
    )
