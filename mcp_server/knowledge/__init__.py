"""What the server knows of a source beyond its tables: cards, search, join paths. Knows no protocol and no executor.

Everything here works on the tables as one caller may see them (`mcp_server.tables.visible`), so that nothing that is
not granted can be found, or change the order of what is.
"""

from mcp_server.knowledge.context import context_for
from mcp_server.knowledge.known import Found, Known, known

__all__ = ["Found", "Known", "context_for", "known"]
