"""Prompts are files: front matter, then the text."""

from __future__ import annotations

import pytest

from mcp_server.prompt_files import load_prompts, parse_prompt, prompt_folder

TEXT = """+++
name = "ask"
description = "Ask it."
[arguments.what]
description = "What to ask."
required = true
[arguments.where]
+++
Ask {{where}} about {{what}}, not {{else}}.
"""


def test_every_prompt_of_the_product_can_be_loaded_and_uses_the_arguments_it_names() -> None:
    prompts = list(load_prompts(prompt_folder()))
    assert {p.name for p in prompts} == {"write_sql", "explain_result", "explore_source", "repair_sql"}
    for prompt in prompts:
        for argument in prompt.arguments:
            assert "{{" + argument.name + "}}" in prompt.text
        assert "{{" not in prompt.filled({a.name: "x" for a in prompt.arguments})


def test_arguments_are_put_in_and_one_left_out_is_empty() -> None:
    prompt = parse_prompt(TEXT, origin="ask.md")
    assert prompt.filled({"what": "rain"}) == "Ask  about rain, not {{else}}.\n"
    assert [(a.name, a.required) for a in prompt.arguments] == [("what", True), ("where", False)]


@pytest.mark.parametrize("text", ["", "no front matter", "+++\nname = 'a'\n+++\ntext", "x\n+++\n+++\n"])
def test_a_file_that_is_no_prompt_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match=r"broken\.md"):
        parse_prompt(text, origin="broken.md")
