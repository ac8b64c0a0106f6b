from __future__ import annotations

import pytest

from executor import ErrorCode, JobNotFound, JobState, new_job_id, parse_job_id
from executor.jobs import MOVES


def test_a_handle_is_read_back_from_any_case_and_without_hyphens():
    handle = new_job_id()

    assert parse_job_id(handle) == handle
    assert parse_job_id(handle.lower().replace("-", "")) == handle
    assert parse_job_id(f" {handle} ") == handle


def test_letters_that_look_alike_are_read_as_the_digits_they_look_like():
    handle = next(h for h in iter(new_job_id, "") if "0" in h and "1" in h)

    assert parse_job_id(handle.replace("0", "O").replace("1", "l")) == handle


def test_a_handle_with_a_letter_missing_is_told_apart_from_an_unknown_one():
    handle = new_job_id()

    for broken in (handle[:-1], handle[1:], handle[:7] + handle[8:], handle + "7", ""):
        with pytest.raises(JobNotFound) as caught:
            parse_job_id(broken)
        assert caught.value.code is ErrorCode.INVALID_HANDLE


def test_every_single_wrong_character_is_noticed():
    handle = new_job_id().replace("-", "")
    alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

    unnoticed = []
    for place, right in enumerate(handle):
        for wrong in alphabet:
            if wrong != right:
                try:
                    parse_job_id(handle[:place] + wrong + handle[place + 1 :])
                    unnoticed.append((place, wrong))
                except JobNotFound:
                    continue

    assert unnoticed == []


def test_two_neighbouring_characters_swapped_are_noticed():
    handle = new_job_id().replace("-", "")

    for place in range(len(handle) - 2):
        swapped = handle[:place] + handle[place + 1] + handle[place] + handle[place + 2 :]
        if swapped != handle:
            with pytest.raises(JobNotFound):
                parse_job_id(swapped)


def test_no_move_leads_out_of_a_terminal_state():
    terminal = {state for state in JobState if state.is_terminal}

    assert terminal == {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}
    assert set(MOVES) == set(JobState)
