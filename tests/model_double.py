"""A scripted double of an OpenAI-compatible server: the one thing in these tests that is not real.

It answers chat completions over HTTP from a script, so that the provider's own client, its retries and its timeouts are
what runs. Replies are written as what a model would do: call an output tool, fail with a status, take long, babble.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Reply:
    tool: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    text: str = ""
    status: int = 200
    delay_s: float = 0.0
    tokens: tuple[int, int] = (100, 20)


def sql(text: str, **more: Any) -> Reply:
    return Reply("answer_with_sql", {"sql": text, **more})


def ask_back(question: str, *choices: str) -> Reply:
    return Reply("ask_back", {"question": question, "choices": list(choices)})


def cannot(why: str) -> Reply:
    return Reply("cannot_answer", {"why": why})


class ModelDouble:
    """Replies by `script`, given the text of the whole request; keeps the requests it was sent."""

    def __init__(self, script: Callable[[str], Reply]) -> None:
        self.script = script
        self.requests: list[str] = []
        self.hangs = threading.Event()
        self.models = ["scripted"]

    def answer(self, asked: dict[str, Any]) -> Reply:
        text = "\n".join(_text(message["content"]) for message in asked["messages"])
        self.requests.append(text)
        return self.script(text)


def _text(content: Any) -> str:
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)


def in_turn(*replies: Reply) -> Callable[[str], Reply]:
    """One reply after the other; the last again and again."""
    left = list(replies)
    lock = threading.Lock()

    def script(_text: str) -> Reply:
        with lock:
            return left.pop(0) if len(left) > 1 else left[0]

    return script


@contextmanager
def model_server(script: Callable[[str], Reply], host: str = "127.0.0.1") -> Iterator[tuple[ModelDouble, str]]:
    """The double, and the base URL at which it answers."""
    double = ModelDouble(script)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = json.dumps({"object": "list", "data": [{"id": name} for name in double.models]}).encode()
            self.send_response(200 if self.path.endswith("/models") else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            reply = double.answer(asked)
            until = time.monotonic() + reply.delay_s
            while time.monotonic() < until:
                double.hangs.set()
                time.sleep(0.05)
            told: dict[str, Any] = {"error": {"message": "scripted", "type": "scripted"}}
            if reply.status == 200:
                message: dict[str, Any] = {"role": "assistant", "content": reply.text or None}
                if reply.tool:
                    call = {"name": reply.tool, "arguments": json.dumps(reply.arguments)}
                    message["tool_calls"] = [{"id": f"c{len(double.requests)}", "type": "function", "function": call}]
                total = sum(reply.tokens)
                told = {
                    "id": "x",
                    "object": "chat.completion",
                    "created": 1,
                    "model": "scripted",
                    "choices": [
                        {"index": 0, "message": message, "finish_reason": "tool_calls" if reply.tool else "stop"}
                    ],
                    "usage": {
                        "prompt_tokens": reply.tokens[0],
                        "completion_tokens": reply.tokens[1],
                        "total_tokens": total,
                    },
                }
            body = json.dumps(told).encode()
            try:
                self.send_response(reply.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                pass  # the client has given up

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer((host, 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield double, f"http://{host}:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
