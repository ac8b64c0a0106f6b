"""The command ``awaitsql``. Loads what the chosen command needs, and nothing else."""

from __future__ import annotations

import sys

_INTERRUPTED = 130


def main() -> None:
    """Runs the command line and exits with its code."""
    try:
        # here and not above: a Ctrl-C while the libraries load is a Ctrl-C too
        from mcp_server.cli import run  # noqa: PLC0415

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = _INTERRUPTED
    sys.exit(code)


if __name__ == "__main__":
    main()
