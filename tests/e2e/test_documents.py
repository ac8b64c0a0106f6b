"""Every command of the documents is typed here as it stands there, and does what stands below it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest
from documents import Block, Document, documents
from model_double import model_server, sql
from served import ROOT, free_port, until
from warm_commands import warm_awaitsql

from executor import build_shop

ADDRESS = "http://127.0.0.1:8765"
HANDLE = re.compile(r"\b(?:[0-9A-Z]{5}-)+[0-9A-Z]\b")
GOES_ON = re.compile(r"awaitsql (serve|worker)\b")
ELSEWHERE = ("not run", "run by")
WITH_COMMANDS = [told for told in documents() if any(not b.mark.startswith(ELSEWHERE) for b in told.blocks("sh"))]

pytestmark = [
    pytest.mark.skipif(
        not all(map(shutil.which, ("curl", "openssl"))), reason="some commands are curl's and openssl's"
    ),
    pytest.mark.timeout(300),
]


ANSWER = sql(
    "SELECT count(*) AS customers FROM customers WHERE NOT is_test", assumptions=["Test accounts are not customers."]
)
"""What the model says to any question."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo shop as a SQLite file."""
    file = tmp_path_factory.mktemp("shop") / "shop.sqlite"
    build_shop(file, "sqlite")
    return file


class Reader:
    """Somebody who types what a document says, in a home and folder of their own."""

    def __init__(self, folder: Path, model_url: str, stack: ExitStack) -> None:
        self._folder = folder
        self._model = {
            "AWAITSQL_MCP_SERVER__ASK__MODEL": "scripted",
            "AWAITSQL_MCP_SERVER__ASK__BASE_URL": model_url,
            "OPENAI_API_KEY": "none",
        }
        self._stack = stack
        self._port = free_port()
        self._handle = "JOB"

    def type(self, block: Block) -> tuple[int, str]:
        """Runs the commands of a block; the last one's exit code, and what they all printed."""
        code, printed = 0, ""
        for command in block.commands:
            typed = command.replace("JOB", self._handle).replace(ADDRESS, f"http://127.0.0.1:{self._port}")
            if GOES_ON.match(typed):
                self._start(typed, block)
                continue
            done = subprocess.run(
                typed,
                shell=True,
                cwd=self._folder,
                env=self._environment(block, warm_awaitsql()),
                input="",
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert command == block.commands[-1] or done.returncode == 0, done.stderr
            code, printed = done.returncode, printed + done.stdout + done.stderr
            for handle in HANDLE.findall(done.stdout):
                self._handle = handle
        return code, printed

    def _start(self, typed: str, block: Block) -> None:
        """Starts what goes on until it is stopped, and waits until it answers."""
        log = self._folder / f"log{block.line}"
        with log.open("wb") as out:
            started = subprocess.Popen(
                f"exec {typed}", shell=True, cwd=self._folder, env=self._environment(block), stdout=out, stderr=out
            )
        self._stack.callback(lambda: (started.terminate(), started.wait(20)))
        if " serve " in typed:
            until(lambda: started.poll() is not None or self._answers(), within_s=30)
        else:
            until(lambda: started.poll() is not None or bool(log.read_bytes()), within_s=30)
        assert started.poll() is None, log.read_text()

    def _answers(self) -> bool:
        try:
            return httpx2.get(f"http://127.0.0.1:{self._port}/readyz", timeout=2).status_code == 200
        except httpx2.TransportError:
            return False

    def _environment(self, block: Block, *first: Path) -> dict[str, str]:
        known = {
            "PATH": ":".join(map(str, (*first, Path(sys.executable).parent, os.environ["PATH"]))),
            "HOME": str(self._folder),
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "120",
            "AWAITSQL_EXECUTOR__STATE_DIR": str(self._folder / "state"),
            "AWAITSQL_MCP_SERVER__PORT": str(self._port),
            # what a source of a document names, though nothing asks it for rows
            "SHOP_PASSWORD": "none",
        }
        return {**known, **(self._model if block.mark.startswith("model") else {})}


@pytest.fixture
def reader(tmp_path: Path, shop: Path) -> Iterator[Reader]:
    """A reader with a shop to ask, an editor to install into, and a model that knows one answer."""
    demo = tmp_path / "state" / "demo" / "shop.duckdb"  # ten million rows elsewhere; a file is known by its bytes
    demo.parent.mkdir(parents=True)
    for file in (tmp_path / "shop.sqlite", demo):
        file.symlink_to(shop)
    with ExitStack() as stack:
        _, url = stack.enter_context(model_server(lambda _: ANSWER))
        yield Reader(tmp_path, url, stack)


@pytest.mark.parametrize("told", WITH_COMMANDS, ids=lambda told: told.name)
def test_what_the_document_says_is_what_happens(told: Document, reader: Reader, tmp_path: Path) -> None:
    printed: str | None = None
    for block in told.blocks():
        where = f"{told.name}:{block.line}"
        if block.language == "toml" and block.mark:
            (tmp_path / block.mark).write_text(block.text)
        elif block.language == "sh" and block.mark.startswith(ELSEWHERE):
            printed = None
        elif block.language == "sh":
            code, printed = reader.type(block)
            exits = re.search(r"exits (\d+)", block.mark)
            assert code == (int(exits[1]) if exits else 0), f"{where}\n{printed}"
        elif block.language == "text" and printed is not None:
            assert is_like(printed, block.text), f"{where}\n{printed}"


def is_like(printed: str, told: str) -> bool:
    """Whether `printed` is what a document told, where … is anything and spaces are one."""
    parts = [re.escape(" ".join(part.split())) for part in told.split("…")]
    pattern = r".*?".join(rf"\s*{part}\s*" for part in parts)
    return re.fullmatch(pattern, " ".join(printed.split()), re.DOTALL) is not None
