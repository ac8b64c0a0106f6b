"""Row filters and session settings bound to a caller: attributes become constants. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from executor import Table, attribute_of
from mcp_server.column_kinds import as_kind, column_kind
from mcp_server.policy import AllOf, AnyOf, Attribute, Compare, Constant, IsNull, OneOf, Predicate, Value
from mcp_server.principal import Principal


class Unbound(LookupError):
    """The caller has not the attribute that a filter asks for, or it is not of the column's type."""


def bound(predicate: Predicate, table: Table, principal: Principal | None) -> Predicate:
    """`predicate` for `principal` over `table`. Without a principal only the constants are looked at.

    Raises:
        Unbound: an attribute that is missing or of the wrong type. Names the attribute.
        ValueError: a constant of the wrong type. Names the column.
    """
    if isinstance(predicate, AllOf | AnyOf):
        return type(predicate)(tuple(bound(part, table, principal) for part in predicate.parts))
    if isinstance(predicate, IsNull):
        return predicate
    if isinstance(predicate, Compare):
        found = _constants(predicate.value, predicate.column, table, principal)
        if len(found) == 1:
            return Compare(predicate.column, predicate.op, found[0])
        # one of several values: equal to any of them, or to none
        if predicate.op not in ("=", "<>"):
            raise Unbound(_name(predicate.value))
        return OneOf(predicate.column, found, negated=predicate.op == "<>")
    values = tuple(v for value in predicate.values for v in _constants(value, predicate.column, table, principal))
    return OneOf(predicate.column, values, negated=predicate.negated)


def bound_session(session: Mapping[str, str], principal: Principal) -> tuple[tuple[str, str], ...]:
    """The settings of a database session for `principal`, as ``(name, value)`` pairs in the order of their names.

    Raises:
        Unbound: an attribute that is missing, or is not one text or number. Names the attribute.
    """
    found: list[tuple[str, str]] = []
    for name, value in sorted(session.items()):
        attribute = attribute_of(value)
        given = value if attribute is None else principal.attribute(attribute)
        if given is None or isinstance(given, tuple) or "\0" in str(given):
            raise Unbound(attribute or name)
        found.append((name, str(given).lower() if isinstance(given, bool) else str(given)))
    return tuple(found)


def _constants(value: Value, column: str, table: Table, principal: Principal | None) -> tuple[Constant, ...]:
    kind = column_kind(next((c.type for c in table.columns if c.name == column), ""))
    if not isinstance(value, Attribute):
        try:
            return (as_kind(value, kind),)
        except ValueError as error:
            raise ValueError(f"{column} is {kind}: {error}") from error
    if principal is None:
        return ()
    given = principal.attribute(value.name)
    if given is None:
        raise Unbound(value.name)
    try:
        return tuple(as_kind(one, kind) for one in (given if isinstance(given, tuple) else (given,)))
    except ValueError as error:
        raise Unbound(value.name) from error


def _name(value: Value) -> str:
    return value.name if isinstance(value, Attribute) else ""
