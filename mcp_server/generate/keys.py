"""The model's key, and whether all that asking it needs is here. Loads no model.

The one place where the key is resolved.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from pydantic import SecretStr

from executor import SettingsInvalid
from mcp_server.ask_settings import AskSettings

INSTALL = "Install it with: pip install 'awaitsql[ask]'"


def check_model(settings: AskSettings) -> None:
    """Looks whether questions can be worked on here.

    Raises:
        SettingsInvalid: the model's library or its key is not there.
    """
    library = "anthropic" if settings.provider == "anthropic" else "openai"
    if find_spec("pydantic_ai") is None or find_spec(library) is None:
        raise SettingsInvalid(message=f"The library for {settings.model} is not installed.", hint=INSTALL)
    key_of(settings)


def key_of(settings: AskSettings) -> SecretStr:
    """The key that the model's provider is sent.

    Raises:
        SettingsInvalid: it is not set, or cannot be read.
    """
    ref = settings.key
    if ref is None:
        return SecretStr("none")  # servers that ask for no key want to be sent one all the same
    if ref.env is not None:
        value = os.environ.get(ref.env)
        if not value:
            raise SettingsInvalid(
                message=f"The key of the model {settings.model} is not set.",
                hint=f"Set the environment variable {ref.env} where questions are worked on, or [mcp_server.ask] "
                "api_key.",
            )
        return SecretStr(value)
    try:
        return SecretStr(Path(str(ref.file)).read_text(encoding="utf-8").strip())
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsInvalid(
            message=f"The key of the model {settings.model} cannot be read ({type(error).__name__}).",
            hint=f"Make {ref.file} readable where questions are worked on.",
        ) from error
