from __future__ import annotations

import threading

import pytest

from executor.errors import SettingsInvalid, StatementFailed
from executor.signing import Signer, machine_key


def test_a_payload_changed_after_signing_is_not_opened():
    signer = Signer(b"k" * 32)
    text, signature = signer.sign({"sql": "SELECT 1"})

    assert signer.open(text, signature) == {"sql": "SELECT 1"}
    with pytest.raises(StatementFailed):
        signer.open(text.replace("1", "2"), signature)
    with pytest.raises(StatementFailed):
        Signer(b"j" * 32).open(text, signature)


def test_a_short_key_is_refused():
    with pytest.raises(SettingsInvalid):
        Signer(b"short")


def test_processes_that_start_at_once_agree_on_the_machines_key(tmp_path):
    keys: list[bytes] = []
    threads = [threading.Thread(target=lambda: keys.append(machine_key(tmp_path / "home"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(keys) == 8
    assert len(set(keys)) == 1
    assert len(keys[0]) == 32
    assert (tmp_path / "home" / "signing.key").stat().st_mode & 0o777 == 0o600
    assert [p.name for p in (tmp_path / "home").iterdir()] == ["signing.key"]
