"""Who acts at a terminal, and how what they do comes on record: before it is done, or it is not done."""

from __future__ import annotations

import getpass
import socket
from typing import Any

from executor import Act, ExecutorSettings, record_act, signing_keys
from mcp_server.principal import Principal


def at_this_terminal() -> Principal:
    """Whoever runs the command, as this machine knows them."""
    return Principal(client="cli", issuer=socket.gethostname(), subject=getpass.getuser())


def put_on_record(settings: ExecutorSettings, what: str, **told: Any) -> None:
    """Records an act of whoever runs the command.

    Raises:
        ExecutorError: ``executor_unavailable`` when the history does not answer; then the act is not to be done.
    """
    record_act(settings, signing_keys(settings), Act(what, at_this_terminal().owner, told))
