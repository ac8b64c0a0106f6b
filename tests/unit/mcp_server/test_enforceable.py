"""What a kind cannot keep is refused before anything starts, each with its place in the file."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from fixed_keys import FixedKeys

from executor import GenericSource, SettingsInvalid
from executor.keys import KeyRing
from mcp_server.enforceable import check_enforceable
from mcp_server.machine import policies_of
from mcp_server.settings import Settings, load_settings

KEYS = FixedKeys(KeyRing.read("k" * 32))
TRINO = '[executor.sources.lake]\nkind = "trino"\nurl = "trino://reader@host/catalog/schema"\n'


def loaded(folder: Path, text: str) -> Settings:
    path = folder / "awaitsql.toml"
    path.write_text(text)
    return load_settings(config=path, databases=[], environ={})


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("cost = { refuse = 1e9 }", "trino tells no cost"),
        ("[mcp_server.policies.lake.protect.orders]\nrows = \"tenant = 'a'\"", "the row filter of orders"),
        ('[mcp_server.policies.lake.protect.orders]\nmasks = { email = "hash" }', "the hash mask of orders.email"),
        (
            '[mcp_server.policies.lake.protect.orders]\nmasks = { email = { kind = "partial", keep_end = 2 } }',
            "the partial mask of orders.email",
        ),
    ],
)
def test_a_rule_that_an_untested_kind_cannot_keep_is_refused_at_start(tmp_path: Path, rule: str, told: str) -> None:
    settings = loaded(tmp_path, f"{TRINO}[[mcp_server.policies.lake]]\n{rule}\n")
    with pytest.raises(SettingsInvalid) as refused:
        policies_of(settings, KEYS)
    assert told in refused.value.message
    assert "awaitsql.toml:4" in refused.value.message


def test_a_cost_for_all_sources_is_refused_at_start_where_one_of_them_tells_none(tmp_path: Path) -> None:
    """Left out for that source only, it would be a limit in the file that nothing keeps."""
    cost = "[mcp_server.cost]\nrefuse = 1e9\n"
    with pytest.raises(SettingsInvalid) as refused:
        policies_of(loaded(tmp_path, f"{TRINO}{cost}"), KEYS)
    assert "trino tells no cost" in refused.value.message
    assert "for source lake" in refused.value.message
    assert "awaitsql.toml:4" in refused.value.message


def test_costs_in_the_rules_of_other_sources_and_one_that_limits_nothing_are_taken(tmp_path: Path) -> None:
    other = (
        f'[executor.sources.shop]\nkind = "sqlite"\npath = "{tmp_path / "shop.sqlite"}"\n'
        "[[mcp_server.policies.shop]]\ncost = { refuse = 1e9 }\n"
    )
    for cost in ("", '[mcp_server.cost]\nconfirm_by = "human"\n'):
        policies_of(loaded(tmp_path, f"{TRINO}{other}{cost}"), KEYS)


def test_rules_that_an_untested_kind_can_keep_are_taken(tmp_path: Path) -> None:
    rule = (
        'tables = ["orders"]\n[mcp_server.policies.lake.protect.orders]\ndeny = ["ssn"]\n'
        'masks = { email = "null", name = { kind = "constant", value = "x" } }'
    )
    policies_of(loaded(tmp_path, f"{TRINO}[[mcp_server.policies.lake]]\n{rule}\n"), KEYS)


def test_a_kind_whose_functions_nobody_listed_is_refused_at_start(tmp_path: Path) -> None:
    settings = loaded(tmp_path, TRINO)
    oracle = GenericSource(kind="oracle", url="oracle://reader@host/database")
    executor = settings.executor.model_copy(update={"sources": {"old": oracle}})
    with pytest.raises(SettingsInvalid) as refused:
        check_enforceable(dataclasses.replace(settings, executor=executor))
    assert "no list of the functions that SQL may call on oracle" in refused.value.message
