"""A signing key that others can read is told, and what is told to be done mends it without stopping anybody."""

from __future__ import annotations

import time
from pathlib import Path

from executor import ExecutorSettings, signing_keys
from mcp_server.commands.secret_checks import secret_checks
from mcp_server.problems import Places
from mcp_server.settings import McpServerSettings, Settings


def test_a_signing_key_that_others_read_is_rotated_and_not_taken_away(tmp_path: Path) -> None:
    settings = Settings(ExecutorSettings(state_dir=tmp_path), McpServerSettings(), Places())
    keys = signing_keys(settings.executor)
    assert keys.path is not None
    keys.path.chmod(0o644)
    [told] = secret_checks(settings, None)

    assert told.level == "error"
    assert told.fix.startswith(f"chmod 600 {keys.path} && awaitsql keys rotate")
    keys.path.chmod(0o600)
    old = keys.ring().keys[0]
    keys.change(lambda ring: ring.rotated(now=time.time(), after_s=0, accepted_s=60, kept_s=60))
    keys.change(lambda ring: ring.without(old.id, now=time.time()))
    assert [check.level for check in secret_checks(settings, None)] == ["ok"]
    assert old.secret not in keys.path.read_text()
