"""The place where results are kept is slow: the caller hears while it waits that it is not the database."""

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from machines import OWNER, running, settings_for
from object_stores import bucket

from executor import JobState
from mcp_server.wire import job_view


@dataclass
class Line:
    """A way to a server that can be held up: what is sent waits until the way is free again."""

    address: str
    free: threading.Event = field(default_factory=threading.Event)


@contextmanager
def line_to(endpoint: str) -> Iterator[Line]:
    far = urlsplit(endpoint)
    assert far.hostname is not None

    class Forward(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection((far.hostname, far.port)) as there:
                back = threading.Thread(target=self.copy, args=(there, self.request), daemon=True)
                back.start()
                self.copy(self.request, there)
                back.join()

        @staticmethod
        def copy(source: socket.socket, target: socket.socket) -> None:
            while some := source.recv(65_536):
                line.free.wait()
                target.sendall(some)
            target.shutdown(socket.SHUT_WR)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, request: object, client_address: object) -> None:
            """Connections that either side drops are no news."""

    with Server(("127.0.0.1", 0), Forward) as server:
        line = Line(f"http://127.0.0.1:{server.server_address[1]}")
        line.free.set()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield line
        finally:
            line.free.set()
            server.shutdown()


async def test_a_slow_store_is_told_of_while_it_holds_a_job_up_and_afterwards(tmp_path, shop, s3_endpoint):
    with line_to(s3_endpoint) as line:
        place = bucket(line.address, tmp_path)
        async with running(settings_for(tmp_path, shop, object_store=place)) as machine:
            quick = await machine.run("SELECT 1")
            line.free.clear()
            job = await machine.submit("SELECT id FROM orders")
            async for slow in machine.executor.watch(job.id, owner=OWNER, timeout_s=30):
                if slow.stage == "storing":
                    break
            line.free.set()
            done = await machine.until(job, JobState.SUCCEEDED)

    told = [" ".join(job_view(each, max_chars=0).warnings) for each in (quick, slow, done)]
    assert (slow.state, slow.stage) == (JobState.RUNNING, "storing")
    assert quick.notes.get("slow_store") is None
    assert done.notes["slow_store"] >= 1
    assert done.summary is not None
    assert done.summary.row_count == 5000
    assert ["slow" in words for words in told] == [False, True, True]
