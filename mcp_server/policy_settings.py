"""The shapes of ``[mcp_server.policies]``, ``[mcp_server.local_principal]`` and cost limits. Pure: means nothing yet.

What a rule means for a caller and a source is `mcp_server.grants`' to say.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from executor import HIGHEST_PRIORITY, PRIORITIES, CostGate

Scalar = str | int | float | bool


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CostSettings(_Table):
    """Rows that the database may expect to touch. See `executor.CostGate`."""

    warn: float | None = Field(default=None, gt=0, description="Above it the job says that it was expensive.")
    confirm: float | None = Field(default=None, gt=0, description="Above it somebody has to say yes first.")
    refuse: float | None = Field(default=None, gt=0, description="Above it the job fails.")
    confirm_by: Literal["client", "human"] = Field(default="client", description="Who may say yes.")

    @model_validator(mode="after")
    def _rises(self) -> CostSettings:
        given = [limit for limit in (self.warn, self.confirm, self.refuse) if limit is not None]
        if given != sorted(given):
            raise ValueError("warn may not be above confirm, nor confirm above refuse")
        return self

    def gate(self, default: CostGate | None = None) -> CostGate | None:
        """The same as the noun, what is not said taken from `default`; None when nothing is limited."""
        other = default or CostGate()
        gate = CostGate(
            warn=other.warn if self.warn is None else self.warn,
            confirm=other.confirm if self.confirm is None else self.confirm,
            refuse=other.refuse if self.refuse is None else self.refuse,
            confirm_by=self.confirm_by if "confirm_by" in self.model_fields_set else other.confirm_by,
        )
        return None if gate.is_open else gate


class MaskSettings(_Table):
    """What is read in place of a column's values. See `mcp_server.policy.Mask`."""

    kind: Literal["null", "constant", "hash", "partial", "date"]
    value: Scalar | None = Field(default=None, description="Of a constant.")
    keep_start: int = Field(default=0, ge=0, le=100, description="Of a partial mask, in characters.")
    keep_end: int = Field(default=0, ge=0, le=100, description="Of a partial mask, in characters.")
    unit: Literal["year", "quarter", "month", "day", "hour"] | None = Field(default=None, description="Of a date mask.")

    @model_validator(mode="after")
    def _fits_its_kind(self) -> MaskSettings:
        given = {
            "constant": self.value is not None,
            "partial": self.keep_start > 0 or self.keep_end > 0,
            "date": self.unit is not None,
        }
        for kind, is_given in given.items():
            if is_given and kind != self.kind:
                raise ValueError(f'only a mask of kind = "{kind}" takes that setting')
        if self.kind == "constant" and self.value is None:
            raise ValueError('a constant needs its value: { kind = "constant", value = "***" }')
        if self.kind == "date" and self.unit is None:
            raise ValueError('a date mask needs its unit: { kind = "date", unit = "month" }')
        return self


class ProtectSettings(_Table):
    """What is hidden of one table."""

    columns: tuple[str, ...] | None = Field(default=None, description="The only columns that exist; or:")
    deny: tuple[str, ...] = Field(default=(), description="Columns that do not exist.")
    rows: str | None = Field(default=None, description="Which rows exist: tenant_id = :principal.tenant")
    masks: dict[str, MaskSettings | Literal["null", "hash"]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_way(self) -> ProtectSettings:
        if self.columns is not None and self.deny:
            raise ValueError("give columns (those that exist) or deny (those that do not), not both")
        return self


class RuleSettings(_Table):
    """One rule of a source: whom it is for, and what it gives them. The first rule that fits the caller counts."""

    name: str = Field(default="", description="What the proof of a job calls it.")
    roles: tuple[str, ...] = Field(default=(), description="The caller has one of these; empty: any caller.")
    attributes: dict[str, Scalar | tuple[str | int, ...]] = Field(
        default_factory=dict, description="The caller has each of these, with one of the values."
    )
    schemas: tuple[str, ...] | None = Field(default=None, description="The schemas that exist; none: all.")
    tables: tuple[str, ...] | None = Field(
        default=None, description="The tables that exist: name, schema.name, or either with *; none: all."
    )
    views: tuple[str, ...] = Field(
        default=(), description="Views that may be read though they reach a protected table."
    )
    max_rows: int | None = Field(default=None, ge=1)
    max_bytes: int | None = Field(default=None, ge=1_000)
    timeout_s: float | None = Field(default=None, gt=0)
    cost: CostSettings | None = None
    priority: Literal["high", "normal", "low"] | Annotated[int, Field(strict=True, ge=1, le=HIGHEST_PRIORITY)] = Field(
        default="normal", description="Which jobs go first when slots are free: a name, or a weight of 1 to 100."
    )
    share: Literal["principal", "equal_grant"] = Field(
        default="principal", description="Whose equal statements may have the same rows: the caller's, or all with it."
    )
    protect: dict[str, ProtectSettings] = Field(default_factory=dict)

    @property
    def weight(self) -> int:
        """The priority as a weight."""
        return self.priority if isinstance(self.priority, int) else PRIORITIES[self.priority]


class LocalPrincipalSettings(_Table):
    """Who the caller is over stdio, on loopback and on the command line."""

    roles: tuple[str, ...] = ()
    attributes: dict[str, Scalar | tuple[str | int, ...]] = Field(default_factory=dict)


PolicySettings = dict[str, tuple[RuleSettings, ...]]
"""The rules by source. A source that is not named is whole for every caller."""
