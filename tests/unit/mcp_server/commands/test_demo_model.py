"""Which of a provider's models the demo asks."""

from __future__ import annotations

import pytest
from model_double import Reply, in_turn, model_server

from mcp_server.commands.demo_model import NONE, best_of, model_at_hand


@pytest.mark.parametrize(
    ("provider", "names", "best"),
    [
        ("openai", ["gpt-4.1-mini", "gpt-5-mini", "gpt-5.1", "gpt-5-mini-2026-01-01", "o3"], "gpt-5-mini"),
        ("openai", ["gpt-4.1", "gpt-5.1", "whisper-1"], "gpt-5.1"),
        ("openai", ["whisper-1"], None),
        ("anthropic", ["claude-opus-9", "claude-sonnet-9", "claude-sonnet-8"], "claude-sonnet-9"),
        ("anthropic", ["claude-opus-9"], "claude-opus-9"),
        ("ollama", ["nomic-embed-text", "llama9", "qwen3-coder"], "qwen3-coder"),
        ("ollama", ["nomic-embed-text", "llama9"], "llama9"),
        ("ollama", [], None),
    ],
)
def test_a_good_and_cheap_model_is_chosen(provider: str, names: list[str], best: str | None) -> None:
    assert best_of(provider, names) == best


async def test_a_key_in_the_environment_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with model_server(in_turn(Reply())) as (double, base_url):
        double.models = ["gpt-4.1", "gpt-5-mini"]
        found = await model_at_hand({"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": base_url}, only_local=False)
    assert found.variables == {"AWAITSQL_MCP_SERVER__ASK__MODEL": "openai:gpt-5-mini"}
    assert "openai:gpt-5-mini is asked" in found.words


async def test_a_key_is_not_used_for_what_must_stay_here_and_one_that_nobody_takes_is_said() -> None:
    nobody = "127.0.0.1:1"
    keys = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": f"http://{nobody}/v1", "OLLAMA_HOST": nobody}
    assert await model_at_hand(keys, only_local=True) == NONE
    told = await model_at_hand(keys, only_local=False)
    assert ("OPENAI_API_KEY is set, but" in told.words, told.variables) == (True, {})


async def test_an_ollama_elsewhere_and_a_model_that_it_passes_on_are_not_asked_about_what_must_stay_here() -> None:
    # 127.0.0.2 stands for another machine: nobody calls this one so
    with (
        model_server(in_turn(Reply())) as (here, here_url),
        model_server(in_turn(Reply()), host="127.0.0.2") as (elsewhere, elsewhere_url),
    ):
        here.models = ["qwen3-coder:480b-cloud", "llama9"]
        elsewhere.models = ["llama9"]
        stays = await model_at_hand({"OLLAMA_HOST": here_url.removesuffix("/v1")}, only_local=True)
        goes = await model_at_hand({"OLLAMA_HOST": elsewhere_url.removesuffix("/v1")}, only_local=True)

    assert stays.variables["AWAITSQL_MCP_SERVER__ASK__MODEL"] == "llama9"
    assert goes == NONE
