"""Where the demo shop lives: built on first use, below the state folder."""

from __future__ import annotations

from pathlib import Path


def demo_databases(state_dir: Path) -> tuple[str, ...]:
    """The demo shop's file as a value of ``--db``, built if it is not there yet (a few seconds)."""
    from executor import build_shop  # noqa: PLC0415 - loads DuckDB, which only the demo needs here

    path = state_dir / "demo" / "shop.duckdb"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        build_shop(path, "duckdb")
    return (str(path),)
