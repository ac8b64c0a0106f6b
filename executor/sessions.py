"""Settings that a source's sessions are given for whoever asks: their form. Pure; knows no caller and no database.

``session = {"app.tenant" = ":principal.tenant"}``: the caller's attribute becomes a setting of the database session,
for the database's own rules (row-level security) to go by. The one built-in name is ``role``; all others are custom
ones with a dot, so that no setting of the database itself can be changed by it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

ROLE = "role"
_CUSTOM = re.compile(r"[a-z_][a-z0-9_]{0,30}(?:\.[a-z_][a-z0-9_]{0,30})+\Z")
_ATTRIBUTE = re.compile(r":principal\.([A-Za-z_][A-Za-z0-9_]*)\Z")


def check_session(session: Mapping[str, str], *, takes_role: bool) -> None:
    """Hold the names and values to their form.

    Raises:
        ValueError: what is wrong, in words.
    """
    for name, value in session.items():
        if name == ROLE and not takes_role:
            raise ValueError("role cannot be set for a session of this kind of database")
        if name != ROLE and not _CUSTOM.match(name):
            raise ValueError(f'{name!r} is no name for a setting: use one of your own with a dot, as "app.tenant"')
        if value.startswith(":") and attribute_of(value) is None:
            raise ValueError(f'{value!r} is no value: write a text, or an attribute of the caller: ":principal.tenant"')


def attribute_of(value: str) -> str | None:
    """The name of the caller's attribute that a value stands for, or None where it stands for itself."""
    found = _ATTRIBUTE.match(value)
    return None if found is None else found.group(1)


def variable(name: str) -> str:
    """A setting's name as a MariaDB or MySQL session variable without its @: ``app.tenant`` is ``app_tenant``."""
    return name.replace(".", "_")
