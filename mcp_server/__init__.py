"""Speaks MCP and HTTP, and decides what may run. Holds no source's password and opens no source."""
