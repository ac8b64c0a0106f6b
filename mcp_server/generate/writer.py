"""One draft from a model: the prompt, the call within its budget, and every way in which a model fails. Runs no SQL."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic_ai import Agent, InstrumentationSettings, ToolOutput
from pydantic_ai.capabilities import Instrumentation
from pydantic_ai.exceptions import AgentRunError, ModelAPIError, UnexpectedModelBehavior, UsageLimitExceeded
from pydantic_ai.models import Model
from pydantic_ai.usage import RunUsage, UsageLimits

from executor import ErrorCode, ExecutorError
from mcp_server.ask_settings import AskSettings
from mcp_server.generate.drafts import Clarification, Draft, NoAnswer, SqlDraft
from mcp_server.generate.models import request_settings
from mcp_server.prompt_files import PromptText, load_prompts, prompt_folder

if TYPE_CHECKING:
    from executor import Executor

log = logging.getLogger(__name__)

_DAY_S = 86_400.0
_MICRO = 1_000_000
_CALLS = 3
"""Requests for one draft: an answer that does not fit its type is sent back with what is wrong with it."""

_CHARS_A_TOKEN = 3
"""Few enough that what is set aside before a request is hardly ever too little."""

_WORDLESS = InstrumentationSettings(
    include_content=False, include_binary_content=False, include_model_request_parameters=False
)
"""The spans of calls of the model have its name and what they took, and no word of what was asked and said."""


@dataclass(frozen=True, slots=True)
class Brief:
    """What a draft is written from, all of it text for the model."""

    dialect: str
    context: str
    question: str
    earlier: str = ""
    tried: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """A draft and what it took."""

    draft: Draft
    tokens_in: int
    tokens_out: int
    calls: int


class Writer:
    """Writes drafts with one model.

    Args:
        model: the library's.
        settings: the ``[mcp_server.ask]`` table.
        executor: keeps what callers have spent today.
    """

    def __init__(self, model: Model, settings: AskSettings, executor: Executor) -> None:
        self._settings = settings
        self._executor = executor
        texts = {prompt.name: prompt for prompt in load_prompts(prompt_folder() / "ask")}
        self._rules, self._question = texts["write"], texts["question"]
        self._dialects = {notes.name: notes for notes in load_prompts(prompt_folder() / "ask" / "dialects")}
        self.model_name = settings.model
        self._agent: Agent[object, SqlDraft | Clarification | NoAnswer] = Agent(
            model,
            output_type=[
                ToolOutput(SqlDraft, name="answer_with_sql"),
                ToolOutput(Clarification, name="ask_back"),
                ToolOutput(NoAnswer, name="cannot_answer"),
            ],
            retries={"output": _CALLS - 1},
            model_settings=request_settings(settings),
            capabilities=[Instrumentation(_WORDLESS)] if executor.settings.tracing.otlp_endpoint else [],
        )

    def notes(self, dialect: str) -> str:
        """How the dialect's SQL differs; nothing of one that there are no notes on."""
        notes = self._dialects.get(dialect)
        return "" if notes is None else notes.text

    def version(self, dialect: str) -> str:
        """Of all words that the model is told of a source that speaks `dialect`, together."""
        told = [self._rules, self._question, *([self._dialects[dialect]] if dialect in self._dialects else [])]
        return ".".join(f"{prompt.name}-{prompt.version}" for prompt in told)

    async def write(self, brief: Brief, *, owner: str, spent: int) -> Written:
        """One draft. What it takes is set aside before, and corrected after: nothing is spent beyond a budget.

        Args:
            brief: what to write from.
            owner: whose budget of the day it is.
            spent: tokens of this ask so far.

        Raises:
            ExecutorError: ``budget_exhausted``; ``model_unavailable`` where no usable answer came.
        """
        rules = self._rules.filled({"dialect": brief.dialect})
        text = _filled(self._question, brief)
        room = self._settings.tokens_per_ask - spent
        needed = (len(rules) + len(text)) // _CHARS_A_TOKEN + self._settings.max_output_tokens
        if needed > room:
            raise _exhausted(f"this question ({self._settings.tokens_per_ask:,} tokens)", "Ask for less at once.")
        set_aside = await self._set_aside(owner, needed)
        usage = RunUsage()
        try:
            limits = UsageLimits(request_limit=_CALLS, total_tokens_limit=room)
            result = await self._agent.run(text, instructions=rules, usage=usage, usage_limits=limits)
        except UsageLimitExceeded as error:
            raise _exhausted(
                f"this question ({self._settings.tokens_per_ask:,} tokens)", "Ask for less at once."
            ) from error
        except ModelAPIError as error:
            log.warning("model_failed", extra={"error": type(error).__name__, "model": self.model_name})
            raise _unavailable(f"does not answer ({type(error).__name__})") from error
        except UnexpectedModelBehavior as error:
            log.warning("model_nonsense", extra={"error": type(error).__name__, "model": self.model_name})
            raise _unavailable("answered with nothing that could be used") from error
        except AgentRunError as error:
            log.warning("model_failed", extra={"error": type(error).__name__, "model": self.model_name})
            raise _unavailable(f"failed ({type(error).__name__})") from error
        finally:
            await self._correct(owner, set_aside, usage)
        return Written(result.output, usage.input_tokens, usage.output_tokens, usage.requests)

    async def _set_aside(self, owner: str, tokens: int) -> tuple[int, int]:
        settings, money = self._settings, 0
        if settings.tokens_per_day is not None and not await self._spend(owner, "tokens", tokens):
            raise _exhausted(f"today ({settings.tokens_per_day:,} tokens)", "It begins anew at midnight, UTC.")
        if settings.money_per_day is not None:
            tokens_in = tokens - settings.max_output_tokens
            money = int(settings.money(tokens_in=tokens_in, tokens_out=settings.max_output_tokens) * _MICRO)
            if not await self._spend(owner, "money", money):
                await self._correct(owner, (tokens, 0), RunUsage())
                raise _exhausted(f"today ({settings.money_per_day:g} in money)", "It begins anew at midnight, UTC.")
        return tokens, money

    async def _correct(self, owner: str, set_aside: tuple[int, int], usage: RunUsage) -> None:
        tokens, money = set_aside
        if self._settings.tokens_per_day is not None:
            await self._executor.spend(
                self._purse(owner, "tokens"), usage.total_tokens - tokens, at_most=None, for_s=2 * _DAY_S
            )
        if self._settings.money_per_day is not None:
            cost = self._settings.money(tokens_in=usage.input_tokens, tokens_out=usage.output_tokens)
            await self._executor.spend(
                self._purse(owner, "money"), int(cost * _MICRO) - money, at_most=None, for_s=2 * _DAY_S
            )

    async def _spend(self, owner: str, what: str, amount: int) -> bool:
        most = self._settings.tokens_per_day
        if what == "money":
            most = int((self._settings.money_per_day or 0) * _MICRO)
        told = await self._executor.spend(self._purse(owner, what), amount, at_most=most, for_s=2 * _DAY_S)
        return told is not None

    @staticmethod
    def _purse(owner: str, what: str) -> str:
        return f"{what} {time.strftime('%Y-%m-%d', time.gmtime())} {owner}"


def _filled(prompt: PromptText, brief: Brief) -> str:
    return prompt.filled(
        {"context": brief.context, "earlier": brief.earlier, "tried": brief.tried, "question": brief.question}
    )


def _exhausted(of: str, hint: str) -> ExecutorError:
    return ExecutorError.of(
        ErrorCode.BUDGET_EXHAUSTED,
        f"The model's budget of {of} is used up.",
        hint=f"{hint} SQL of your own can be run with query.",
    )


def _unavailable(how: str) -> ExecutorError:
    return ExecutorError.of(
        ErrorCode.MODEL_UNAVAILABLE,
        f"The model that writes SQL {how}.",
        hint="Ask again in a while, or write the SQL yourself and send it to query.",
    )
