"""How far an ask is: kept after every step, so that another worker goes on from there and repeats nothing."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from executor import Voice
from mcp_server.generate.drafts import Draft, SqlDraft


class Dear(BaseModel):
    """A statement that somebody has to say yes to before it runs.

    Attributes:
        why: what the database expects of it, in words.
        token: says yes to it, for ten minutes.
        by: who may say so.
        asked: how often somebody was asked before.
    """

    model_config = ConfigDict(frozen=True)

    why: str
    token: str
    by: Voice
    asked: int = 0


class Try(BaseModel):
    """One draft and what came of it. Fields are filled as it goes on.

    Attributes:
        draft: as the model wrote it.
        child: the job that ran its SQL, once it succeeded.
        rows_hash: of that job's first rows.
        feedback: what the model is told of it next time.
        code: of the refusal or the failure.
        doubts: what speaks against its rows.
        dear: while its cost waits for a yes.
    """

    draft: Draft
    child: str = ""
    rows_hash: str = ""
    feedback: str = ""
    code: str = ""
    doubts: list[str] = Field(default_factory=list[str])
    dear: Dear | None = None

    @property
    def sql(self) -> str:
        """Its SQL in one spelling of spaces; empty for a draft without."""
        return " ".join(self.draft.sql.split()).rstrip("; ") if isinstance(self.draft, SqlDraft) else ""


class Progress(BaseModel):
    """An ask so far.

    Attributes:
        rounds: of each the drafts; one, or several candidates in the first.
        tokens_in: of all calls of the model.
        tokens_out: likewise.
        calls: how many.
    """

    model_config = ConfigDict(validate_assignment=False)

    rounds: list[list[Try]] = Field(default_factory=list[list[Try]])
    tokens_in: int = 0
    tokens_out: int = 0
    calls: int = 0

    @property
    def tokens(self) -> int:
        """In and out."""
        return self.tokens_in + self.tokens_out

    @classmethod
    def of(cls, kept: str) -> Progress:
        """From what an earlier attempt kept, or a beginning."""
        return cls.model_validate_json(kept) if kept else cls()
