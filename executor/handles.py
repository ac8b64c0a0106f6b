"""Job handles: made, and read back from what somebody typed or a model copied. Knows no job.

A handle is 20 random characters of Crockford's base32 (100 bits) and his check symbol (modulo 37), in groups:
``7KQ4M-XX2PD-9ZTRW-C83HN-V``. Random parts whose check symbol is not a digit or letter are drawn again, so a handle
can be read aloud and put in a URI. Source: https://www.crockford.com/base32.html
"""

from __future__ import annotations

import secrets
from functools import lru_cache

from executor.errors import ErrorCode, JobNotFound

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUE = {c: i for i, c in enumerate(_ALPHABET)} | {"O": 0, "I": 1, "L": 1}
_RANDOM_LENGTH = 20


def _check_symbol(body: str) -> str | None:
    value = 0
    for c in body:
        value = value * 32 + _VALUE[c]
    rest = value % 37
    return _ALPHABET[rest] if rest < 32 else None


def new_job_id() -> str:
    """A fresh handle with 99.8 random bits."""
    while True:
        drawn = secrets.randbits(5 * _RANDOM_LENGTH)
        body = "".join(_ALPHABET[drawn >> shift & 31] for shift in range(0, 5 * _RANDOM_LENGTH, 5))
        check = _check_symbol(body)
        if check is not None:
            groups = [body[i : i + 5] for i in range(0, _RANDOM_LENGTH, 5)]
            return "-".join([*groups, check])


@lru_cache(maxsize=1024)
def parse_job_id(text: str) -> str:
    """The handle in its one spelling, from any case, with or without hyphens or spaces.

    Raises:
        JobNotFound: ``invalid_handle`` when letters are missing, added or changed. Nothing was looked up.
    """
    plain = "".join(c for c in text.upper() if c not in "- \t\r\n")[:64]
    hint = "Copy job_id whole, as it stood in the answer; list_jobs shows your jobs."
    if len(plain) != _RANDOM_LENGTH + 1:
        raise JobNotFound(
            ErrorCode.INVALID_HANDLE,
            f"This is not a whole job handle: it has {len(plain)} of {_RANDOM_LENGTH + 1} characters.",
            hint=hint,
        )
    if any(c not in _VALUE for c in plain) or _check_symbol(plain[:-1]) != _ALPHABET[_VALUE[plain[-1]]]:
        raise JobNotFound(ErrorCode.INVALID_HANDLE, "This job handle has a wrong character in it.", hint=hint)
    exact = "".join(_ALPHABET[_VALUE[c]] for c in plain)
    return "-".join([exact[i : i + 5] for i in range(0, _RANDOM_LENGTH, 5)] + [exact[-1]])
