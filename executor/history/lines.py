"""The audit as lines of JSON: exported from the history, and checked again where there is no history.

Each line is a row with all that its hash covers, and the hash before it; the last line says what was exported, and is
sealed with the configuration's key. So a line that was changed, left out, added or moved is found in the file alone.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import unquote

from sqlalchemy import Engine, or_, select

from executor.history.chain import row_hash, text_of
from executor.history.tables import audit, chains, jobs
from executor.signing import Signer, canonical

_AT_ONCE = 2_000
_SEAL = "audit export"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows are exported; what is None does not matter.

    Attributes:
        since: Unix seconds; the first moment that counts.
        until: likewise; the first that does not count any more.
        owner: whose jobs and acts: client, issuer and subject, as jobs are owned.
        what: only these: ``submitted``, ``succeeded``, ``refused``, ``token_created`` …
        job_id: only this job.
    """

    since: float | None = None
    until: float | None = None
    owner: str | None = None
    what: tuple[str, ...] = ()
    job_id: str | None = None


@dataclass(frozen=True, slots=True)
class FileReport:
    """What a look at an exported file found.

    Attributes:
        holds: whether every line is as it was exported, and none is missing.
        lines: how many rows were looked at.
        broken_at: the number of the first line that does not fit, or None.
        message: the same in a sentence.
    """

    holds: bool
    lines: int
    broken_at: int | None
    message: str


def line_of(chain: str, seq: int, event: str, job_id: str, at: float, content: str, prev: str) -> dict[str, Any]:
    """A row as it is exported; `told` and `who` say again, for readers, what stands in `content`."""
    kept: dict[str, Any] = json.loads(content)
    told = _told_in(kept)
    owner = str(told.get("owner") or kept.get("owner") or "")
    parts = [unquote(part) for part in owner.split("/")]
    return {
        "seq": seq,
        "time": _time_of(at),
        "what": kept.get("what", ""),
        "job_id": job_id,
        "who": dict(zip(("client", "issuer", "subject"), parts, strict=False)) if owner else None,
        "told": told or None,
        "content": kept,
        "chain": chain,
        "event": event,
        "at": at,
        "prev": prev,
        "hash": row_hash(prev, chain, seq, event, job_id, at, content),
    }


def _told_in(kept: dict[str, Any]) -> dict[str, Any]:
    """What a row's record tells; nothing where it is none of ours: whoever reaches the broker can write one."""
    try:
        told: object = json.loads(kept["record"])
    except (KeyError, TypeError, ValueError):
        return {}
    return cast("dict[str, Any]", told) if isinstance(told, dict) else {}


def _time_of(at: float) -> str:
    try:
        return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    except (OverflowError, OSError, ValueError):  # as above
        return ""


def exported(engine: Engine, signer: Signer, chain: str, wanted: Wanted) -> Iterator[str]:
    """The lines, without their ends, and the one that seals them.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    before = audit.alias("before")
    rows = select(audit, before.c.hash.label("prev")).outerjoin(
        before, (before.c.chain == audit.c.chain) & (before.c.seq == audit.c.seq - 1)
    )
    rows = rows.where(audit.c.chain == chain).order_by(audit.c.seq)
    if wanted.since is not None:
        rows = rows.where(audit.c.at >= wanted.since)
    if wanted.until is not None:
        rows = rows.where(audit.c.at < wanted.until)
    if wanted.job_id is not None:
        rows = rows.where(audit.c.job_id == wanted.job_id)
    if wanted.owner is not None:
        theirs = select(jobs.c.job_id).where(jobs.c.chain == chain, jobs.c.owner == wanted.owner)
        rows = rows.where(or_(audit.c.job_id.in_(theirs), audit.c.job_id == ""))
    digest, count, first, last = hashlib.sha256(), 0, 0, 0
    with engine.connect().execution_options(reads=True) as connection:
        anchor = connection.execute(select(chains.c.anchor_hash).where(chains.c.chain == chain)).scalar() or ""
        with connection.execute(rows, execution_options={"yield_per": _AT_ONCE}) as found:
            for row in found:
                prev = anchor if row.prev is None else row.prev
                line = line_of(chain, row.seq, row.event, row.job_id, row.at, row.content, prev)
                is_theirs = wanted.owner is None or row.job_id or (line["told"] or {}).get("owner") == wanted.owner
                if not is_theirs or (wanted.what and line["what"] not in wanted.what):
                    continue
                # as it stands there: a row that was changed is to be found in the file, too
                line["hash"] = row.hash
                digest.update(row.hash.encode())
                count, first, last = count + 1, first or row.seq, row.seq
                yield json.dumps(line, ensure_ascii=False)
    export = {"chain": chain, "lines": count, "first": first, "last": last, "digest": digest.hexdigest()}
    export |= {"wanted": asdict(wanted), "at": time.time(), "key": signer.key_id()}
    yield json.dumps({"export": export, "seal": signer.mac(_SEAL, canonical(export).encode()).hex()})


def verify_lines(lines: Iterable[str], signer: Signer | None) -> FileReport:
    """Checks exported lines.

    Args:
        lines: of the file, the sealing one last.
        signer: with the key that sealed them; None looks at hashes alone, which tell of everything but of a file that
            was made anew.
    """
    digest = hashlib.sha256()
    count, seq, end, number = 0, 0, "", 0
    sealed: dict[str, Any] | None = None

    def broken(why: str) -> FileReport:
        return FileReport(holds=False, lines=count, broken_at=number, message=f"Line {number} {why}.")

    for number, text in enumerate(lines, 1):  # noqa: B007 - told by `broken`
        if sealed is not None:
            return broken("stands after the seal")
        try:
            line: Any = json.loads(text)
            if not isinstance(line, dict) or not isinstance(line.get("content", {}), dict):
                return broken("is not a line of an export")
            if "seal" in line:
                sealed = line
                continue
            content, prev = text_of(line["content"]), line["prev"]
            right = line_of(line["chain"], line["seq"], line["event"], line["job_id"], line["at"], content, prev)
        except (ValueError, KeyError, TypeError):
            return broken("is not a line of an export")
        if line != right:
            return broken("is not what was recorded")
        if line["seq"] <= seq:
            return broken("stands behind a later one")
        if line["seq"] == seq + 1 and count and line["prev"] != end:
            return broken("does not follow the line before it")
        seq, end = line["seq"], line["hash"]
        digest.update(end.encode())
        count += 1
    if sealed is None:
        number += 1
        return broken("is missing: the seal of the export")
    return _verify_seal(sealed, signer, count=count, digest=digest.hexdigest(), number=number)


def _verify_seal(sealed: dict[str, Any], signer: Signer | None, *, count: int, digest: str, number: int) -> FileReport:
    def report(why: str, *, holds: bool = False) -> FileReport:
        return FileReport(holds=holds, lines=count, broken_at=None if holds else number, message=why)

    told = sealed.get("export")
    export: dict[str, Any] = told if isinstance(told, dict) else {}
    if (export.get("lines"), export.get("digest")) != (count, digest):
        return report(f"Lines are missing or were added: {export.get('lines')} were exported, {count} are here.")
    if signer is None:
        return report(f"{count} lines, unbroken; the seal was not looked at.", holds=True)
    try:
        seal = bytes.fromhex(sealed["seal"])
    except (ValueError, TypeError):
        seal = b""
    if len(seal) == 32 and signer.is_mac(seal, _SEAL, canonical(export).encode(), of_the_past=True):
        return report(f"{count} lines, unbroken, sealed by key {export['key']}.", holds=True)
    if signer.ring().find(str(export.get("key"))) is None:
        return report(f"The export is sealed by key {export.get('key')}, which is not here: it may be a forgery.")
    return report("The export does not carry this configuration's seal.")
