"""What the user we connect as could do beyond reading, and the SQL that makes a safer one. Runs nothing itself.

Grants: https://mariadb.com/kb/en/grant/#privilege-levels and
https://dev.mysql.com/doc/refman/8.4/en/privileges-provided.html
"""

from __future__ import annotations

import re

from executor.adapters.base import Finding
from executor.adapters.mysql_schema import SYSTEM_SCHEMAS
from executor.adapters.mysql_wire import MySQLWire

_HARMLESS = frozenset({"USAGE", "SELECT", "SHOW VIEW", "SHOW DATABASES", "SHOW ROUTINE", "REFERENCES", "LOCK TABLES"})
"""What reads, or only shows names. REFERENCES and LOCK TABLES do nothing in a session of ours: both are statements of
their own, which the adapter does not take."""

_POWERS = {
    "SELECT": "read every database, the users' passwords among them",
    "FILE": "read and write files of the server",
    "SUPER": "change the server's settings and stop others' statements",
    "PROCESS": "see others' statements",
    "EXECUTE": "call stored functions, which have their makers' rights",
    "CONNECTION ADMIN": "stop others' statements",
    "CONNECTION_ADMIN": "stop others' statements",
    "CREATE USER": "make users",
    "CREATE ROUTINE": "make functions",
    "ALTER ROUTINE": "change functions",
    "EVENT": "make scheduled statements",
    "SHUTDOWN": "stop the server",
    "GRANT OPTION": "give its rights to others",
}
_WRITES = {
    "INSERT": "insert rows",
    "UPDATE": "change rows",
    "DELETE": "delete rows",
    "DROP": "drop tables",
    "CREATE": "make tables",
    "ALTER": "change tables",
    "CREATE TEMPORARY TABLES": "make temporary tables",
    "DELETE HISTORY": "delete rows of the past",
    "TRIGGER": "make triggers",
    "INDEX": "make indexes",
    "CREATE VIEW": "make views",
}
_NAME = r"(?:\*|`(?:[^`]|``)+`)"
_GRANT = re.compile(
    r"GRANT (?P<rights>.+?) ON (?:(?:TABLE|FUNCTION|PROCEDURE|PACKAGE BODY|PACKAGE) )?"
    rf"(?P<on>{_NAME}(?:\.{_NAME})?) TO "
)
_MEMBERSHIP = re.compile(
    r"(?:GRANT `[^`]+`(?:@`[^`]*`)?(?:\s*,\s*`[^`]+`(?:@`[^`]*`)?)* TO |SET DEFAULT ROLE |GRANT PROXY ON )"
)
_COLUMNS = re.compile(r"\s*\([^()]*\)")


def examine_user(source: str, wire: MySQLWire, schemas: tuple[str, ...]) -> list[Finding]:
    """What `doctor` says of the user behind `wire` and its roles in force; a single ``ok`` when it can only read."""
    user = str(wire.rows("SELECT CURRENT_USER()")[0][0])
    can: dict[str, str] = {}
    unread = False
    for line in _grants(wire):
        if _MEMBERSHIP.match(line):
            continue
        told = _GRANT.match(line)
        if told is None:
            unread = True
            continue
        rights = [right.strip().upper() for right in _COLUMNS.sub("", told["rights"]).split(",")]
        if line.rstrip().endswith("WITH GRANT OPTION") or " WITH GRANT OPTION " in line:
            rights.append("GRANT OPTION")
        for right in rights:
            if right not in _HARMLESS:
                can.setdefault(right, told["on"])
        if "SELECT" in rights and _reaches_the_system(told["on"]):
            can.setdefault("SELECT", told["on"])
    fix = _safer_user(schemas)
    found: list[Finding] = []
    if "ALL PRIVILEGES" in can:
        on = can["ALL PRIVILEGES"]
        files = ": a read-only transaction does not keep it from the server's files" if on == "*.*" else ""
        found.append(
            Finding("warning", f"Source {source} connects as {user}, who may do everything on {on}{files}.", fix)
        )
    else:
        words = [_POWERS.get(right) or _WRITES.get(right) or f"{right} on {on}" for right, on in can.items()]
        if words:
            told = ", ".join(dict.fromkeys(w for w in words))
            found.append(Finding("warning", f"Source {source} connects as {user}, who may {told}.", fix))
    if unread:
        found.append(Finding("warning", f"Source {source}: not every grant of {user} could be read.", fix))
    return found or [Finding("ok", f"Source {source} connects as {user}, who can only read.")]


def _grants(wire: MySQLWire) -> list[str]:
    """The grants of our user and of the roles in force, a line each. They may hold a password's hash: never shown."""
    lines = [str(line) for (line,) in wire.rows("SHOW GRANTS")]  # MariaDB's with those of the role
    role = wire.rows("SELECT CURRENT_ROLE()")[0][0]
    if "MariaDB" not in str(wire.rows("SELECT VERSION()")[0][0]) and role not in (None, "NONE"):
        lines = [str(line) for (line,) in wire.rows(f"SHOW GRANTS FOR CURRENT_USER() USING {role}")]
    return lines


def _reaches_the_system(on: str) -> bool:
    """Whether a right is on everything, or on a schema of the system that holds secrets."""
    return on == "*.*" or on.split(".", maxsplit=1)[0].strip("`").lower() in SYSTEM_SCHEMAS


def _safer_user(schemas: tuple[str, ...]) -> str:
    """SQL to paste: a user that may read these schemas and nothing else."""
    user = "'awaitsql_reader'@'%'"
    quoted = [f"`{name.replace('`', '``')}`" for name in schemas]
    return "\n".join(
        [
            f"CREATE USER {user} IDENTIFIED BY '…';",
            *(f"GRANT SELECT, SHOW VIEW ON {name}.* TO {user};" for name in quoted),
            f"ALTER USER {user} WITH MAX_USER_CONNECTIONS 40;",
            f"ALTER USER {user} WITH MAX_STATEMENT_TIME 3600; -- MariaDB only",
        ]
    )
