"""Which model the demo may ask where none is configured: of a provider whose key is in the environment, or Ollama's.

Asks the provider which models it has, and nothing else. Keys go to their provider only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2

from executor import SettingsInvalid
from mcp_server.ask_settings import AskSettings
from mcp_server.generate.keys import check_model
from mcp_server.overrides import variable

_LOOK_S = 5.0
_HOSTED = re.compile(r"[:-]cloud$")
"""Names that Ollama passes on to its own servers: ``qwen3-coder:480b-cloud``."""

_HERE = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0"})  # noqa: S104 - what a server listens on is told so, too
_GPT = re.compile(r"gpt-(\d+(?:\.\d+)?)(-mini)?")
_MODEL, _BASE_URL = (variable(("mcp_server", "ask", name)) for name in ("model", "base_url"))


@dataclass(frozen=True, slots=True)
class AtHand:
    """What was found.

    Attributes:
        words: for whoever reads the demo.
        variables: that configure the model; none where there is none to ask.
    """

    words: str
    variables: Mapping[str, str] = field(default_factory=dict[str, str])


NONE = AtHand(
    "With OPENAI_API_KEY or ANTHROPIC_API_KEY in the environment, or Ollama on this machine, the demo asks a question "
    "in plain words, too."
)


async def model_at_hand(environ: Mapping[str, str], *, only_local: bool) -> AtHand:
    """The model to ask: OpenAI's, Anthropic's or Ollama's, the first that can be.

    Args:
        environ: the whole environment.
        only_local: whether nothing may leave this machine, as with a database of the reader's own.
    """
    async with httpx2.AsyncClient(timeout=_LOOK_S) as client:
        for provider, variable_name in (("openai", "OPENAI_API_KEY"), ("anthropic", "ANTHROPIC_API_KEY")):
            key = environ.get(variable_name)
            if key and not only_local:
                return await _hosted(client, provider, variable_name, key, environ)
        host = environ.get("OLLAMA_HOST") or "127.0.0.1:11434"
        url = f"{host if '://' in host else f'http://{host}'}".rstrip("/") + "/v1"
        names = await _names(client, f"{url}/models", {}) if not only_local or _is_here(url) else None
        name = best_of("ollama", [name for name in names or () if not only_local or not _HOSTED.search(name)])
    if name is None:
        return NONE
    return _usable(f"Ollama is here: {name} is asked, too.", {_MODEL: name, _BASE_URL: url})


def _is_here(url: str) -> bool:
    try:
        return urlsplit(url).hostname in _HERE
    except ValueError:
        return False


async def _hosted(
    client: httpx2.AsyncClient, provider: str, variable_name: str, key: str, environ: Mapping[str, str]
) -> AtHand:
    if provider == "openai":
        url = (environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1").rstrip("/") + "/models"
        headers = {"Authorization": f"Bearer {key}"}
    else:
        url = (environ.get("ANTHROPIC_BASE_URL") or "https://api.anthropic.com").rstrip("/") + "/v1/models"
        headers = {"x-api-key": key, "anthropic-version": "2023-06-01"}
    names = await _names(client, url, headers)
    name = best_of(provider, names or ())
    if name is None:
        return AtHand(f"{variable_name} is set, but {provider} names no model for it: no question is asked in words.")
    return _usable(f"{variable_name} is set: {provider}:{name} is asked, too.", {_MODEL: f"{provider}:{name}"})


def _usable(words: str, variables: Mapping[str, str]) -> AtHand:
    try:
        check_model(AskSettings(model=variables[_MODEL], base_url=variables.get(_BASE_URL)))
    except SettingsInvalid as missing:
        return AtHand(f"No question is asked in words: {missing.message} {missing.hint}")
    return AtHand(words, variables)


async def _names(client: httpx2.AsyncClient, url: str, headers: Mapping[str, str]) -> list[str] | None:
    """The models there, in the provider's order; None where it does not answer with any."""
    try:
        answer = await client.get(url, headers=dict(headers))
        told: Any = answer.raise_for_status().json()
        return [str(one["id"]) for one in told["data"]]
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, KeyError, TypeError):
        return None


def best_of(provider: str, names: Sequence[str]) -> str | None:
    """A model of `names` that writes SQL well and costs little: the newest small GPT, the newest Sonnet, a coder."""
    if provider == "openai":
        found = [(float(match[1]), match[2] is not None, name) for name in names if (match := _GPT.fullmatch(name))]
        small = [one for one in found if one[1]]
        return max(small or found, default=(0.0, False, None))[2]
    if provider == "anthropic":
        return next((name for name in names if "sonnet" in name), names[0] if names else None)
    chat = [name for name in names if "embed" not in name]
    return next((name for name in chat if "coder" in name), chat[0] if chat else None)
