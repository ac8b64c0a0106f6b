"""One module per command of ``awaitsql``. Each asks the executor or the MCP server; none decides anything itself."""
