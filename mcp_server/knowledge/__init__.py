"""What the server knows of a source beyond its tables: cards, search, join paths. Knows no protocol and no executor.

Everything here works on the tables as one caller may see them (`mcp_server.tables.visible`), so that nothing that is
not granted can be found, or change the order of what is. Its modules are imported by name: a command that needs what
words mean is not to load the search, nor what keeps verified queries.
"""
