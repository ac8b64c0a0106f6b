"""Processes that share a file of keys agree on them, from its making through every rotation."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from executor.key_place import PlacedKeys, signing_keys
from executor.keys import KeyRing
from executor.settings import ExecutorSettings
from executor.signing import Signer


def settings_in(tmp_path: Path, **more: object) -> ExecutorSettings:
    return ExecutorSettings.model_validate({"state_dir": tmp_path, **more})


def rotated(ring: KeyRing) -> KeyRing:
    return ring.rotated(now=1_000.0, after_s=0, accepted_s=1e12, kept_s=0)


def test_processes_that_start_at_once_agree_on_the_machine_s_key(tmp_path: Path):
    settings = settings_in(tmp_path)
    found: list[PlacedKeys] = []
    threads = [threading.Thread(target=lambda: found.append(signing_keys(settings))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 8
    assert len({keys.ring().keys[0].id for keys in found}) == 1
    assert (settings.home / "signing.key").stat().st_mode & 0o777 == 0o600
    assert [p.name for p in settings.home.iterdir()] == ["signing.key"]


def test_what_another_process_signs_with_a_new_key_is_opened_at_once(tmp_path: Path):
    settings = settings_in(tmp_path)
    here, there = signing_keys(settings), signing_keys(settings)
    before = Signer(there).sign({"n": 0})
    ring, is_written = here.change(rotated)
    signed, mac = Signer(here).sign({"n": 1}), Signer(here).mac("link", b"x")

    assert is_written
    assert ring.signing(2_000.0) is ring.keys[1]
    assert Signer(there).open(*signed) == {"n": 1}
    assert Signer(signing_keys(settings)).is_mac(mac, "link", b"x")
    assert Signer(here).open(*before) == {"n": 0}
    assert (settings.home / "signing.key").stat().st_mode & 0o777 == 0o600


def test_a_mac_of_a_new_key_makes_a_process_look(tmp_path: Path):
    settings = settings_in(tmp_path)
    here, there = signing_keys(settings), signing_keys(settings)
    here.change(rotated)

    assert Signer(there).is_mac(Signer(here).mac("link", b"x"), "link", b"x")


def test_keys_that_cannot_be_read_any_more_stay_what_they_were(tmp_path: Path):
    secret = tmp_path / "key"
    secret.write_text("k" * 40 + "\n")
    keys = signing_keys(settings_in(tmp_path, signing_key={"file": secret}))
    known = keys.ring()
    secret.write_text("too short")
    keys.look()

    assert keys.ring() is known


def test_keys_in_a_variable_are_given_back_to_be_put_there(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("THE_KEY", "k" * 40)
    keys = signing_keys(settings_in(tmp_path, signing_key={"env": "THE_KEY"}))
    ring, is_written = keys.change(rotated)

    assert not is_written
    monkeypatch.setenv("THE_KEY", ring.text())
    assert signing_keys(settings_in(tmp_path, signing_key={"env": "THE_KEY"})).ring() == ring


def test_a_rotation_leaves_the_file_to_whoever_could_read_it_and_the_links_to_it(tmp_path: Path):
    secret, link = tmp_path / "key", tmp_path / "link"
    secret.write_text("k" * 40)
    secret.chmod(0o640)
    link.symlink_to(secret)
    if os.getuid() == 0:
        os.chown(secret, 12_345, 12_346)
    before, mask = secret.stat(), os.umask(0o077)
    try:
        signing_keys(settings_in(tmp_path, signing_key={"file": link})).change(rotated)
    finally:
        os.umask(mask)

    after = secret.stat()
    assert (after.st_uid, after.st_gid, after.st_mode) == (before.st_uid, before.st_gid, before.st_mode)
    assert link.is_symlink()
    assert len(KeyRing.read(secret.read_text()).keys) == 2
