"""``awaitsql keys``: the signing keys of a configuration: listed, rotated, removed. Never shows one, but to be kept."""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from executor import KeyRing, PlacedKeys, SettingsInvalid, SigningKey, signing_keys
from mcp_server.commands.acting import put_on_record
from mcp_server.commands.exits import Exit
from mcp_server.commands.options import Where

_DAY_S = 86_400.0
_HOUR_S = 3_600.0


def run_list(where: Where, *, as_json: bool) -> int:
    """All keys, by their ids, and what each is good for."""
    ring = signing_keys(where.settings().executor).ring()
    told = [_told(key, ring) for key in ring.keys]
    if as_json:
        sys.stdout.write(json.dumps({"keys": told}) + "\n")
        return Exit.DONE
    table = Table(show_edge=False, header_style="bold")
    for column in ("key", "state", "signs from", "accepted until"):
        table.add_column(column)
    for one in told:
        table.add_row(one["id"], one["state"], one["signs_from"] or "the beginning", one["accepted_until"] or "")
    Console(highlight=False).print(table)
    return Exit.DONE


def run_rotate(where: Where, *, after_s: float, accepted_hours: float | None, as_json: bool) -> int:
    """Makes a new key that signs in `after_s` seconds; the one before is accepted for `accepted_hours` from then on."""
    settings = where.settings().executor
    if after_s < 0 or (accepted_hours is not None and accepted_hours <= 0):
        raise SettingsInvalid(
            message="--after and --accepted-hours are not below 0.", hint="Leave them out for the defaults."
        )
    # what was signed is opened as long as a job may run and its rows are kept
    accepted_s = _DAY_S + settings.result_ttl_s if accepted_hours is None else accepted_hours * _HOUR_S
    now = time.time()

    def changed(ring: KeyRing) -> KeyRing:
        kept_s = settings.history.keep_days * _DAY_S
        after = ring.rotated(now=now, after_s=after_s, accepted_s=accepted_s, kept_s=kept_s)
        new = after.keys[-1]
        put_on_record(settings, "key_rotated", key=new.id, before=ring.signing(now).id, signs_from=new.signs_from)
        return after

    return _change(signing_keys(settings), changed, as_json=as_json)


def run_remove(key_id: str, where: Where, *, as_json: bool) -> int:
    """Removes a key: what it signed is refused from now on, of the past too."""
    settings = where.settings().executor

    def changed(ring: KeyRing) -> KeyRing:
        after = ring.without(key_id, now=time.time())
        put_on_record(settings, "key_removed", key=key_id)
        return after

    return _change(signing_keys(settings), changed, as_json=as_json)


def _change(keys: PlacedKeys, changed: Any, *, as_json: bool) -> int:
    ring, is_written = keys.change(changed)
    console = Console(stderr=True, highlight=False)
    if not is_written:
        console.print("The key comes from a variable: put this text there and restart servers and workers in turn.")
        sys.stdout.write(ring.text())
        return Exit.DONE
    told = [_told(key, ring) for key in ring.keys]
    if as_json:
        sys.stdout.write(json.dumps({"keys": told}) + "\n")
        return Exit.DONE
    for one in told:
        console.print(f"{one['id']}  {one['state']}")
    console.print(f"Written to {keys.path}; servers and workers that read it follow within seconds.", soft_wrap=True)
    return Exit.DONE


def _told(key: SigningKey, ring: KeyRing) -> dict[str, Any]:
    return {
        "id": key.id,
        "state": ring.state_of(key, time.time()),
        "signs_from": _iso(key.signs_from) if key.signs_from else None,
        "accepted_until": None if key.accepted_until is None else _iso(key.accepted_until),
    }


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
