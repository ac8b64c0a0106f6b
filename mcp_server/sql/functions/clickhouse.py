"""ClickHouse's functions, put together from the lists beside this one.

Names are compared in lower case; no allowed name differs from another function's in case only. Of the table functions
only those stand here that make rows of their own: every other one reaches files, the network, other servers or other
tables. numbers_mt, zeros_mt and generateRandom are left out, as they are for load.
"""

from __future__ import annotations

from mcp_server.sql.functions.ansi import ANSI
from mcp_server.sql.functions.clickhouse_aggregates import AGGREGATES, SUFFIXES, WINDOWS
from mcp_server.sql.functions.clickhouse_scalars import SCALARS

__all__ = ["AGGREGATES", "OUTPUTS", "SCALAR", "SUFFIXES", "TABLE"]

SCALAR = " ".join((ANSI, AGGREGATES, WINDOWS, SCALARS))

TABLE = "numbers generate_series generateseries zeros values"

OUTPUTS: dict[str, tuple[str, ...]] = {}
