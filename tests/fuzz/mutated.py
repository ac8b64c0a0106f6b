"""Statements that nobody would write: the fixtures' with tokens lost, doubled, moved and put in, and soups of words."""

from __future__ import annotations

import random
import re
from functools import cache
from pathlib import Path

from sqlglot import Dialect

FIXTURES = Path(__file__).parents[1] / "fixtures" / "sql"
DIALECTS = ("postgres", "mysql", "sqlite", "duckdb", "clickhouse", "snowflake", "bigquery", "trino", "tsql")

_PIECE = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|--[^\n]*\n|/\*.*?\*/|\w+|\s+|[<>!=|:]{2,3}|.", re.DOTALL
)
_SIGNS = (
    "( ) ( ) , , . ; * + - / % = <> < > <= >= != || :: : := => -> ->> @ @@ # ? $1 :x [ ] { } ~ ^ & | << >>"
    " ' \" ` \\ \0 \n \r \t"
)
_THINGS = """
customers orders products events totals orders_2024 payroll hr public shop main dbo default secrets sqlite_master
pg_catalog pg_class information_schema.tables id name email ssn tenant_id total note payload a b c x c.id orders.*
1 0 -1 1.5 1e400 0x1F 'a' 'it''s' '' "a" "id" `id` [id] $$a$$ $a$b$a$ E'\\n' U&'a' X'00' N'a' b'1' r'a' true false null
count(*) sum(total) max(id) lower(name) pg_sleep(1) load_extension('x') run_sql('x') read_csv('x') sleep(1) version()
/*!x*/ /*+x*/ -- # // {{x}} {x:y} @x @@version ?1 %s \ud800 \u00a0 \u200b \ufeff \u2028 ünï İ ſ
"""
_MORE = """
select from where group by having order limit offset fetch first rows only with recursive as materialized union all
intersect except distinct on join left right full outer cross natural inner lateral using values table unnest
insert into update set delete returning merge create drop alter truncate copy to program for share skip locked
explain analyze verbose pragma attach vacuum call do execute prepare begin commit grant load install
case when then else end in exists between like escape ilike similar glob regexp is not null and or any some
cast try_cast convert collate interval date timestamp array row struct map filter over partition window rows range
groups preceding following current exclude within ignore nulls qualify sample tablesample pivot unpivot sample final
prewhere settings format top into outfile dumpfile procedure handler describe show summarize asof positional semi anti
"""


@cache
def corpus() -> tuple[tuple[str, str], ...]:
    """``(dialect, sql)`` of every fixture."""
    found: list[tuple[str, str]] = []
    for path in sorted(FIXTURES.glob("*.sql")):
        for block in path.read_text(encoding="utf-8").strip("\n").split("\n\n"):
            _, *lines = block.split("\n")
            dialect = "postgres"
            while lines and re.match(r"-- (dialect|grant|refused): ", lines[0]):
                key, _, value = lines.pop(0)[3:].partition(": ")
                dialect = value if key == "dialect" else dialect
            found.append((dialect, "\n".join(lines).partition("\n-- gives\n")[0]))
    return tuple(found)


@cache
def words(dialect: str) -> tuple[str, ...]:
    """What a soup in `dialect` is made of: its tokenizer's keywords, signs, names of the shop, and strange things."""
    tokenizer = Dialect.get_or_raise(dialect).tokenizer_class
    keywords = [word for word in tokenizer.KEYWORDS if word]
    return (*sorted(keywords), *_SIGNS.split(" "), *_THINGS.split(), *_MORE.split(), *_MORE.split())


def pieces(sql: str) -> list[str]:
    """`sql` cut roughly into tokens, gaps among them; joined they are `sql`."""
    return _PIECE.findall(sql)


def soup(chance: random.Random, dialect: str) -> str:
    """Words of `dialect` in any order; half of the time after ``SELECT``."""
    found = chance.choices(words(dialect), k=chance.randint(1, 25))
    if chance.random() < 0.5:
        found.insert(0, chance.choice(("SELECT", "WITH a AS (", "SELECT * FROM", "EXPLAIN", "VALUES (")))
    return chance.choice((" ", " ", " ", "", "\n")).join(found)


def mutated(chance: random.Random, dialect: str) -> str:
    """A fixture's statement, most often one of `dialect`, with one to six pieces lost, doubled, moved or put in."""
    own = [sql for of, sql in corpus() if of == dialect]
    everything = [sql for _, sql in corpus()]
    found = pieces(chance.choice(own if own and chance.random() < 0.7 else everything))
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        at = chance.randrange(len(found) + 1)
        match chance.randrange(7):
            case 0:
                del found[at : at + 1]
            case 1:
                found[at:at] = found[at : at + chance.randint(1, 6)]
            case 2 if found:
                other = chance.randrange(len(found))
                at = min(at, len(found) - 1)
                found[at], found[other] = found[other], found[at]
            case 3 | 4:
                found[at:at] = [" ", chance.choice(words(dialect)), " "]
            case 5 if found:
                found[min(at, len(found) - 1)] = chance.choice(words(dialect))
            case _:
                donor = pieces(chance.choice(everything))
                start = chance.randrange(len(donor))
                found[at:at] = [" ", *donor[start : start + chance.randint(1, 12)], " "]
    return "".join(found)
