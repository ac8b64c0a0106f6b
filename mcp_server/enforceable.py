"""Whether what the configuration asks of a source can be kept on its kind; asked before anything starts."""

from __future__ import annotations

from collections.abc import Iterator

from executor import GenericSource, SettingsInvalid
from mcp_server.policy_settings import RuleSettings
from mcp_server.settings import Settings

_PLAIN_MASKS = ("null", "constant")


def check_enforceable(settings: Settings) -> None:
    """Refuse the rules that a kind cannot keep, and kinds that the guard cannot read.

    Raises:
        SettingsInvalid: one sentence for each, with its place.
    """
    told: list[str] = []
    for name, source in settings.executor.sources.items():
        if isinstance(source, GenericSource):
            path = ("executor", "sources", name)
            told += [f"{settings.places.of(path)}: {why}" for why in _unread(source)]
            if settings.mcp_server.cost.gate() is not None:
                place = settings.places.of(("mcp_server", "cost"))
                told.append(
                    f"{place}: {source.kind} tells no cost before it runs a statement: this cannot be kept for source "
                    f"{name}. Give cost to the rules of the sources that it is meant for."
                )
            for index, rule in enumerate(settings.mcp_server.policies.get(name, ())):
                place = settings.places.of(("mcp_server", "policies", name, str(index)))
                told += [f"{place}: {why}" for why in _unkept(source.kind, rule)]
    if told:
        raise SettingsInvalid(message="\n".join(told), hint="Give the database's own user these limits instead.")


def _unread(source: GenericSource) -> Iterator[str]:
    from mcp_server.sql import dialect_names  # noqa: PLC0415 - the grammar is loaded where it is needed

    if source.dialect not in dialect_names():
        yield f"There is no list of the functions that SQL may call on {source.kind}, so nothing may be read there."


def _unkept(kind: str, rule: RuleSettings) -> Iterator[str]:
    """What was not tried on the kind: whether a filter hides rows from errors too, and how a mask is computed."""
    if rule.cost is not None:
        yield f"{kind} tells no cost before it runs a statement: cost cannot be kept."
    for table, protection in rule.protect.items():
        if protection.rows is not None:
            yield f"{kind} is untested: the row filter of {table} cannot be promised."
        for column, mask in protection.masks.items():
            told = mask if isinstance(mask, str) else mask.kind
            if told not in _PLAIN_MASKS:
                yield f"{kind} is untested: the {told} mask of {table}.{column} cannot be promised."
