"""The ``[executor]`` table of the configuration, as one frozen model. Reads no file and no environment itself.

Units are in the names: ``_s`` seconds, ``_mb`` megabytes, ``max_bytes`` bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from executor.jobs import RESULTS, Limits
from executor.sources import SOURCE_NAME, SecretRef, SourceConfig, SourceInfo, session_of

_SECRET = re.compile(r"secret|token|password|account_key|access_key$|master_key|sas|service_account_key|encryption_key")

STORE_VERSION = 5
"""The shape of the job's row and of the scripts. Part of every key, so that two shapes never share a queue."""

RECORD_VERSION = 2
"""What stands in a job's row, in its order and in its events, while their shape above stays. It grows when something is
added that whoever runs the job, or keeps its history, has to understand. A reader knows its own version and all before;
a newer record it leaves to others."""


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


class HistorySettings(BaseModel):
    """Where every job is recorded, and for how long; without a `url` in a SQLite file in the configuration's folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(default="", description="postgresql://user@host/database or sqlite:///path; empty: a SQLite file.")
    password: SecretRef | None = None
    keep_days: float = Field(default=30.0, gt=0)
    literals: Literal["keep", "redact"] = Field(
        default="keep", description="redact: SQL is recorded with ? for its literals, and errors without their words."
    )

    @field_validator("url")
    @classmethod
    def _known(cls, value: str) -> str:
        if value and not value.startswith(("postgresql://", "sqlite:///")):
            raise ValueError("write postgresql://user@host:5432/database or sqlite:////path/to/history.sqlite")
        if re.match(r"[a-z]+://[^/@]*:[^/@]+@", value) or "password=" in value:
            raise ValueError('keep the password out of the url: password = {env = "NAME"} or {file = "PATH"}')
        return value


class ProfileSettings(BaseModel):
    """How much of a source is read to say what its tables hold, by a job that gives way to callers' jobs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    automatic: bool = Field(
        default=True, description="At first use and after changes; false: only when awaitsql profile asks for it."
    )
    max_rows: int = Field(default=100_000, ge=1, description="Read of one table; of a larger one it is a sample.")
    max_bytes: int = Field(default=64_000_000, ge=100_000, description="Read of one table, in memory.")
    scan_rows: int = Field(
        default=5_000_000, ge=0, description="A table with more is never read from end to end, not in the database."
    )
    max_values: int = Field(default=100_000, ge=0, description="Distinct values listed of one column, for search.")
    value_chars: int = Field(default=200, ge=1, le=2_000, description="Longer values are not listed.")
    table_timeout_s: float = Field(default=10.0, gt=0, description="Of one statement.")
    timeout_s: float = Field(default=600.0, gt=0, description="Of one source; what is missing then comes next time.")
    max_age_s: float = Field(
        default=86_400.0, gt=0, description="After this a source is looked at again; unchanged tables are kept."
    )


class TracingSettings(BaseModel):
    """Where spans of requests, jobs and statements go, by OTLP over HTTP; without an endpoint there are none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    otlp_endpoint: str = Field(default="", description="http://host:4318, where a collector listens; empty: no traces.")
    sample_ratio: float = Field(
        default=1.0, ge=0, le=1, description="Of traces that begin here; a caller's trace is as its caller decided."
    )
    sql_text: bool = Field(default=False, description="Spans hold the SQL as its caller may read it, literals too.")
    sql_comment: bool = Field(
        default=True, description="Statements on a server end in a comment with the ids of their trace and job."
    )

    @field_validator("otlp_endpoint")
    @classmethod
    def _address(cls, value: str) -> str:
        if value and not re.fullmatch(r"https?://[^/@?#\s]+(/[^@?#\s]*)?", value):
            raise ValueError(
                "write it as http://host:4318; what it asks for to sign in goes to OTEL_EXPORTER_OTLP_HEADERS"
            )
        return value


class ObjectStoreSettings(BaseModel):
    """Where results are kept instead of in a directory: a bucket, with a prefix, in what obstore can open.

    `options` are obstore's for that kind of store (``region``, ``endpoint``, ``access_key_id`` …). What is secret is
    a reference, never a value; without any the environment's own credentials are used (roles, profiles).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(description="s3://bucket/prefix, gs://bucket/prefix or az://account/container/prefix.")
    options: dict[str, str | SecretRef] = Field(default_factory=dict)

    @field_validator("url")
    @classmethod
    def _readable(cls, value: str) -> str:
        if not re.fullmatch(r"(s3a?|gs|az|azure|abfss?|adl)://[^@?#]+", value):
            raise ValueError("write it as s3://bucket/prefix, gs://bucket/prefix or az://account/container/prefix")
        return value

    @field_validator("options")
    @classmethod
    def _no_secrets(cls, value: dict[str, str | SecretRef]) -> dict[str, str | SecretRef]:
        for name, told in value.items():
            if _SECRET.search(name.lower()) and not isinstance(told, SecretRef):
                raise ValueError(f'keep {name} out of the file: {name} = {{env = "NAME"}} or {{file = "PATH"}}')
        return value


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
    deployment: str = Field(
        default="",
        pattern="^[a-z0-9_-]{0,40}$",
        description="Names the queue in place of the sources, so that they may change while servers and workers run.",
    )
    signing_key: SecretRef | None = Field(
        default=None, description="Shared by servers and workers; made by itself on a single machine."
    )
    state_dir: Path
    results_dir: Path | None = None
    object_store: ObjectStoreSettings | None = None
    fsync: Literal["everysec", "always"] = Field(default="everysec", description="Of the embedded broker's log.")
    embedded_memory_mb: int = Field(default=256, ge=16)
    concurrency: int = Field(default=8, ge=1, le=256, description="Statements at once in one worker process.")
    lease_s: float = Field(default=10.0, ge=1)
    beat_s: float = Field(default=3.0, gt=0)
    input_timeout_s: float = Field(
        default=600.0, gt=0, le=43_200, description="A job whose question nobody answers for this long fails."
    )
    attempts: int = Field(default=3, ge=1, le=20)
    claim_timeout_s: float = Field(default=5.0, gt=0, description="A ticket nobody claims is sent again after this.")
    cancel_grace_s: float = Field(default=5.0, gt=0, description="A thread that will not stop is given up after this.")
    drain_timeout_s: float = Field(
        default=30.0, ge=0, description="A worker that is asked to stop gives back what it has not finished after this."
    )
    principal_max_running: int = Field(default=3, ge=1)
    principal_max_asking: int = Field(
        default=3, ge=1, description="Questions of one caller at once; their statements count apart."
    )
    queue_depth: int = Field(default=10_000, ge=1)
    result_ttl_s: float = Field(default=86_400.0, gt=0)
    cache_ttl_s: float = Field(
        default=60.0, ge=0, description="How long rows are given to equal statements; 0: each statement runs by itself."
    )
    results_max_bytes: int | None = Field(
        default=None, ge=1_000_000, description="All results together; beyond it the oldest go. Empty: no bound."
    )
    results_min_free_bytes: int = Field(
        default=1_000_000_000, ge=0, description="What results leave free on their disk; the oldest go to keep it so."
    )
    query_result_memory_mb: int = Field(
        default=1024, ge=64, description="The most memory of DuckDB for one statement over stored results."
    )
    query_result_max_running: int = Field(default=4, ge=1, description="Such statements at once, over all workers.")
    metrics_port: int | None = Field(
        default=None,
        ge=1,
        le=65_535,
        description="Where a worker serves its /metrics; worker processes of one server take the ports from here on.",
    )
    metrics_host: str = Field(
        default="127.0.0.1", min_length=1, description="The address of that port. Nobody signs in there."
    )
    limits: LimitSettings = LimitSettings()
    history: HistorySettings = HistorySettings()
    profile: ProfileSettings = ProfileSettings()
    tracing: TracingSettings = TracingSettings()
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
        changed limit does not strand the jobs already queued. A deployment's name stands in the place of the sources:
        what a statement was checked for, its order says in any case, and no worker runs it on another source.
        """
        told: dict[str, object] = {
            "store": STORE_VERSION,
            "sources": self.deployment or dict(sorted(self.source_fingerprints().items())),
            "results": str(self.results_dir or ""),
            "realm": self.realm,
        }
        if self.object_store is not None:
            told["objects"] = [self.object_store.url, self.object_store.options.get("endpoint")]
        return hashlib.blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=6).hexdigest()

    def fingerprint_of(self, source: str) -> str | None:
        """Of what a statement on `source` would read; None where there is no such source."""
        config = self.sources.get(source)
        if config is None:
            return RESULTS if source == RESULTS else None
        return config.fingerprint()

    def source_fingerprints(self) -> dict[str, str]:
        """By name, the fingerprint of each source."""
        return {name: source.fingerprint() for name, source in self.sources.items()}

    @property
    def named_sessions(self) -> str:
        """The sources whose sessions are named by the job's attempt, with spaces between and around them."""
        return " ".join(["", *(name for name, source in self.sources.items() if source.names_sessions), ""])

    def max_running(self, source: str) -> int:
        """How many statements on `source` run at once, over all workers."""
        return self.query_result_max_running if source == RESULTS else self.sources[source].max_running

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

    def sessions(self) -> dict[str, dict[str, str]]:
        """The settings that each source's sessions are given, as they were configured; only sources that have any."""
        return {name: session for name, source in self.sources.items() if (session := session_of(source))}
