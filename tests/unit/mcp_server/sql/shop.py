"""A small shop: the source schema and the grants that the guard's cases are about."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from executor import Column, Limits, SourceSchema, Table
from mcp_server.policy import Compare, Grant, Mask, TableGrant

FIXTURES = Path(__file__).parents[3] / "fixtures" / "sql"
LIMITS = Limits(max_rows=100)
_DEFAULT = {"postgres": "public", "mysql": "shop", "tsql": "dbo", "clickhouse": "default"}


def columns(text: str) -> tuple[Column, ...]:
    """``id int, name text`` as columns."""
    return tuple(Column(name, kind) for name, kind in (part.split() for part in text.split(", ")))


def shop(dialect: str = "postgres") -> SourceSchema:
    """The shop in `dialect`, with a view, a partition and a second schema."""
    main = _DEFAULT.get(dialect, "main")
    order = "id int, tenant_id int, customer_id int, status text, total numeric, note text"
    return SourceSchema(
        source="shop",
        dialect=dialect,
        default_schema=main,
        tables=(
            Table(
                main,
                "customers",
                columns=columns("id int, tenant_id int, name text, email text, ssn text, segment text"),
            ),
            Table(main, "orders", columns=columns(order)),
            Table(main, "orders_2024", columns=columns(order), inherits=((main, "orders"),)),
            Table(main, "products", columns=columns("id int, name text, price numeric")),
            Table(main, "events", columns=columns("id int, payload jsonb")),
            Table(
                main, "totals", kind="view", columns=columns("status text, total numeric"), reads=((main, "orders"),)
            ),
            Table("hr", "payroll", columns=columns("id int, iban text")),
        ),
        functions=("run_sql", "initcap"),
    )


def grants(dialect: str = "postgres") -> dict[str, Grant]:
    """``open`` gives everything, ``tenant`` one tenant's rows, ``broken`` and ``hashed`` what cannot be applied."""
    main = _DEFAULT.get(dialect, "main")
    mine = Compare("tenant_id", "=", 1)
    seen = ("id", "tenant_id", "name", "email", "segment")
    return {
        "open": Grant.everything(),
        "tenant": Grant(
            schemas=(main,),
            tables=(
                ((main, "customers"), TableGrant(seen, (("email", Mask("constant", "***")),), mine)),
                ((main, "orders"), TableGrant(rows=mine)),
            ),
            others=TableGrant(),
        ),
        "broken": Grant(others=TableGrant(rows=Compare("owner", "=", 1))),
        "hashed": Grant(others=TableGrant(masks=(("email", Mask("hash", "salt")),))),
    }


@dataclass(frozen=True, slots=True)
class Case:
    """One block of a fixture file."""

    rule: str
    name: str
    dialect: str
    grant: str
    sql: str
    gives: str
    refused: str


def cases(pattern: str) -> list[Case]:
    """The cases of the fixture files that match `pattern`."""
    return [case for path in sorted(FIXTURES.glob(pattern)) for case in _read(path)]


def _read(path: Path) -> list[Case]:
    found: list[Case] = []
    for block in path.read_text(encoding="utf-8").strip("\n").split("\n\n"):
        name, *lines = block.split("\n")
        told = {"dialect": "postgres", "grant": "open", "refused": ""}
        while lines and lines[0].startswith("-- ") and lines[0][3:].split(":")[0] in told:
            key, _, value = lines.pop(0)[3:].partition(": ")
            told[key] = value
        sql, _, gives = "\n".join(lines).partition("\n-- gives\n")
        found.append(Case(path.stem, name.removeprefix("-- "), sql=sql, gives=gives, **told))
    return found
