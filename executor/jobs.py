"""The nouns of a job, its states and the table of moves between them. Knows no broker, no database, no policy."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from executor.answers import InputRequest
from executor.errors import ExecutorError


class JobState(StrEnum):
    """Where a job is. Terminal states are final."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    """A person or the client must answer; holds no lease and no slot."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """Whether no move leads out of this state."""
        return not MOVES[self]


MOVES: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.FAILED, JobState.CANCELLED}),
    JobState.RUNNING: frozenset(
        {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.QUEUED, JobState.WAITING}
    ),
    JobState.WAITING: frozenset({JobState.QUEUED, JobState.FAILED, JobState.CANCELLED}),
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}
"""Every allowed move. The scripts in ``lua/`` are given their names and guards from here."""


PRIORITIES: dict[str, int] = {"high": 16, "normal": 4, "low": 1}
"""The classes of waiting jobs by name, as weights: while all wait, how many slots a class is given to another's."""

HIGHEST_PRIORITY = 100
"""The largest weight."""

RESULTS = "job results"
"""What a job over stored results names as its source. No configured source can have this name."""


class JobKind(StrEnum):
    """What a job does. Internal kinds carry no SQL."""

    QUERY = "query"
    DRY_RUN = "dry_run"
    """Explains a statement and runs no part of it."""
    INTROSPECT = "introspect"
    """Reads the source's schema."""
    QUERY_RESULT = "query_result"
    """Queries the stored results of other jobs."""
    PROBE = "probe"
    """Looks at how the source lets us in."""
    PROFILE = "profile"
    """Reads what the tables named in it hold, to be shared by all callers."""
    ASK = "ask"
    """Answers a question with statements that it submits itself. Served by another package, see `QUEUE_OF`."""


GENERATE = "generate"
"""The queue of questions."""

QUEUES: tuple[str, ...] = ("", GENERATE)
"""Every queue: that of statements, which has no name, and those that are served elsewhere. Each has its own workers,
slots, line and caps, so that a job that waits for jobs of another queue can never keep them from running."""

QUEUE_OF: dict[JobKind, str] = {JobKind.ASK: GENERATE}
"""The queue of a kind, where it is not that of statements."""


StopSeen = Literal["call", "server", "process"]
"""How a database was seen to have stopped a statement: the driver's call came back (the database runs in the worker);
the server, asked on another connection, does not run it any more; the process that ran it has ended."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one job may use: rows kept, bytes kept (Arrow, in memory), seconds of the statement, seconds of the job."""

    max_rows: int = 1_000_000
    max_bytes: int = 1_000_000_000
    timeout_s: float = 300.0
    job_timeout_s: float = 3600.0
    queue_timeout_s: float = 600.0


@dataclass(frozen=True, slots=True)
class CostGate:
    """What happens to a statement that the database expects to touch many rows for. Each is a number of rows, or None.

    Attributes:
        warn: above it the job runs and says that it was expensive.
        confirm: above it somebody has to say yes: the job waits for that, or fails with ``needs_confirmation``.
        refuse: above it the job fails with ``too_expensive``.
        confirm_by: who may say yes: the ``client`` (a model among them), or a ``human`` only.
    """

    warn: float | None = None
    confirm: float | None = None
    refuse: float | None = None
    confirm_by: Literal["client", "human"] = "client"

    @property
    def is_open(self) -> bool:
        """Whether nothing is ever stopped or said, so that nothing has to be explained."""
        return self.warn is None and self.confirm is None and self.refuse is None


@dataclass(frozen=True, slots=True)
class Touch:
    """What a policy did to one table that a statement reads: the proof that it was kept.

    Attributes:
        table: ``schema.name`` as the database spells it.
        rule: which rule of the policy, and where it stands; empty where no policy is configured.
        filtered: whether rows are hidden.
        masked: the columns that read as something else.
        denied: the columns that do not exist for the caller. Not to be shown to them.
    """

    table: str
    rule: str = ""
    filtered: bool = False
    masked: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Caution:
    """Why rows of a statement may mislead, found in its text.

    Attributes:
        code: stable.
        text: one sentence, or two.
        rows: it is so only of a result of this many rows or more.
        tied: it is so only where the last two rows have equal cells in these columns, by place (from 0) or name.
    """

    code: str
    text: str
    rows: int = 0
    tied: tuple[int | str, ...] = ()


@dataclass(frozen=True, slots=True)
class Input:
    """A stored result that a statement reads: under which name as a table, of which job and attempt, stored where."""

    name: str
    job_id: str
    attempt: int
    rows_of: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Where rows were read in the end: a source, and the hash of the grant that they were read under."""

    source: str
    policy_hash: str


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL that passed the guard, with its source and limits. Only ``mcp_server.sql.check`` makes one for a query.

    Attributes:
        source: the source's name.
        sql: the one text that runs.
        shown_sql: the same with the policy's parts shown as plain table names; what a caller may read.
        limits: see `Limits`.
        policy_hash: of the grant that the check used.
        kind: `JobKind.QUERY` or `JobKind.DRY_RUN`, or an internal kind with empty `sql`.
        cost: what it may cost; None where it is not asked.
        proof: what the policy did to each table that is read.
        cautions: why its rows may mislead.
        priority: the weight of the class it waits in, 1 to `HIGHEST_PRIORITY`; see `PRIORITIES`.
        session: ``(name, value)`` pairs that the database session is given for this caller.
        shared_with: whose equal statements may have its rows: ``nobody``'s where it may give others when it runs again.
        inputs: of `JobKind.QUERY_RESULT`: the results that are its tables.
        origins: of `JobKind.QUERY_RESULT`: where their rows were read.
        policy_version: of the policies that it was checked under; None where it is those that hold now.
        source_print: the fingerprint of the source whose tables it was checked against; None likewise.
        profiled: of `JobKind.PROFILE`: ``(schema, table)`` of those that may be read for all.
        anew_since: of `JobKind.PROFILE`: what was read before is read again, changed or not (broker's Unix seconds).
        asked: the caller's own text, before the check; for the record alone.
        asked_in: the dialect that it is written in.
        recorded: `sql` as it may be on record: without the values of row filters and the salt of hash masks.
    """

    source: str
    sql: str
    shown_sql: str
    limits: Limits
    policy_hash: str = ""
    kind: JobKind = JobKind.QUERY
    cost: CostGate | None = None
    proof: tuple[Touch, ...] = ()
    cautions: tuple[Caution, ...] = ()
    priority: int = PRIORITIES["normal"]
    session: tuple[tuple[str, str], ...] = ()
    shared_with: Literal["nobody", "principal", "equal_grant"] = "nobody"
    inputs: tuple[Input, ...] = ()
    origins: tuple[Origin, ...] = ()
    policy_version: str | None = None
    source_print: str | None = None
    profiled: tuple[tuple[str, str], ...] = ()
    anew_since: float = 0.0
    asked: str = ""
    asked_in: str = ""
    recorded: str = ""

    @property
    def tables(self) -> tuple[str, ...]:
        """Every table that is read, as ``schema.name``."""
        return tuple(touch.table for touch in self.proof)

    @property
    def is_filtered(self) -> bool:
        """Whether a policy hides rows of a table that is read, so that the database's numbers would tell of them."""
        return any(touch.filtered for touch in self.proof)


@dataclass(frozen=True, slots=True)
class Question:
    """What a job of `JobKind.ASK` is to answer, for the body that serves its queue.

    Attributes:
        source: the source's name.
        text: the question.
        details: what else the body is told, a text that only it reads; signed with the rest.
        limits: of the job; what its statements may use is said with each of them.
        policy_hash: of what the asker is given of the source.
        priority: as `Statement.priority`.
    """

    source: str
    text: str
    details: str
    limits: Limits
    policy_hash: str = ""
    priority: int = PRIORITIES["normal"]


@dataclass(frozen=True, slots=True)
class ResultColumn:
    """One column of a result: its name as the database gave it and a short type (``int``, ``decimal(38,9)`` …)."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Truncated:
    """Why a result holds less than the statement would give: `reason` ``max_rows`` or ``max_bytes``, and the limit."""

    reason: str
    limit: int


@dataclass(frozen=True, slots=True)
class ResultSummary:
    """What is known of a stored result without its rows.

    `columns` describes each column; `stats` holds, per column in the same order, ``{"nulls": int, "min": cell,
    "max": cell, "distinct": int or None, "top": [[cell, count], …]}`` with what the type allows, and
    ``"approximate": str`` where ``distinct`` and ``top`` come from a sample, in words. Of very many columns less is
    told, down to ``{}``.
    """

    columns: tuple[ResultColumn, ...]
    row_count: int
    bytes: int
    truncated: Truncated | None = None
    stats: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class ResultPage:
    """A bounded slice: JSON-ready `rows` (arrays of cells), where it begins, and the next `cursor` or None at the end.

    `complete` is False while the job still runs and more rows may come after `next_cursor`. `cut_cells` of its cells
    are shown cut, because their row alone is larger than a page; blocks and exports have them whole.
    """

    columns: tuple[ResultColumn, ...]
    rows: list[list[Any]]
    offset: int
    next_cursor: str | None
    complete: bool = True
    cut_cells: int = 0


@dataclass(frozen=True, slots=True)
class ResultBlock:
    """A bounded slice as the bytes of a file: `data` with `rows` rows from `offset` on, and the next `cursor` or None.

    `complete` is as in `ResultPage`.
    """

    data: bytes
    rows: int
    offset: int
    next_cursor: str | None
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Job:
    """One execution of one statement, as the job's row says. Times are Unix seconds, broker's clock.

    `error` is set when failed; `summary` and `preview` when rows are there; `place` (from 1) is where a queued job
    stands if jobs end as they did lately, and `starts_in_s` after how many seconds it then starts: None where that is
    not known; `workers_alive` how many workers beat in the last seconds; `proof` what the policy did to each table that
    is read, `cautions` why its rows may mislead, `origins` where they come from. `notes` holds what else was seen:
    ``estimate`` and ``plan`` of a statement that was explained, ``confirmation`` and ``confirm_by`` of one that needs a
    yes, ``shared`` (``joined`` or ``stored``) of one whose rows another job's run brought; ``stopped_after_ms`` and
    ``stop_seen`` (see `StopSeen`) once the database was seen to have stopped, counted from the cancel or from the
    end of the time, and ``left`` where the statement went on for other callers; ``waits_for`` (``record``, ``source``)
    of one that is queued for a worker of a newer version, or that has its source; ``broker_memory``, in percent,
    while the broker's memory is nearly full; ``slow_store``, seconds, where most of the time went into storing the
    rows; ``tables``, ``{"done", "total"}``, of a job that profiles a source; ``question``; ``generated`` (what its body
    told of itself) and ``answer_of`` (the job that brought its rows) of a question. `parent_id` is the job that
    submitted this one. Rows are stored under the id `rows_of` and this job's attempt, and were there at `rows_at`.
    `input_request` is what a waiting job asks, and `input_deadline_at` until when it waits for the answer. `seen_at` is
    when the row was read; None where the history tells of the job. `trace` is the context that the job's spans belong
    to, `run_trace` that of the run whose rows it shares; see `executor.tracing`.
    """

    id: str
    kind: JobKind
    owner: str
    source: str
    state: JobState
    stage: str
    attempt: int
    shown_sql: str
    submitted_at: float
    limits: Limits
    policy_hash: str = ""
    started_at: float | None = None
    finished_at: float | None = None
    cancel_requested_at: float | None = None
    deadline_at: float | None = None
    expires_at: float | None = None
    rows: int = 0
    bytes: int = 0
    error: ExecutorError | None = None
    summary: ResultSummary | None = None
    preview: list[list[Any]] = field(default_factory=list)
    place: int | None = None
    starts_in_s: float | None = None
    workers_alive: int | None = None
    proof: tuple[Touch, ...] = ()
    cautions: tuple[Caution, ...] = ()
    origins: tuple[Origin, ...] = ()
    notes: dict[str, Any] = field(default_factory=dict)
    rows_of: str = ""
    parent_id: str = ""
    rows_at: float | None = None
    input_request: InputRequest | None = None
    input_deadline_at: float | None = None
    seen_at: float | None = None
    trace: str = ""
    run_trace: str = ""

    @property
    def is_finished(self) -> bool:
        """Whether the state is terminal."""
        return self.state.is_terminal
