"""What was signed is opened by whoever has the key, and by nobody once it was removed."""

from __future__ import annotations

import pytest
from fixed_keys import FixedKeys, signer_of

from executor.errors import SettingsInvalid, StatementFailed
from executor.keys import KeyRing
from executor.signing import Signer


def test_a_payload_changed_after_signing_is_not_opened():
    signer = signer_of("k")
    text, signature = signer.sign({"sql": "SELECT 1"})

    assert signer.open(text, signature) == {"sql": "SELECT 1"}
    for wrong in (text.replace("1", "2"), signature), (text, signature[:-1]), (text, ""), (text, "k.é"):
        with pytest.raises(StatementFailed):
            signer.open(*wrong)
    with pytest.raises(StatementFailed):
        signer_of("j").open(text, signature)


def test_a_short_key_is_refused():
    with pytest.raises(SettingsInvalid):
        KeyRing.read("short")


def rotated(ring: KeyRing, *, now: float = 1_000.0, after_s: float = 0, accepted_s: float = 1e12) -> KeyRing:
    return ring.rotated(now=now, after_s=after_s, accepted_s=accepted_s, kept_s=100)


def test_after_a_rotation_the_old_key_s_signatures_are_good_and_the_new_key_signs():
    keys = FixedKeys(KeyRing.read("k" * 32))
    signer = Signer(keys)
    old, old_mac = signer.sign({"sql": "SELECT 1"}), signer.mac("link", b"x")
    keys.now = KeyRing.read(rotated(keys.now).text())
    new, new_mac = signer.sign({"sql": "SELECT 1"}), signer.mac("link", b"x")

    assert signer.open(*old) == signer.open(*new)
    assert (signer.is_mac(old_mac, "link", b"x"), signer.is_mac(new_mac, "link", b"x")) == (True, True)
    assert old[1] != new[1]
    assert new[1].startswith(f"{signer.key_id()}.")
    assert len(signer.derived("state")) == 2

    first = keys.now.keys[0]
    keys.now = keys.now.without(first.id, now=2_000.0)
    with pytest.raises(StatementFailed):
        signer.open(*old)
    assert signer.opened_record(*old) is None
    assert (signer.is_mac(old_mac, "link", b"x"), signer.is_mac(new_mac, "link", b"x")) == (False, True)
    assert len(signer.derived("state")) == 1
    assert first.secret not in keys.now.text()


def test_a_key_that_is_not_accepted_any_more_is_good_for_records_of_the_past_alone():
    keys = FixedKeys(KeyRing.read("k" * 32))
    signer = Signer(keys)
    old, mac = signer.sign({"job_id": "A"}), signer.mac("history", b"x")
    keys.now = rotated(keys.now, accepted_s=10)  # long ago

    with pytest.raises(StatementFailed):
        signer.open(*old)
    assert signer.opened_record(*old) == {"job_id": "A"}
    assert not signer.is_mac(mac, "history", b"x")
    assert signer.is_mac(mac, "history", b"x", of_the_past=True)


def test_a_coming_key_is_accepted_and_does_not_sign():
    ring = rotated(KeyRing.read("k" * 32), now=1_000, after_s=60, accepted_s=500)
    old, new = ring.keys

    assert [ring.state_of(key, 1_030) for key in ring.keys] == ["signing", "coming"]
    assert [ring.state_of(key, 1_061) for key in ring.keys] == ["accepted", "signing"]
    assert [ring.state_of(key, 1_561) for key in ring.keys] == ["past", "signing"]
    assert list(ring.accepted(1_030)) == [old, new]
    again = ring.rotated(now=2_000, after_s=0, accepted_s=500, kept_s=100)
    assert [again.state_of(key, 2_000) for key in again.keys] == ["removed", "accepted", "signing"]


def test_a_key_that_goes_on_signing_because_its_successor_was_removed_is_accepted_for_ever():
    keys = FixedKeys(rotated(KeyRing.read("k" * 32), after_s=500, accepted_s=100))
    keys.now = keys.now.without(keys.now.keys[1].id, now=1_200.0)  # before it signed; all of it is long ago
    signer = Signer(keys)

    assert signer.open(*signer.sign({"n": 1})) == {"n": 1}
    assert keys.now.state_of(keys.now.keys[0], 1e9) == "signing"


def test_the_key_that_signs_cannot_be_removed_and_masks_stay_what_they_were():
    ring = KeyRing.read("k" * 32)
    with pytest.raises(SettingsInvalid):
        ring.without(ring.keys[0].id, now=0)
    with pytest.raises(SettingsInvalid):
        ring.without("nope", now=0)
    assert rotated(rotated(ring)).masks == ring.masks


@pytest.mark.parametrize("text", ['{"keys": []}', "{}", '{"keys": [], "masks": ""}', "{", '{"keys": [{"id": 1}]}'])
def test_a_broken_document_of_keys_is_refused(text: str):
    with pytest.raises(SettingsInvalid):
        KeyRing.read(text)
