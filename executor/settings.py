"""The ``[executor]`` table of the configuration, as one frozen model. Reads no file and no environment itself.

Units are in the names: ``_s`` seconds, ``_mb`` megabytes, ``max_bytes`` bytes.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from executor.jobs import Limits
from executor.sources import SOURCE_NAME, SecretRef, SourceConfig, SourceInfo

STORE_VERSION = 3
"""The shape of the job's row and of the scripts. Part of every key, so that two shapes never share a queue."""


class LimitSettings(BaseModel):
    """What one job may use unless its caller asks for less. See `executor.jobs.Limits`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_rows: int = Field(default=1_000_000, ge=1)
    max_bytes: int = Field(default=1_000_000_000, ge=1_000)
    statement_timeout_s: float = Field(default=300.0, gt=0, description="The database stops a statement after this.")
    job_timeout_s: float = Field(default=3600.0, gt=0, description="From first start, over all attempts.")
    queue_timeout_s: float = Field(default=600.0, gt=0, description="A job nobody takes for this long fails.")

    def limits(self) -> Limits:
        """The same as the noun."""
        return Limits(
            max_rows=self.max_rows,
            max_bytes=self.max_bytes,
            timeout_s=self.statement_timeout_s,
            job_timeout_s=self.job_timeout_s,
            queue_timeout_s=self.queue_timeout_s,
        )


class ExecutorSettings(BaseModel):
    """Everything the executor needs to know, made once at the edge and passed on.

    `broker_url` None means the embedded broker. `state_dir` holds, per configuration, the embedded broker's files,
    the signing key of a single machine and, unless `results_dir` says otherwise, the results.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    broker_url: str | None = Field(
        default=None, description="redis://host:6379/0, rediss://… or unix:///path; empty: an embedded Valkey."
    )
    broker_password: SecretRef | None = None
    realm: str = Field(
        default="", description="Keeps jobs apart from those of another configuration over the same sources."
    )
    signing_key: SecretRef | None = Field(
        default=None, description="Shared by servers and workers; made by itself on a single machine."
    )
    state_dir: Path
    results_dir: Path | None = None
    fsync: Literal["everysec", "always"] = Field(default="everysec", description="Of the embedded broker's log.")
    embedded_memory_mb: int = Field(default=256, ge=16)
    concurrency: int = Field(default=8, ge=1, le=256, description="Statements at once in one worker process.")
    lease_s: float = Field(default=10.0, ge=1)
    beat_s: float = Field(default=3.0, gt=0)
    attempts: int = Field(default=3, ge=1, le=20)
    claim_timeout_s: float = Field(default=5.0, gt=0, description="A ticket nobody claims is sent again after this.")
    cancel_grace_s: float = Field(default=5.0, gt=0, description="A thread that will not stop is given up after this.")
    principal_max_running: int = Field(default=3, ge=1)
    queue_depth: int = Field(default=10_000, ge=1)
    result_ttl_s: float = Field(default=86_400.0, gt=0)
    limits: LimitSettings = LimitSettings()
    sources: dict[str, SourceConfig] = Field(default_factory=dict)

    @field_validator("sources")
    @classmethod
    def _names(cls, value: dict[str, SourceConfig]) -> dict[str, SourceConfig]:
        for name in value:
            if not SOURCE_NAME.match(name):
                raise ValueError(
                    f"source name {name!r}: use lower-case letters, digits and _, beginning with a letter (at most 63)"
                )
        return value

    def fingerprint(self) -> str:
        """Names the configuration: servers and workers with the same one share a queue, others never do.

        Sources decide it, and where results go, and the store's version; not limits or descriptions, so that a
        changed limit does not strand the jobs already queued.
        """
        told = {
            "store": STORE_VERSION,
            "sources": {name: source.fingerprint() for name, source in sorted(self.sources.items())},
            "results": str(self.results_dir or ""),
            "realm": self.realm,
        }
        return hashlib.blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=6).hexdigest()

    @property
    def home(self) -> Path:
        """This configuration's own folder below `state_dir`."""
        return self.state_dir / self.fingerprint()

    @property
    def results_root(self) -> Path:
        """Where results are written."""
        return self.results_dir or self.home / "results"

    @property
    def namespace(self) -> str:
        """The beginning of every key and of the queue's name."""
        return f"awaitsql:{self.fingerprint()}"

    def source_infos(self) -> tuple[SourceInfo, ...]:
        """The sources as callers may see them, in the configuration's order."""
        return tuple(SourceInfo(name, s.kind, s.dialect, s.description) for name, s in self.sources.items())
