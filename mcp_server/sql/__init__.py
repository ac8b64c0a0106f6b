"""The SQL guard: untrusted text in, a `Statement` or a refusal out. Knows no protocol, opens no source, runs nothing.

Fail closed: whatever is not on a list, or goes wrong on the way, is refused.
"""

from __future__ import annotations

import logging

from mcp_server.sql.checked import Checked
from mcp_server.sql.dialects import dialect_names
from mcp_server.sql.granted import GrantedTable, granted_tables
from mcp_server.sql.guard import RULES, check
from mcp_server.sql.refusal import RefusalCode, StatementRefused
from mcp_server.sql.sorting import Sorting, sorting_of
from mcp_server.sql.telling import Telling
from mcp_server.sql.values_like import value_query

# its warnings quote the caller's SQL, which is not to be in any log
logging.getLogger("sqlglot").setLevel(logging.CRITICAL)

__all__ = [
    "RULES",
    "Checked",
    "GrantedTable",
    "RefusalCode",
    "Sorting",
    "StatementRefused",
    "Telling",
    "check",
    "dialect_names",
    "granted_tables",
    "sorting_of",
    "value_query",
]
