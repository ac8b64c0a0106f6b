"""The rules of one source as they were read: filters parsed, masks made, each with its place in the file.

Knows no caller and no schema; `mcp_server.grants` brings the three together.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from executor import CostGate
from mcp_server.policy import AllOf, AnyOf, Attribute, Compare, IsNull, Mask, OneOf, Predicate, Value
from mcp_server.policy_settings import MaskSettings, ProtectSettings, RuleSettings
from mcp_server.principal import AttributeValue, Principal

if TYPE_CHECKING:
    from mcp_server.problems import Places


@dataclass(frozen=True, slots=True)
class Protection:
    """What a rule hides of one table, and where the file says so.

    `place` is of the table's entry; `places` of single settings in it: ``rows``, ``masks.email``, ``deny``.
    """

    table: str
    columns: tuple[str, ...] | None
    denied: tuple[str, ...]
    masks: tuple[tuple[str, Mask], ...]
    rows: Predicate | None
    place: str
    places: Mapping[str, str]

    def named_columns(self) -> list[tuple[str, str]]:
        """Every column that the entry names, with the place where it does."""
        found = [(name, self.places.get("columns", self.place)) for name in self.columns or ()]
        found += [(name, self.places.get("deny", self.place)) for name in self.denied]
        found += [(name, self.places.get(f"masks.{name}", self.place)) for name, _ in self.masks]
        found += [(name, self.places.get("rows", self.place)) for name in filter_columns(self.rows)]
        return found


_NOT_READ = {"name", "max_rows", "max_bytes", "timeout_s", "cost", "priority", "share"}
"""What of a rule changes nothing of what a statement reads."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: whom it is for, and what it gives."""

    label: str
    place: str
    settings: RuleSettings
    protections: tuple[Protection, ...]
    cost: CostGate | None

    def fits(self, principal: Principal) -> bool:
        """Whether the rule is for this caller."""
        wanted = self.settings
        if wanted.roles and not principal.roles.intersection(wanted.roles):
            return False
        return all(
            bool(_several(principal.attribute(name)) & _several(value)) for name, value in wanted.attributes.items()
        )

    def version(self, principal: Principal, salt: str) -> str:
        """Names what the rule gives this caller: the rule's text, the attributes its filters ask for, the salt."""
        asked = sorted({name for p in self.protections for name in filter_attributes(p.rows)})
        told = [self.settings.model_dump(mode="json", exclude=_NOT_READ), [principal.attribute(n) for n in asked], salt]
        return json.dumps(told, sort_keys=True, default=str)


def read_rule(source: str, index: int, settings: RuleSettings, places: Places, *, cost: CostGate | None) -> Rule:
    """The rule number `index` of `source`.

    Args:
        source: the source's name.
        index: from 0.
        settings: what the file says.
        places: where it says it.
        cost: what a statement may cost where the rule does not say.

    Raises:
        ValueError: a row filter that is not understood; the message begins with its place.
    """
    path = ("mcp_server", "policies", source, str(index))
    protections = tuple(
        _protection(table, entry, (*path, "protect", table), places) for table, entry in settings.protect.items()
    )
    return Rule(
        label=settings.name or f"{source} rule {index + 1}",
        place=places.of(path),
        settings=settings,
        protections=protections,
        cost=cost if settings.cost is None else settings.cost.gate(cost),
    )


def _protection(table: str, entry: ProtectSettings, path: tuple[str, ...], places: Places) -> Protection:
    rows = None
    if entry.rows is not None:
        from mcp_server.sql.row_filters import row_filter  # noqa: PLC0415 - the grammar is loaded where it is needed

        try:
            rows = row_filter(entry.rows)
        except ValueError as error:
            raise ValueError(f"{places.of((*path, 'rows'))}: {error}.") from error
    return Protection(
        table=table,
        columns=entry.columns,
        denied=entry.deny,
        masks=tuple((column, _mask(mask)) for column, mask in entry.masks.items()),
        rows=rows,
        place=places.of(path),
        places={
            "columns": places.of((*path, "columns")),
            "deny": places.of((*path, "deny")),
            "rows": places.of((*path, "rows")),
            **{f"masks.{column}": places.of((*path, "masks", column)) for column in entry.masks},
        },
    )


def _mask(settings: MaskSettings | str) -> Mask:
    if settings == "null":
        return Mask("null")
    if settings == "hash":
        return Mask("hash")
    assert isinstance(settings, MaskSettings)  # noqa: S101 - the model's only other alternative
    return Mask(
        kind=settings.kind,
        value="" if settings.value is None else settings.value,
        keep_start=settings.keep_start,
        keep_end=settings.keep_end,
        unit=settings.unit or "month",
    )


def _several(value: AttributeValue | None) -> set[str]:
    """The values of an attribute, compared as they are written: 7 and "7" are one."""
    if value is None:
        return set()
    return {str(one) for one in (value if isinstance(value, tuple) else (value,))}


def filter_columns(predicate: Predicate | None) -> list[str]:
    """The columns that a filter compares."""
    return [one.column for one in _leaves(predicate)]


def filter_attributes(predicate: Predicate | None) -> list[str]:
    """The attributes of the caller that a filter asks for."""
    return [value.name for one in _leaves(predicate) for value in _values(one) if isinstance(value, Attribute)]


def _values(leaf: Predicate) -> tuple[Value, ...]:
    if isinstance(leaf, Compare):
        return (leaf.value,)
    return leaf.values if isinstance(leaf, OneOf) else ()


def _leaves(predicate: Predicate | None) -> list[Compare | OneOf | IsNull]:
    if predicate is None:
        return []
    if isinstance(predicate, AllOf | AnyOf):
        return [leaf for part in predicate.parts for leaf in _leaves(part)]
    return [predicate]
