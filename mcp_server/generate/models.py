"""From the settings to a model of the library's."""

from __future__ import annotations

from pydantic_ai.models import Model
from pydantic_ai.settings import ModelSettings

from mcp_server.ask_settings import AskSettings
from mcp_server.generate.keys import check_model, key_of

_OLLAMA = "http://127.0.0.1:11434/v1"


def model_of(settings: AskSettings) -> Model:
    """The configured model, ready to be asked. Raises as `check_model`."""
    check_model(settings)
    key = key_of(settings).get_secret_value()
    if settings.provider == "anthropic":
        from pydantic_ai.models.anthropic import AnthropicModel  # noqa: PLC0415 - one provider's library is enough
        from pydantic_ai.providers.anthropic import AnthropicProvider  # noqa: PLC0415 - as above

        return AnthropicModel(settings.model_name, provider=AnthropicProvider(api_key=key))
    from pydantic_ai.models.openai import OpenAIChatModel  # noqa: PLC0415 - as above
    from pydantic_ai.providers.openai import OpenAIProvider  # noqa: PLC0415 - as above
    from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider  # noqa: PLC0415 - as above

    if settings.provider == "openai":
        return OpenAIChatModel(settings.model_name, provider=OpenAIProvider(api_key=key))
    where = settings.base_url or _OLLAMA
    return OpenAIChatModel(
        settings.model_name, provider=OpenAICompatibleProvider(settings.provider, base_url=where, api_key=key)
    )


def request_settings(settings: AskSettings) -> ModelSettings:
    """Bounds of one request: tokens out, seconds, and how often it is sent again by the provider's own client."""
    return ModelSettings(
        max_tokens=settings.max_output_tokens,
        request_timeout=settings.request_timeout_s,
        max_retries=settings.request_retries,
    )
