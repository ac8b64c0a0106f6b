"""Where the signing keys of a configuration are: a file that is read again when it changes, or a variable.

A single machine's file is made on first use. Every process looks at the file's time every two seconds while it signs or
checks, and at once when it meets a signature by a key it does not know: a rotation needs no restart.
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from executor.errors import ExecutorError, SettingsInvalid
from executor.keys import KeyRing
from executor.secrets import resolve_secret
from executor.settings import ExecutorSettings

log = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0
"""How often a process looks whether the keys have changed."""


class PlacedKeys:
    """The keys at one place. May be shared by threads.

    Raises:
        SettingsInvalid: they cannot be read, or are none.
    """

    def __init__(self, read: Callable[[], str], path: Path | None) -> None:
        self._read = read
        self._path = path
        self._seen = self._stamp()
        self._ring = KeyRing.read(read())
        self._look_at = time.monotonic() + LOOK_EVERY_S

    @property
    def path(self) -> Path | None:
        """The file they are in; None where a variable has them."""
        return self._path

    def ring(self) -> KeyRing:
        """The keys as they are now."""
        if time.monotonic() >= self._look_at:
            self.look()
        return self._ring

    def look(self) -> None:
        """Reads them again if the file has changed; what cannot be read changes nothing and is logged."""
        self._look_at = time.monotonic() + LOOK_EVERY_S
        stamp = self._stamp()
        if stamp == self._seen:
            return
        try:
            self._ring = KeyRing.read(self._read())
        except ExecutorError as error:
            log.warning("keys_unread", extra={"error": error.message})
            return
        self._seen = stamp
        log.info("keys_read", extra={"keys": [key.id for key in self._ring.keys if key.secret]})

    def change(self, changed: Callable[[KeyRing], KeyRing]) -> tuple[KeyRing, bool]:
        """The keys after `changed` was made of them, and whether they were written to their file: a variable has none.

        One process at a time; readers see the old ones or the new ones. What `changed` raises changes nothing.

        Raises:
            SettingsInvalid: the file cannot be written.
        """
        if self._path is None:
            return changed(self._ring), False
        path = self._path.resolve()  # the file itself, whatever links lead to it
        try:
            with path.with_name(f".{path.name}.lock").open("w") as gate:
                fcntl.flock(gate, fcntl.LOCK_EX)
                ring = changed(KeyRing.read(self._read()))
                _replace(path, ring.text())
        except OSError as error:
            raise SettingsInvalid(
                message=f"The signing keys in {path} cannot be written ({type(error).__name__}).",
                hint="Run this as the user whom the file belongs to, who may write to its folder.",
            ) from error
        self.look()
        return ring, True

    def _stamp(self) -> tuple[int, int]:
        if self._path is None:
            return (0, 0)
        with suppress(OSError):
            told = self._path.stat()
            return told.st_ino, told.st_mtime_ns
        return (0, 0)


def _replace(path: Path, text: str) -> None:
    """Writes `text` in the place of the file's, whole or not at all; whoever could read it can read it then."""
    told = path.stat()
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.touch(mode=0o600)
        with draft.open("w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        made = draft.stat()
        if (made.st_uid, made.st_gid) != (told.st_uid, told.st_gid):
            os.chown(draft, told.st_uid, told.st_gid)
        draft.chmod(told.st_mode & 0o777)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def signing_keys(settings: ExecutorSettings) -> PlacedKeys:
    """The configuration's signing keys: those that are configured, else this machine's own.

    Raises:
        SettingsInvalid: they cannot be read or made.
        SourceFailed: the configured secret is not there.
    """
    ref = settings.signing_key
    if ref is None:
        path = _machine_file(settings.home)
        return PlacedKeys(lambda: _told(path), path)
    return PlacedKeys(lambda: resolve_secret("executor.signing_key", ref), ref.file)


def _machine_file(home: Path) -> Path:
    """The file of a single machine's keys in `home`, made on first use; two processes at once get the same one."""
    path = home / "signing.key"
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            draft = home / f".signing.{os.getpid()}.{secrets.token_hex(4)}"
            draft.touch(mode=0o600)
            draft.write_text(secrets.token_hex(32), encoding="ascii")
            # link, not rename: whoever comes second keeps the first one's key
            with suppress(FileExistsError):
                os.link(draft, path)
            draft.unlink()
    except OSError as error:
        raise _unreadable(home, error) from error
    return path


def _told(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path.parent, error) from error


def _unreadable(home: Path, error: Exception) -> SettingsInvalid:
    return SettingsInvalid(
        message=f"The signing key in {home} cannot be read or made ({type(error).__name__}).",
        hint="Make the folder writable, or set [executor] state_dir to one that is.",
    )
