"""Every case of tests/fixtures/sql, through the guard's front door."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from shop import FIXTURES, LIMITS, Case, cases, grants, shop

from mcp_server.sql import RULES, StatementRefused, check


def name_of(case: Case) -> str:
    return f"{case.rule}: {case.name}"


@pytest.mark.parametrize("case", [c for c in cases("*.sql") if not c.refused], ids=name_of)
def test_a_statement_becomes_the_text_that_its_case_gives(case: Case) -> None:
    schema, grant = shop(case.dialect), grants(case.dialect)[case.grant]
    assert check(case.sql, source_schema=schema, grant=grant, limits=LIMITS).sql == case.gives


@pytest.mark.parametrize("case", cases("*__refused.sql"), ids=name_of)
def test_a_statement_is_refused_with_the_code_of_its_case(case: Case) -> None:
    schema, grant = shop(case.dialect), grants(case.dialect)[case.grant]
    with pytest.raises(StatementRefused) as refused:
        check(case.sql, source_schema=schema, grant=grant, limits=LIMITS)
    assert refused.value.code == case.refused


def test_every_rule_has_its_cases() -> None:
    present = {path.stem for path in FIXTURES.glob("*.sql")}
    assert {rule.__name__ for rule in RULES} <= present
    assert present <= {name for rule in RULES for name in (rule.__name__, f"{rule.__name__}__refused")}
