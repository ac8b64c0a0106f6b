"""The command ``awaitsql``. Loads what the chosen command needs, and nothing else."""

from __future__ import annotations

import os
import sys

_INTERRUPTED = 130
_BROKEN_PIPE = 141


def main() -> None:
    """Runs the command line and exits with its code."""
    try:
        # here and not above: a Ctrl-C while the libraries load is a Ctrl-C too
        from mcp_server.cli import run  # noqa: PLC0415

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = _INTERRUPTED
    except BrokenPipeError:
        # the reader has had enough (head): nothing is wrong, and Python must not say so again at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = _BROKEN_PIPE
    sys.exit(code)


if __name__ == "__main__":
    main()
