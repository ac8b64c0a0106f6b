"""What the user we connect as could do beyond reading, and the SQL that makes a safer one. Runs nothing itself."""

from __future__ import annotations

import re

from executor.adapters.base import Finding
from executor.adapters.clickhouse_schema import Ask

_READS = frozenset({"SELECT", "SHOW", "KILL QUERY", "dictGet", "CHECK"})
_GRANT = re.compile(r"GRANT (.*?) ON (\S+) TO")
_COLUMNS = re.compile(r"\([^()]*\)")


def examine_user(source: str, ask: Ask, database: str) -> list[Finding]:
    """What our user's grants let it do, as SHOW GRANTS tells them."""
    rights: dict[str, str] = {}
    for (line,) in ask("SHOW GRANTS"):
        granted = _GRANT.match(str(line))
        if granted is not None:
            for right in _COLUMNS.sub("", granted[1]).split(","):
                rights.setdefault(right.strip(), granted[2])
    beyond = sorted(right for right in rights if right not in _READS and not right.startswith("SHOW "))
    if not beyond:
        return [Finding("ok", f"The user of source {source} may read, and nothing else.")]
    shown = ", ".join(beyond[:5]) + (" …" if len(beyond) > 5 else "")
    return [
        Finding(
            "warning",
            f"The user of source {source} may do more than read: {shown}. Statements are sent read-only all the same.",
            safer_user(database),
        )
    ]


def safer_user(database: str) -> str:
    """SQL that makes a user who may read one database; its password is to be put in."""
    name = "`" + database.replace("\\", "\\\\").replace("`", "\\`") + "`"
    return (
        "CREATE USER awaitsql_reader IDENTIFIED BY '...' SETTINGS readonly = 2; "
        f"GRANT SELECT ON {name}.* TO awaitsql_reader"
    )
