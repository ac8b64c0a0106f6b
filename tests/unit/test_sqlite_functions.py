"""What the guard lets SQLite call, the adapter's authorizer lets it call, too."""

from executor.adapters.sqlite_authorizer import FUNCTIONS
from mcp_server.sql.functions import functions_of

NO_FUNCTIONS = {"exists", "row"}
"""Words of the grammar that are written like calls."""


def test_every_function_of_the_guard_is_one_of_the_authorizers() -> None:
    assert functions_of("sqlite").scalar - NO_FUNCTIONS <= FUNCTIONS
