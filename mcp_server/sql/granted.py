"""Which tables of a source exist for a principal, and what of them. Knows the policy's nouns and no SQL text.

A partition, and a table that inherits, has its parents' rules as well as its own; a parent does not exist where one of
its children hides more than it does, for it would show the child's rows. A view that reaches a table with a rule does
not exist unless the grant names it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from executor import Column, SourceSchema, Table
from mcp_server.policy import Grant, Mask, Predicate, TableGrant
from mcp_server.sql.dialects import DialectRules, dialect_rules
from mcp_server.sql.schema_index import Names, index_of


@dataclass(frozen=True, slots=True)
class GrantedTable:
    """One table as the principal sees it: its columns without those denied, masks by column, filters to AND.

    `plain` is True when nothing of it is hidden; `denied` names the columns that are. `reaches` is True
    of a view that may be read although something below it is protected.
    """

    table: Table
    columns: tuple[Column, ...]
    masks: dict[str, Mask]
    filters: tuple[Predicate, ...]
    plain: bool
    denied: tuple[str, ...] = ()
    reaches: bool = False

    @property
    def hides(self) -> bool:
        """Whether a plan over the table, or its numbers, would tell of what is hidden, here or below a view."""
        return self.reaches or not self.plain

    @property
    def key(self) -> tuple[str, str]:
        """Schema and name as the database spells them."""
        return (self.table.schema, self.table.name)


_STRICTNESS = {"null": 0, "constant": 1, "hash": 2, "date": 3, "partial": 4}
"""Where two rules mask one column, the one that tells less counts."""

_NAMES: OrderedDict[tuple[int, int], tuple[SourceSchema, Grant, Names]] = OrderedDict()
_GRANTS_KNOWN = 64


def granted_tables(schema: SourceSchema, grant: Grant) -> list[GrantedTable]:
    """Every table of `schema` that exists under `grant`, as it exists there, in the schema's order.

    Raises:
        LookupError: the schema is of a dialect that the guard does not know.
    """
    rules = dialect_rules(schema.dialect)
    if rules is None:
        raise LookupError(schema.dialect)
    return Granted(schema, grant, rules).all()


class Granted:
    """The tables of one source schema under one grant. Nothing is worked out before it is asked for."""

    def __init__(self, schema: SourceSchema, grant: Grant, rules: DialectRules) -> None:
        self._schema = schema
        self._grant = grant
        self._rules = rules
        self._index = index_of(schema)
        self._tables = dict(grant.tables)

    def _rule(self, schema: str, name: str) -> TableGrant | None:
        """`Grant.rule`, for many questions."""
        if self._grant.schemas is not None and schema not in self._grant.schemas:
            return None
        rule = self._tables.get((schema, name), self._grant.others)
        return rule if rule is not None and rule.exists else None

    def _named(self, schema: str, name: str) -> Table | None:
        return self._index.exact.get((schema, name))

    def find(self, schema: str, name: str) -> GrantedTable | None:
        """The table that `schema` and `name`, folded by the dialect's rules, stand for; schema "" is the default."""
        schema = schema or self._schema.default_schema
        table = self._named(schema, name)
        if table is None and self._rules.folds == "any":
            table = self._index.folded.get((schema.lower(), name.lower()))
        return None if table is None else self._grant_of(table)

    def _grant_of(self, table: Table) -> GrantedTable | None:
        rules = self._rules_of(table)
        if rules is None or any(self._hides_more(child, rules) for child in self._children(table)):
            return None
        reaches = bool(table.reads) and self._reaches_protected(table)
        if reaches and (table.schema, table.name) not in self._grant.views:
            return None
        columns = tuple(c for c in table.columns if all(r.gives(c.name) for r in rules))
        if table.columns and not columns:
            return None
        if not any(rule.protects for rule in rules):
            return GrantedTable(table, table.columns, {}, (), plain=True, reaches=reaches)
        masks: dict[str, Mask] = {}
        for name, mask in (pair for rule in rules for pair in rule.masks):
            if name not in masks or _STRICTNESS[mask.kind] < _STRICTNESS[masks[name].kind]:
                masks[name] = mask
        filters = tuple(rule.rows for rule in rules if rule.rows is not None)
        plain = len(columns) == len(table.columns) and not filters and not any(c.name in masks for c in columns)
        denied = tuple(c.name for c in table.columns if c not in columns)
        return GrantedTable(table, columns, masks, filters, plain, denied, reaches)

    def all(self) -> list[GrantedTable]:
        """Every table that exists for the principal, in the schema's order."""
        return [granted for table in self._schema.tables if (granted := self._grant_of(table)) is not None]

    def _rules_of(self, table: Table) -> list[TableGrant] | None:
        """The table's own rule and those of all it inherits from; None when one of them is not granted."""
        rules: list[TableGrant] = []
        seen: set[tuple[str, str]] = set()
        waiting = [(table.schema, table.name)]
        while waiting:
            key = waiting.pop()
            if key in seen:
                continue
            seen.add(key)
            rule = self._rule(*key)
            if rule is None:
                return None
            rules.append(rule)
            named = table if key == (table.schema, table.name) else self._named(*key)
            waiting.extend(named.inherits if named is not None else ())
        return rules

    def _children(self, table: Table) -> Iterable[Table]:
        """Every table whose rows are this one's too, at any depth."""
        children = self._index.children
        waiting, seen = [(table.schema, table.name)], set[tuple[str, str]]()
        while waiting:
            parent = waiting.pop()
            if parent not in seen:
                seen.add(parent)
                for child in children.get(parent, ()):
                    yield child
                    waiting.append((child.schema, child.name))

    def _hides_more(self, child: Table, of_parent: Sequence[TableGrant]) -> bool:
        """Whether rows of `child` would be seen through a parent that may not be seen in it."""
        own = self._tables.get((child.schema, child.name))
        if own is not None and not own.exists:
            return True
        rule = self._rule(child.schema, child.name)
        return rule is not None and rule.protects and rule not in of_parent

    def _reaches_protected(self, view: Table) -> bool:
        """Whether anything below `view` is protected, or may be: what introspection could not see counts as that."""
        seen: set[tuple[str, str]] = set()
        waiting = list(view.reads)
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            table = self._named(*name)
            if table is None:
                if self._protects_anything:
                    return True
                continue
            below = self._rules_of(table)
            if below is None or any(rule.protects for rule in below):
                return True
            if any(self._hides_more(child, below) for child in self._children(table)):
                return True
            waiting.extend(table.reads)
        return False

    @property
    def _protects_anything(self) -> bool:
        rules = [*self._tables.values(), *([self._grant.others] if self._grant.others is not None else [])]
        return self._grant.others is None or any(rule.protects or not rule.exists for rule in rules)

    def suggestion(self, name: str) -> str:
        """The granted table whose name is most like `name`, written as a caller would write it, or ""."""
        return self._names().nearest(name)

    def _names(self) -> Names:
        """The granted names, remembered for a schema and a grant."""
        key = (id(self._schema), id(self._grant))
        known = _NAMES.get(key)
        if known is not None and known[0] is self._schema and known[1] is self._grant:
            return known[2]
        shown: dict[str, str] = {}
        for table in (granted.table for granted in self.all()):
            is_default = table.schema == self._schema.default_schema
            shown.setdefault(table.name.lower(), table.name if is_default else f"{table.schema}.{table.name}")
        names = Names(shown)
        _NAMES[key] = (self._schema, self._grant, names)
        while len(_NAMES) > _GRANTS_KNOWN:
            _NAMES.popitem(last=False)
        return names
