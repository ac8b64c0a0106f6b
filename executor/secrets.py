"""A secret reference -> the secret. The one place in a worker that reads the environment; knows no database."""

from __future__ import annotations

import os

from executor.errors import ErrorCode, SourceFailed
from executor.sources import SecretRef


def resolve_secret(source: str, ref: SecretRef) -> str:
    """The secret that `ref` points to; one line end at the end of a file is not part of it.

    Raises:
        SourceFailed: ``source_auth_failed`` when the variable is not set or the file cannot be read.
    """
    if ref.env is not None:
        value = os.environ.get(ref.env)
        if value is None:
            raise SourceFailed(
                ErrorCode.SOURCE_AUTH_FAILED,
                f"The password of source {source} is not set.",
                hint=f"Set the environment variable {ref.env} where the workers run.",
            )
        return value
    assert ref.file is not None  # noqa: S101 # SecretRef's own validator promises it; this tells the type checker
    try:
        return ref.file.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceFailed(
            ErrorCode.SOURCE_AUTH_FAILED,
            f"The password file of source {source} cannot be read.",
            hint=f"Make {ref.file.name} readable for the workers.",
        ) from error
