"""MCP as it goes over the wire, without a client library: of either era, over both transports; calls can be hung up."""

from __future__ import annotations

import itertools
import json
import os
import socket
import subprocess
import sys
from abc import ABC, abstractmethod
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from served import ROOT

STATELESS = "2026-07-28"
"""The first version without a handshake."""

_CLIENT = {"name": "raw", "version": "1"}
_ANSWER_S = 60


class Wire(ABC):
    """A connected client. A call that was sent is answered, or given up in one of the ways its transport has."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def send(self, tool: str, **arguments: Any) -> int:
        """Begins a call; its number."""

    @abstractmethod
    def answer(self, number: int) -> dict[str, Any]:
        """What the call answered: its structured content."""

    @abstractmethod
    def give_up(self, number: int) -> None:
        """Says that the answer is not waited for: ``notifications/cancelled``."""

    @abstractmethod
    def hang_up(self, number: int) -> None:
        """Closes what the answer would have come over."""

    @abstractmethod
    def close(self) -> None:
        """Leaves."""


def call(wire: Wire, tool: str, **arguments: Any) -> dict[str, Any]:
    """A call and its answer."""
    return wire.answer(wire.send(tool, **arguments))


def _request(version: str, number: int, method: str, params: dict[str, Any]) -> dict[str, Any]:
    if version >= STATELESS:
        meta = {
            "io.modelcontextprotocol/protocolVersion": version,
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": _CLIENT,
        }
        params = {**params, "_meta": meta}
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def _hello(version: str) -> dict[str, Any]:
    return {"protocolVersion": version, "capabilities": {}, "clientInfo": _CLIENT}


def _cancelled(number: int) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": number}}


def _content(message: dict[str, Any]) -> dict[str, Any]:
    return message["result"]["structuredContent"]


class StdioWire(Wire):
    """Over the pipes of a server that it starts in `home`; `close` is the end of its input, and waits for its end."""

    def __init__(self, home: Path, arguments: list[str], version: str) -> None:
        self._version = version
        self._numbers = itertools.count(1)
        self._server = subprocess.Popen(
            [sys.executable, "-m", "mcp_server", "serve", "--transport", "stdio", *arguments],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        if version < STATELESS:
            greeted = self._ask("initialize", _hello(version))
            assert self._message(greeted)["result"]["protocolVersion"] == version
            self._write({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def send(self, tool: str, **arguments: Any) -> int:
        return self._ask("tools/call", {"name": tool, "arguments": arguments})

    def answer(self, number: int) -> dict[str, Any]:
        return _content(self._message(number))

    def give_up(self, number: int) -> None:
        self._write(_cancelled(number))

    def hang_up(self, number: int) -> None:
        del number
        self.close()

    @property
    def is_closed(self) -> bool:
        assert self._server.stdin is not None
        return self._server.stdin.closed

    def close(self) -> None:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        if self.is_closed:
            return
        self._server.stdin.close()
        self._server.stdout.read()
        assert self._server.wait(20) == 0
        self._server.stdout.close()

    def _ask(self, method: str, params: dict[str, Any]) -> int:
        number = next(self._numbers)
        self._write(_request(self._version, number, method, params))
        return number

    def _write(self, message: dict[str, Any]) -> None:
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(message) + "\n")
        self._server.stdin.flush()

    def _message(self, number: int) -> dict[str, Any]:
        assert self._server.stdout is not None
        for line in self._server.stdout:
            message = json.loads(line)
            if message.get("id") == number:
                return message
        raise AssertionError("the server closed its output")


class HttpWire(Wire):
    """Over HTTP, a connection for each request."""

    def __init__(self, url: str, version: str, *, headers: dict[str, str] | None = None) -> None:
        self._place = urlsplit(url)
        self._headers = headers or {}
        self._version = version
        self._numbers = itertools.count(1)
        self._open: dict[int, HTTPConnection] = {}
        self._session: str | None = None
        if version < STATELESS:
            greeted = self._post("initialize", _hello(version))
            response = self._open[greeted].getresponse()
            self._session = response.headers["Mcp-Session-Id"]
            assert _read(response, greeted)["result"]["protocolVersion"] == version
            self._open.pop(greeted).close()
            self._notify({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def send(self, tool: str, **arguments: Any) -> int:
        return self._post("tools/call", {"name": tool, "arguments": arguments})

    def answer(self, number: int) -> dict[str, Any]:
        connection = self._open.pop(number)
        try:
            return _content(_read(connection.getresponse(), number))
        finally:
            connection.close()

    def give_up(self, number: int) -> None:
        self._notify(_cancelled(number))

    def hang_up(self, number: int) -> None:
        connection = self._open.pop(number)
        assert connection.sock is not None
        connection.sock.shutdown(socket.SHUT_RDWR)
        connection.close()

    def close(self) -> None:
        while self._open:
            self._open.popitem()[1].close()

    def _post(self, method: str, params: dict[str, Any]) -> int:
        number = next(self._numbers)
        told = {"Mcp-Method": method} | ({"Mcp-Name": params["name"]} if "name" in params else {})
        self._open[number] = self._sent(_request(self._version, number, method, params), told)
        return number

    def _notify(self, message: dict[str, Any]) -> None:
        connection = self._sent(message, {"Mcp-Method": message["method"]})
        try:
            assert connection.getresponse().status == 202
        finally:
            connection.close()

    def _sent(self, message: dict[str, Any], told: dict[str, str]) -> HTTPConnection:
        connection = HTTPConnection(str(self._place.hostname), self._place.port, timeout=_ANSWER_S)
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            **self._headers,
        }
        if message["method"] != "initialize":
            headers["MCP-Protocol-Version"] = self._version
        if self._session is not None:
            headers["Mcp-Session-Id"] = self._session
        if self._version >= STATELESS:
            headers |= told
        connection.request("POST", self._place.path, json.dumps(message), headers)
        return connection


def _read(response: HTTPResponse, number: int) -> dict[str, Any]:
    """The answer with that id, plain or out of a stream of events."""
    assert response.status == 200, response.read()
    if not response.headers["Content-Type"].startswith("text/event-stream"):
        return json.loads(response.read())
    for line in response:
        if line.startswith(b"data:") and line[5:].strip():
            message = json.loads(line[5:])
            if message.get("id") == number:
                return message
    raise AssertionError("the stream ended without the answer")
