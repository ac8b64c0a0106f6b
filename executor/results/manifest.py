"""The manifest of a complete result: written last and at once, so that its presence is what makes a result complete.

It names job, attempt and state, so that a result can be understood when the job's row is lost. Knows no rows.
"""

# pyarrow ships no types: its schemas are unknown to the checker.
# pyright: reportUnknownParameterType=false

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from executor.jobs import JobState, ResultColumn, ResultSummary, Truncated
from executor.results.parts import Part
from executor.results.places import Place

NAME = "manifest.json"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is known of a complete result: whose it is, its parts, the union of their schemas, and its summary."""

    job_id: str
    attempt: int
    parts: tuple[Part, ...]
    schema: pa.Schema
    summary: ResultSummary

    def save(self, place: Place, folder: str) -> None:
        """Publish it in `folder`.

        Raises:
            ResultFailed: ``store_full``, ``store_unavailable``.
        """
        summary = self.summary
        told = {
            "version": _VERSION,
            "job": self.job_id,
            "attempt": self.attempt,
            "state": str(JobState.SUCCEEDED),
            "parts": [{"name": part.name, "rows": part.rows} for part in self.parts],
            "columns": [[c.name, c.type] for c in summary.columns],
            "schema": base64.b64encode(self.schema.serialize().to_pybytes()).decode(),
            "row_count": summary.row_count,
            "bytes": summary.bytes,
            "truncated": asdict(summary.truncated) if summary.truncated else None,
            "stats": list(summary.stats),
        }
        place.put(f"{folder}/{NAME}", json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode())


def load(place: Place, folder: str) -> Manifest | None:
    """The manifest in `folder`, or None where there is none that can be read.

    Raises:
        ResultFailed: ``store_unavailable``.
    """
    content = place.read(f"{folder}/{NAME}")
    if content is None:
        return None
    try:
        told: dict[str, Any] = json.loads(content)
    except ValueError:
        return None
    if told.get("version") != _VERSION:
        return None
    truncated = told["truncated"]
    return Manifest(
        job_id=told["job"],
        attempt=told["attempt"],
        parts=tuple(Part(i, part["rows"]) for i, part in enumerate(told["parts"])),
        schema=pa.ipc.read_schema(pa.py_buffer(base64.b64decode(told["schema"]))),
        summary=ResultSummary(
            columns=tuple(ResultColumn(name, kind) for name, kind in told["columns"]),
            row_count=told["row_count"],
            bytes=told["bytes"],
            truncated=Truncated(**truncated) if truncated else None,
            stats=tuple(told["stats"]),
        ),
    )
