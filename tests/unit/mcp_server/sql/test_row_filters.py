"""What a row filter may say, and what it becomes."""

from __future__ import annotations

from decimal import Decimal

import pytest

from mcp_server.policy import AllOf, AnyOf, Attribute, Compare, IsNull, OneOf, Predicate
from mcp_server.sql.row_filters import row_filter


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("tenant_id = :principal.tenant", Compare("tenant_id", "=", Attribute("tenant"))),
        (":principal.tenant = tenant_id", Compare("tenant_id", "=", Attribute("tenant"))),
        ("5 < amount", Compare("amount", ">", 5)),
        ("amount >= -1.50", Compare("amount", ">=", Decimal("-1.50"))),
        ('"Order Day" <= \'2026-01-31\'', Compare("Order Day", "<=", "2026-01-31")),
        ("day > date '2026-01-31'", Compare("day", ">", "2026-01-31")),
        ("region IN ('eu', :principal.regions)", OneOf("region", ("eu", Attribute("regions")))),
        ("region IN :principal.regions", OneOf("region", (Attribute("regions"),))),
        ("region NOT IN ('eu')", OneOf("region", ("eu",), negated=True)),
        ("is_open", Compare("is_open", "=", True)),
        ("NOT is_test", Compare("is_test", "=", False)),
        ("deleted_at IS NULL", IsNull("deleted_at")),
        ("deleted_at IS NOT NULL", IsNull("deleted_at", negated=True)),
        ("a BETWEEN 1 AND 3", AllOf((Compare("a", ">=", 1), Compare("a", "<=", 3)))),
        ("NOT a BETWEEN 1 AND 3", AnyOf((Compare("a", "<", 1), Compare("a", ">", 3)))),
        ("NOT (a = 1 OR b <> 2)", AllOf((Compare("a", "<>", 1), Compare("b", "=", 2)))),
        ("a = 1 AND (b = 2 OR c IS NULL)", AllOf((Compare("a", "=", 1), AnyOf((Compare("b", "=", 2), IsNull("c")))))),
    ],
)  # fmt: skip
def test_a_filter_becomes_a_tree(text: str, means: Predicate) -> None:
    assert row_filter(text) == means


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tenant_id = ",
        "tenant_id = other_column",
        "tenant_id = principal.tenant",
        "tenant_id = :tenant",
        "tenant_id = :principal.tenant; DROP TABLE t",
        "id IN (SELECT id FROM t)",
        "lower(name) = 'x'",
        "orders.tenant_id = 1",
        "a + 1 = 2",
        "a = NULL",
        "name LIKE 'x%'",
        "EXISTS (SELECT 1)",
        "1 = 1",
        "a IS TRUE",
        "CASE WHEN a THEN b END",
        "(" * 2_000 + "a = 1" + ")" * 2_000,
    ],
)
def test_what_a_filter_may_not_say_is_an_error_in_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        row_filter(text)
