"""The manifest of a complete result: written last and at once, so that its presence is what makes a result complete.

It names job, attempt and state, so that a result can be understood when the job's row is lost.

It is the schema's metadata of an Arrow file, ``<job>/<attempt>.arrow``, beside the folder of the parts. A small result
has no parts: its rows are in that file, too, as for most statements making a folder and a second file took longer than
all else that is done for their rows. The file's end is what makes it complete: without, it is no Arrow file.
"""

# pyarrow ships no types: its schemas are unknown to the checker.
# pyright: reportUnknownParameterType=false

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from executor.jobs import JobState, ResultColumn, ResultSummary, Truncated
from executor.results.parts import BROKEN, SUFFIX, Part, file_of
from executor.results.places import Place

_VERSION = 1
_KEY = b"manifest"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is known of a complete result: whose it is, its parts, the union of their schemas, and its summary."""

    job_id: str
    attempt: int
    parts: tuple[Part, ...]
    schema: pa.Schema
    summary: ResultSummary

    def save(self, batch: pa.RecordBatch, wide: Sequence[bool], place: Place, folder: str) -> None:
        """Publish it.

        Args:
            batch: all rows where there are no parts; else none, in the union of the parts' schemas.
            wide: as in `executor.results.parts.write_part`.
            place: where results are kept.
            folder: that the parts are in, or would be.

        Raises:
            ResultFailed: ``store_full``, ``store_unavailable``.
        """
        place.put_ended(path_of(folder), file_of(batch, wide, {_KEY: _json(self._told())}))

    def _told(self) -> dict[str, Any]:
        summary = self.summary
        return {
            "version": _VERSION,
            "job": self.job_id,
            "attempt": self.attempt,
            "state": str(JobState.SUCCEEDED),
            "columns": [[c.name, c.type] for c in summary.columns],
            "row_count": summary.row_count,
            "bytes": summary.bytes,
            "truncated": asdict(summary.truncated) if summary.truncated else None,
            "stats": list(summary.stats),
            "parts": [part.rows for part in self.parts],
        }


def path_of(folder: str) -> str:
    """Where the manifest is of an attempt whose parts are in `folder`."""
    return f"{folder}{SUFFIX}"


def load(place: Place, folder: str) -> Manifest | None:
    """The manifest of the attempt whose parts are in `folder`; None where there is none that can be read.

    Raises:
        ResultFailed: ``store_unavailable``.
    """
    content = place.read(path_of(folder))
    if content is None:
        return None
    try:
        with pa.ipc.open_file(pa.py_buffer(content)) as reader:
            schema = reader.schema
    except BROKEN:
        return None
    told = _read((schema.metadata or {}).get(_KEY, b""))
    if told is None:
        return None
    parts = tuple(Part(i, rows) for i, rows in enumerate(told["parts"]))
    if not parts and told["row_count"]:
        parts = (Part(0, told["row_count"], content),)
    return _manifest(told, parts, schema.remove_metadata())


def _json(told: dict[str, Any]) -> bytes:
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def _read(content: bytes) -> dict[str, Any] | None:
    try:
        told: dict[str, Any] = json.loads(content)
    except ValueError:
        return None
    return told if told.get("version") == _VERSION else None


def _manifest(told: dict[str, Any], parts: tuple[Part, ...], schema: pa.Schema) -> Manifest:
    truncated = told["truncated"]
    return Manifest(
        job_id=told["job"],
        attempt=told["attempt"],
        parts=parts,
        schema=schema,
        summary=ResultSummary(
            columns=tuple(ResultColumn(name, kind) for name, kind in told["columns"]),
            row_count=told["row_count"],
            bytes=told["bytes"],
            truncated=Truncated(**truncated) if truncated else None,
            stats=tuple(told["stats"]),
        ),
    )
