"""The command ``awaitsql``. Loads what the chosen command needs, and nothing else."""

from __future__ import annotations

import sys

from mcp_server.cli import run


def main() -> None:
    """Runs the command line and exits with its code."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
