"""The shape of ``[mcp_server.ask]``: the model that writes SQL for questions, and what it may cost. Pure.

Without the table there is no ``ask``. The key is a reference; only workers of the queue of questions resolve it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from executor import SecretRef

Provider = Literal["openai", "anthropic", "ollama", "compatible"]

_HOSTED: tuple[Provider, ...] = ("openai", "anthropic", "ollama")
_KEY_OF: dict[Provider, str] = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}


class AskSettings(BaseModel):
    """Which model, where, and how much of it. Frozen; a key it does not know is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(
        min_length=1, description="openai:NAME, anthropic:NAME or ollama:NAME; with base_url the name that it knows."
    )
    base_url: str | None = Field(default=None, description="Of any OpenAI-compatible server (vLLM, a proxy).")
    api_key: SecretRef | None = Field(
        default=None, description="Default: OPENAI_API_KEY or ANTHROPIC_API_KEY of the environment; none for base_url."
    )
    max_rounds: int = Field(default=3, ge=1, le=10, description="How often SQL is written for one question, at most.")
    candidates: Literal[1, 3] = Field(
        default=1, description="3: written and run three times at first, and the most common result counts."
    )
    tokens_per_ask: int = Field(default=60_000, ge=1_000, description="In and out, all rounds together.")
    tokens_per_day: int | None = Field(default=2_000_000, ge=1_000, description="Of one caller, in a day of UTC.")
    input_price: float = Field(default=0.0, ge=0, description="Of a million tokens in, in any currency.")
    output_price: float = Field(default=0.0, ge=0, description="Of a million tokens out, in the same.")
    money_per_day: float | None = Field(default=None, gt=0, description="Of one caller, in the same; needs the prices.")
    max_output_tokens: int = Field(default=4_000, ge=100, description="Of one answer of the model's.")
    request_timeout_s: float = Field(default=60.0, gt=0, description="The model's, for one answer.")
    request_retries: int = Field(default=2, ge=0, le=10, description="When it is busy or away, with growing pauses.")
    timeout_s: float = Field(default=600.0, gt=0, description="A question that is not answered after this fails.")
    concurrency: int = Field(default=4, ge=1, le=64, description="Questions at once in one worker process.")

    @model_validator(mode="after")
    def _whole(self) -> AskSettings:
        if self.base_url is None and self.model.partition(":")[0] not in _HOSTED:
            raise ValueError("write model as openai:NAME, anthropic:NAME or ollama:NAME, or name a base_url")
        if self.base_url is not None and not self.base_url.startswith(("http://", "https://")):
            raise ValueError("base_url begins with http:// or https://")
        if self.money_per_day is not None and not (self.input_price or self.output_price):
            raise ValueError("money_per_day needs input_price and output_price")
        return self

    @property
    def provider(self) -> Provider:
        """Whose interface is spoken."""
        if self.base_url is None:
            for provider in _HOSTED:
                if self.model.startswith(f"{provider}:"):
                    return provider
        return "compatible"

    @property
    def model_name(self) -> str:
        """The model's name as its provider knows it."""
        return self.model if self.provider == "compatible" else self.model.partition(":")[2]

    @property
    def key(self) -> SecretRef | None:
        """Where the key is; None where none is asked for."""
        variable = _KEY_OF.get(self.provider)
        return self.api_key or (None if variable is None else SecretRef(env=variable))

    def money(self, *, tokens_in: int, tokens_out: int) -> float:
        """What so many tokens cost."""
        return (tokens_in * self.input_price + tokens_out * self.output_price) / 1_000_000
