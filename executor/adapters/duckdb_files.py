"""Plain files as tables: which files a source means, what their tables are called, whether they are still the same."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from executor.errors import ErrorCode, SourceFailed

READERS = {
    ".csv": "read_csv({})",
    ".tsv": "read_csv({}, delim='\t')",
    ".jsonl": "read_json({}, format='newline_delimited')",
    ".ndjson": "read_json({}, format='newline_delimited')",
    ".parquet": "read_parquet({})",
}
"""How a file is read, by the end of its name."""

Stamps = Mapping[Path, tuple[int, int, int] | None]
"""Of each file its inode, size and time of change (nanoseconds); None where it is gone."""

_PATTERN = re.compile(r"[*?\[]")


def files_of(entry: Path) -> list[Path]:
    """The files that an entry of a source's ``files`` means, sorted: itself, those of a folder, those of a pattern.

    Of a folder or a pattern (``*``, ``?``, ``[…]``, ``**``) the files that cannot be read are left out.

    Raises:
        SourceFailed: ``source_unavailable`` when there is none, or it is of no kind that can be read.
    """
    if entry.is_dir():
        return _readable(entry.iterdir())
    if entry.is_file():
        if entry.suffix.lower() not in READERS:
            raise unavailable(f"{entry.name} is none of {', '.join(sorted(READERS))}.")
        return [entry]
    fixed = fixed_part(entry)
    if fixed == entry:
        raise unavailable(f"{entry.name} does not exist.")
    found = _readable(fixed.glob(str(entry.relative_to(fixed)))) if fixed.is_dir() else []
    if not found:
        raise unavailable(f"No file matches {entry.name}.")
    return found


def fixed_part(entry: Path) -> Path:
    """The folder from which a pattern is looked for; a path without one is its own."""
    parts = entry.parts
    first = next((i for i, part in enumerate(parts) if _PATTERN.search(part)), len(parts))
    return entry if first == len(parts) or entry.exists() else Path(*parts[:first])


def tables_of_files(source: str, entries: Iterable[Path]) -> dict[str, Path]:
    """Table name -> absolute file.

    Raises:
        SourceFailed: ``source_unavailable``, as `files_of`, and when two files would make tables of one name.
    """
    found: dict[str, Path] = {}
    for entry in entries:
        for path in files_of(entry):
            table = re.sub(r"[^a-z0-9_]", "_", path.stem.lower())
            if table in found and found[table] != path.absolute():
                raise unavailable(f"{found[table].name} and {path.name} would both become table {table} of {source}.")
            found[table] = path.absolute()
    return found


def stamped(paths: Iterable[Path]) -> Stamps:
    """What the files are now."""
    return {path: _stamp(path) for path in paths}


def unglobbed(path: Path) -> str:
    """The path with its ``*``, ``?`` and ``[`` meant literally."""
    return re.sub(r"[\[*?]", lambda m: f"[{m[0]}]", str(path))


def unavailable(message: str, hint: str = "Check the source's configuration where the workers run.") -> SourceFailed:
    """A file that is not there, or not what it should be."""
    return SourceFailed(ErrorCode.SOURCE_UNAVAILABLE, message, hint=hint)


def _readable(paths: Iterable[Path]) -> list[Path]:
    return sorted(p for p in paths if p.suffix.lower() in READERS and p.is_file())


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        told = path.stat()
    except OSError:
        return None
    return told.st_ino, told.st_size, told.st_mtime_ns
