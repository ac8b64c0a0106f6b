"""The official TypeScript client of the Tasks extension against the product: written by others, to the same text."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from mcp_suite import HERE, installed
from served import HttpServer, make_orders


def test_the_official_client_follows_a_query_to_its_rows_and_cancels_another(tmp_path: Path) -> None:
    suite = installed()
    with HttpServer(tmp_path, ["--db", str(make_orders(tmp_path / "shop.sqlite"))]) as server:
        # a script finds its packages from where it lies
        script = shutil.copy(HERE / "tasks_client.mjs", suite.modules.parent)
        command = [suite.node, str(script), server.url]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == {
        "version": "2026-07-28",
        "kinds": ["task", "task"],
        "rows": [[2_000_000]],
        "cancelled": "cancelled",
    }
