"""Texts that are as large as the guard takes them, each made of one thing over and over: deep, long, wide or strange.

Every family is a function of a size, so that what grows faster than its text shows itself. The texts are the same for
every dialect; in one that does not know a construct they are nonsense, which has to be refused as quickly.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

CHARS = 20_000
"""As long as a text may be."""
DEPTHS = (4, 9, 14, 24, 40, 57)
LENGTHS = (150, 600, 2_500)
MIXES = 12


@dataclass(frozen=True, slots=True)
class Extreme:
    """One text: `family` says of what, `size` how often."""

    family: str
    size: int
    sql: str


_OPENERS = """
( | )
(1, | )
((id), | )
- |
-- |
NOT |
not( | )
~ |
+ - |
(SELECT | )
(SELECT ( | ))
(SELECT id FROM orders WHERE id = | )
(SELECT max(id) FROM (SELECT | AS id FROM orders) q)
(SELECT id FROM orders WHERE id IN ( | ))
EXISTS(SELECT | )
EXISTS( | )
id IN ( | )
id IN (SELECT | )
id = ANY( | )
id NOT IN (( | ))
id BETWEEN 1 AND ( | )
[ | ]
[1, | ]
{ | }
{a: | }
{'a': | }
{'a': [ | ]}
ARRAY[ | ]
ARRAY[1, | ]
ARRAY( | )
ARRAY(SELECT | )
STRUCT( | )
STRUCT( | AS a)
STRUCT(1 AS a, | )
ROW( | )
MAP( | )
MAP([1], [ | ])
MAP[ | ]
MAP{ | }
MAP {'a': | }
OBJECT( | )
OBJECT_CONSTRUCT('a', | )
NULLABLE( | )
VARIANT( | )
TUPLE( | )
NESTED( | )
LIST( | )
UNION( | )
ENUM( | )
DECIMAL( | )
VARCHAR( | )
INT( | )
DATE( | )
DATE |
TIMESTAMP( | )
TIMESTAMP |
INTERVAL |
INTERVAL( | )
INTERVAL ( | ) DAY
BINARY |
BINARY( | )
CASE |
CASE WHEN |
CASE WHEN | THEN 1 END
CASE id WHEN 1 THEN | END
CASE id WHEN 1 THEN 2 ELSE | END
CASE CASE | END
IF( | , 1, 2)
IF |
IFF(id = 1, | , 2)
COALESCE( | )
COALESCE(id, | )
lower( | )
abs( | )
sum( | )
sum( | ) OVER ()
sum(DISTINCT | )
count( | ) FILTER (WHERE id = 1)
count(id) FILTER (WHERE | )
row_number() OVER (ORDER BY | )
row_number() OVER (PARTITION BY | )
sum(id) OVER (ORDER BY id ROWS BETWEEN | PRECEDING AND CURRENT ROW)
CAST( | AS INT)
CAST( | AS DECIMAL(10, 2))
TRY_CAST( | AS INT)
CONVERT(INT, | )
CONVERT( | , CHAR)
EXTRACT(DAY FROM | )
TRIM(BOTH 'a' FROM | )
SUBSTRING( | FROM 1 FOR 2)
POSITION('a' IN | )
OVERLAY( | PLACING 'a' FROM 1)
DATE_ADD( | , INTERVAL 1 DAY)
DATE_TRUNC('day', | )
JSON_OBJECT('a': | )
JSON_OBJECT( | )
JSON_ARRAY( | )
JSON_VALUE( | , '$.a')
JSON_QUERY( | , '$.a')
JSON_TABLE( | , '$' COLUMNS (a INT PATH '$'))
XMLELEMENT(NAME a, | )
GROUP_CONCAT( | SEPARATOR ',')
GROUP_CONCAT(id ORDER BY | )
STRING_AGG( | , ',')
LISTAGG( | , ',') WITHIN GROUP (ORDER BY id)
PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY | )
UNNEST( | )
VALUES ( | )
x -> |
x -> ( | )
(x) -> ( | )
(x, y) -> |
f(x -> | )
lambda x: |
lambda x: ( | )
id[ | ]
id[1: | ]
id.( | )
id:: |
id::DECIMAL( | )
id::STRUCT< | >
id::ARRAY< | >
id COLLATE |
id AT TIME ZONE ( | )
id LIKE ( | )
id IS ( | )
id IS NOT DISTINCT FROM ( | )
id OVERLAPS ( | )
id MEMBER OF( | )
@ |
:a( | )
:: |
? ( | )
$1[ | ]
{{ | }}
{fn lower( | )}
{d | }
* EXCEPT ( | )
* REPLACE ( | AS id)
COLUMNS( | )
COLUMNS(x -> | )
TRANSFORM( | )
PRIOR |
NEXT VALUE FOR |
CONNECT_BY_ROOT |
DISTINCT ( | )
ALL ( | )
SOME( | )
OPERATOR( | )
id OPERATOR(+) ( | )
ARRAY<INT>[ | ]
STRUCT<a INT>( | )
STRUCT<INT>( | )
ARRAY<STRUCT<a INT>>[ | ]
tuple( | ).1
dictGet('a', 'b', | )
quantile(0.5)( | )
sumIf( | , 1)
POSITION( | IN 'a')
CHAR( | USING utf8)
MATCH(id) AGAINST ( | )
WEIGHT_STRING( | AS CHAR(3))
TOP ( | )
FORMAT( | )
"""

_TYPES = """
ARRAY< | >
STRUCT< | >
STRUCT<a | >
STRUCT<a: | >
STRUCT( | )
STRUCT(a | )
ROW( | )
ROW(a | )
MAP< | , INT>
MAP<INT, | >
MAP( | , INT)
MAP(INT, | )
MAP[INT => | ]
OBJECT< | >
OBJECT( | )
OBJECT(a | )
ARRAY( | )
ARRAY[ | ]
LIST< | >
LIST( | )
UNION(a | )
Nullable( | )
LowCardinality( | )
Array( | )
Tuple( | )
Tuple(a | )
Nested(a | )
Map(String, | )
Variant( | )
AggregateFunction(sum, | )
SimpleAggregateFunction(sum, | )
Enum8( | )
DECIMAL( | )
VARCHAR( | )
VECTOR( | , 3)
INT[ | ]
INT ARRAY[ | ]
INTERVAL( | )
TABLE<a | >
TABLE(a | )
RANGE< | >
"""

_SOURCES = """
( | )
(SELECT * FROM | )
(SELECT * FROM | ) q
(SELECT * FROM ( | ) q)
( | JOIN orders o ON 1 = 1)
(orders o CROSS JOIN | )
(orders JOIN ( | ) ON 1 = 1)
LATERAL ( | )
LATERAL (SELECT * FROM | )
UNNEST( | )
UNNEST([ | ])
UNNEST(ARRAY[ | ])
TABLE( | )
VALUES ( | )
(VALUES ( | ))
((SELECT 1) UNION ( | ))
(SELECT 1 UNION SELECT * FROM | )
(WITH q AS (SELECT 1) SELECT * FROM | )
(WITH q AS ( | ) SELECT * FROM q)
generate_series(1, | )
f( | )
ONLY ( | )
ROWS FROM ( | )
JSON_TABLE( | )
OPENJSON( | )
XMLTABLE( | )
orders PIVOT( | )
orders PIVOT(sum(id) FOR id IN ( | ))
orders UNPIVOT(a FOR b IN ( | ))
orders TABLESAMPLE ( | )
orders WITH ( | )
orders MATCH_RECOGNIZE ( | )
orders JOIN LATERAL ( | ) q
orders AS q( | )
orders FOR SYSTEM_TIME AS OF ( | )
orders AT (TIMESTAMP => | )
"""

_CHAINS = (
    "+ id", "- id", "* id", "/ id", "% id", "|| id", "AND id = 1", "OR id = 1", "XOR id = 1", "= id", "<> id", "< id",
    "<=> id", "IS NULL", "IS NOT NULL", "IN (1)", "NOT IN (1)", "LIKE 'a'", "NOT LIKE 'a' ESCAPE 'b'",
    "BETWEEN 1 AND 2", "~ 'a'", "& 1", "| 1", "^ 1", "<< 1", "-> 'a'", "->> 'a'", "-> x", "#> 'a'", "@> 'a'", "?? id",
    "? id", ":a", ":a.b", "::int", "::int[]", "::varchar(3)", ".a", ".a()", ".a(1)", ".1", ".*", "[1]", "[1:2]",
    "['a']", "[id]", "COLLATE a", "AT TIME ZONE 'a'", "DIV id", "MOD id", "REGEXP 'a'", "SIMILAR TO 'a'", "GLOB 'a'",
    "IS DISTINCT FROM id", "OVERLAPS id", "MEMBER OF (id)", "OVER ()", "FILTER (WHERE id = 1)", "OPERATOR(+) id",
    "ILIKE ANY ('a')", "AS a", "'a'", ":= id", "=> id", "ISNULL", "NOTNULL", "** id", "// id", ", id", ", id AS a",
    ", 'a'", ", 1", ", *", ", orders.*", ", sum(id) OVER (PARTITION BY id ORDER BY id)",
    ", CASE WHEN id = 1 THEN 2 END", ", (SELECT 1)", ", (SELECT max(id) FROM orders)", ", ARRAY[1]", ", [1]",
    ", {'a': 1}", ", CAST(id AS INT)", ", DATE '2024-01-01'", ", INTERVAL '1' DAY", ", x -> x", ", lower(status)",
    ", STRUCT(1)", ", id::int", ", -id", ", NOT id", ", @a", ", :a", ", ?", ", $1", ", lambda x: x", ", a b",
    ", INTERVAL", ", DATE", ", ARRAY", ", STRUCT", ", MAP", ", CASE", ", IF", ", ROW", ", CAST", ", CURRENT_DATE",
)  # fmt: skip

_TAILS = (
    "UNION SELECT id FROM orders", "UNION ALL SELECT 1", "EXCEPT SELECT id FROM orders", "INTERSECT SELECT 1",
    "UNION ALL (SELECT 1)", ", orders", ", orders o{n}", "JOIN orders o{n} ON o{n}.id = orders.id",
    "JOIN orders o{n} USING (id)", "NATURAL JOIN orders o{n}", "CROSS JOIN orders o{n}", "LEFT JOIN customers c{n}",
    "JOIN (SELECT id FROM orders) q{n} ON q{n}.id = orders.id", ", LATERAL (SELECT 1) q{n}", "JOIN orders o{n}",
    ", UNNEST([1]) u{n}", "CROSS JOIN UNNEST(ARRAY[1]) u{n}", "LATERAL VIEW explode(id) u{n} AS a", "ARRAY JOIN id",
    "WHERE id = 1", "ORDER BY id", "LIMIT 1", "OFFSET 1", "FOR UPDATE", "GROUP BY id", "HAVING id = 1",
    "WINDOW w AS ()", "QUALIFY id = 1", "TABLESAMPLE (1)", "PIVOT (sum(id) FOR id IN (1))", "SETTINGS a = 1",
    "FORMAT a", "FINAL", "PREWHERE id = 1", "OPTION (a)", "WITH (a)", "FETCH FIRST 1 ROWS ONLY", "INTO a",
)  # fmt: skip

_LISTS = (
    "SELECT id FROM orders WHERE id IN ({1})", "SELECT id FROM orders WHERE status IN ({'a'})",
    "SELECT id FROM orders WHERE id NOT IN ({-1})", "SELECT id FROM orders WHERE (id, id) IN ({(1, 2)})",
    "SELECT id FROM orders WHERE id IN ({id})", "SELECT id FROM orders ORDER BY {id}",
    "SELECT coalesce({id}) FROM orders", "SELECT id FROM orders GROUP BY {id}",
    "SELECT id FROM orders GROUP BY GROUPING SETS ({(id)})", "SELECT count(*) FROM orders GROUP BY CUBE ({id})",
    "SELECT concat({'a'}) FROM orders", "SELECT [{1}] FROM orders", "SELECT ARRAY[{1}] FROM orders",
    "SELECT {x{n}} FROM orders", "SELECT * FROM (VALUES {(1)}) v(a)", "VALUES {(1, 2)}",
    "SELECT {id AS a{n}} FROM orders", "SELECT a0 FROM (SELECT {id AS a{n}} FROM orders) q",
    "SELECT {orders.id} FROM orders", "WITH {q{n} AS (SELECT 1 AS a)} SELECT * FROM q0",
    "WITH {q{n} AS (SELECT id FROM orders)} SELECT * FROM q0",
    "WITH q AS (SELECT 1), {q{n} AS (SELECT * FROM q)} SELECT * FROM q0", "SELECT * EXCEPT ({id}) FROM orders",
    "SELECT greatest({id + 1}) FROM orders", "SELECT sum(id) OVER (PARTITION BY {id}) FROM orders",
    "SELECT f({*}) FROM orders", "SELECT id FROM orders WINDOW {w{n} AS (ORDER BY id)}",
    "SELECT decode(id, {1, 2}) FROM orders", "SELECT * FROM orders AS q({a{n}})", "SELECT ({id}) FROM orders",
    "SELECT (({id})) FROM orders", "SELECT ({(id)}) FROM orders", "SELECT CAST(id AS ENUM({'a'})) FROM orders",
    "SELECT CAST(id AS STRUCT<{a INT}>) FROM orders", "SELECT {x{n}}.* FROM orders", "SELECT f({x => 1}) FROM orders",
    "SELECT f({x -> x}) FROM orders", "SELECT {{'a': 1}} FROM orders", "SELECT replace({'aaa'}) FROM orders",
)  # fmt: skip

_STEPS = (
    ("WITH q0 AS (SELECT id FROM orders)", ", q{n} AS (SELECT * FROM q{m})", "SELECT * FROM q{m}"),
    (
        "WITH q0 AS (SELECT id FROM orders)",
        ", q{n} AS (SELECT a.id FROM q{m} a JOIN q{m} b ON a.id = b.id)",
        "SELECT * FROM q{m}",
    ),
    (
        "WITH q0 AS (SELECT id AS a, id AS b FROM orders)",
        ", q{n} AS (SELECT a + b AS a, a * b AS b FROM q{m})",
        "SELECT * FROM q{m}",
    ),
    ("WITH q0 AS (SELECT * FROM orders)", ", q{n} AS (SELECT *, * FROM q{m})", "SELECT * FROM q{m}"),
    ("WITH q0 AS (SELECT * FROM orders)", ", q{n} AS (SELECT * FROM q{m} a, q{m} b)", "SELECT * FROM q{m}"),
    (
        "WITH RECURSIVE q0 AS (SELECT 1 AS a)",
        ", q{n} AS (SELECT a FROM q{m} UNION ALL SELECT a FROM q{n})",
        "SELECT * FROM q{m}",
    ),
    ("SELECT id AS a0", ", a{m} + a{m} AS a{n}", "FROM orders"),
    ("SELECT id AS a0", ", repeat(a{m}, a{m}) AS a{n}", "FROM orders"),
    ("SELECT 'a' AS a0", ", replace(a{m}, 'a', a{m} || 'aa') AS a{n}", "FROM orders"),
    ("WITH q0 AS (SELECT repeat('a', 3) AS a)", ", q{n} AS (SELECT a || a AS a FROM q{m})", "SELECT a FROM q{m}"),
    (
        "SELECT 1 FROM orders o0",
        "JOIN orders o{n} ON o{n}.id = o{m}.id AND o{n}.status = o0.status",
        "WHERE o{m}.id = 1",
    ),
    ("SELECT 1 FROM orders o0", "JOIN orders o{n} USING (id, status)", ""),
    ("SELECT * FROM orders o0", ", customers o{n}", "WHERE name = 'a'"),
)

_UNITS = (
    "'", '"', "`", "[", "$$", "$a$", "$a", "/*", "/*a*/", "*/", "--", "--\n", "#", "#\n", "//", "/*!", "/*+", "''",
    '""', "``", "\\", "'\\", "'\\'", "E'", "E'\\n' ", "r'", "b'", "x'", "X'00' ", "N'a' ", "U&'", "q'[", "'a' ",
    "'a'\n", "'%", "{{", "}}", "{%", "@", "@@", ":", "::", "?", "?1 ", "$1 ", "%s ", ";", ",", ".", "..", "1.", "1e",
    "1e9", "0x", "0b", "_", "a ", "a.", "a", "9", "(", ")", "]", "}", "<", ">", "<<", "=", "!", "!=", "~", "^", "|",
    "&", "*", "+", "-", "- ", "%", " ", "\n", "\t", "\r\n", "\r", "\x0b", "\xa0", "\u200b", "\ufeff", "\u2028", "é",
    "İ", "ſ", "ß", "漢", "😀", "a\u0301", "\u202e", "\u0660", "²", "ﷺ", "\ud7ff", "SELECT ", "FROM ", "WITH ", "NOT ",
    "AND ", "NULL ", "IN ", "IS ", "AS ", "ALL ", "DATE ", "INTERVAL ", "CASE ", "END ", "ARRAY ", "STRUCT ", "INT ",
    "OVER ", "UNION ", "VALUES ", "BY ", "ON ", "JOIN ", "LATERAL ", "TABLE ", "UNNEST ", "EXPLAIN ", "explain/**/",
    "ORDER BY ", "LIMIT ", "CAST ", "MAP ",
)  # fmt: skip
_AROUND = ("{}", "SELECT {}", "SELECT '{}' FROM orders", "SELECT \"{}\" FROM orders", "SELECT 1 FROM orders -- {}",
           "SELECT 1 /* {} */ FROM orders", "SELECT id FROM orders WHERE {}", "SELECT id AS {} FROM orders",
           "SELECT id FROM {}", "SELECT printf('{}', 1) FROM orders", "SELECT replace('{}', 'a', 'b') FROM orders",
           "EXPLAIN {} SELECT 1", "SELECT CAST(id AS \"{}\") FROM orders", "SELECT 1 FROM orders LIMIT {}")  # fmt: skip


def _pairs(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for line in text.strip("\n").split("\n"):
        before, _, after = line.partition(" |")
        found.append((before, after.strip()))
    return found


EXPRESSIONS = _pairs(_OPENERS)
TYPES = _pairs(_TYPES)
SOURCES = _pairs(_SOURCES)


def nested(pairs: list[tuple[str, str]], core: str, depth: int, *, closed: bool) -> str:
    """`core` within `depth` of `pairs`, outermost first and from the beginning again, cut to what may be sent."""
    used = [pairs[level % len(pairs)] for level in range(depth)]
    after = " ".join(after for _, after in reversed(used)) if closed else ""
    return f"{' '.join(before for before, _ in used)} {core} {after}"


def _repeated(unit: str, times: int) -> str:
    return " ".join(unit.replace("{n}", str(n)).replace("{m}", str(n - 1)) for n in range(1, times + 1))


_PLACES: tuple[tuple[str, str, list[tuple[str, str]], str], ...] = (
    ("expression", "SELECT {} FROM orders", EXPRESSIONS, "id"),
    ("condition", "SELECT id FROM orders WHERE {} = 1", EXPRESSIONS, "id"),
    ("argument", "SELECT coalesce({}, 1) FROM orders", EXPRESSIONS, "id"),
    ("type", "SELECT CAST(id AS {}) FROM orders", TYPES, "INT"),
    ("type of a column", "SELECT id::{} FROM orders", TYPES, "INT"),
    ("type in front", "SELECT {}[1] FROM orders", TYPES, "INT"),
    ("table", "SELECT id FROM {}", SOURCES, "orders"),
    ("joined table", "SELECT id FROM orders JOIN {} ON 1 = 1", SOURCES, "orders"),
)


def _deep(depths: tuple[int, ...]) -> Iterator[Extreme]:
    for place, around, pairs, core in _PLACES:
        for pair in pairs:
            for depth in depths:
                for closed in (True, False):
                    name = f"{place}: {pair[0]}{'' if closed else ' unclosed'}"
                    yield Extreme(name, depth, around.replace("{}", nested([pair], core, depth, closed=closed)))
        for pair in pairs:
            if not any(sign in pair[0] for sign in "([{") and "CASE" not in pair[0]:
                for times in (150, 1_000, 5_000):
                    deep = around.replace("{}", nested([pair], core, times, closed=True))
                    yield Extreme(f"{place}: {pair[0]}", times, deep)


def _mixed(chance: random.Random, depths: tuple[int, ...]) -> Iterator[Extreme]:
    for place, around, pairs, core in _PLACES:
        for number in range(MIXES):
            some = chance.sample(pairs, k=chance.randint(2, 4))
            name = f"{place}: {' '.join(before for before, _ in some)}"
            for depth in depths:
                yield Extreme(name, depth, around.replace("{}", nested(some, core, depth, closed=number % 2 == 0)))


def _long() -> Iterator[Extreme]:
    for unit in _CHAINS:
        for times in LENGTHS:
            chain = _repeated(unit, times)
            yield Extreme(f"chain: {unit}", times, f"SELECT id {chain} FROM orders")
            yield Extreme(f"chain in WHERE: {unit}", times, f"SELECT id FROM orders WHERE id {chain}")
            yield Extreme(f"chain in brackets: {unit}", times, f"SELECT ((((id {chain})))) FROM orders")
            yield Extreme(f"chain in arguments: {unit}", times, f"SELECT coalesce(ARRAY[f(id {chain})]) FROM orders")
    for unit in _TAILS:
        for times in LENGTHS:
            yield Extreme(f"tail: {unit}", times, f"SELECT orders.id FROM orders {_repeated(unit, times)}")
            inner = f"SELECT 1 FROM (SELECT orders.id FROM orders {_repeated(unit, times)}) q"
            yield Extreme(f"inner tail: {unit}", times, inner)
    for text in _LISTS:
        first, last = text.index("{"), text.rindex("}")
        item = text[first + 1 : last]
        for times in LENGTHS:
            items = ", ".join(item.replace("{n}", str(n)) for n in range(times))
            yield Extreme(f"list: {text}", times, text[:first] + items + text[last + 1 :])
    for before, unit, after in _STEPS:
        for times in (20, *LENGTHS):
            middle = _repeated(unit, times)
            yield Extreme(f"steps: {unit}", times, f"{before} {middle} {after.replace('{m}', str(times))}")


def _strange() -> Iterator[Extreme]:
    for around in _AROUND:
        for unit in _UNITS:
            for chars in (600, 6_000, CHARS - 100):
                yield Extreme(f"text: {around} of {unit!r}", chars, around.replace("{}", unit * (chars // len(unit))))


def extremes(seed: int = 0, depths: tuple[int, ...] = DEPTHS) -> Iterator[Extreme]:
    """Every text that is not longer than `CHARS`, the mixed ones as `seed` has them."""
    makers: tuple[Callable[[], Iterator[Extreme]], ...] = (
        lambda: _deep(depths),
        lambda: _mixed(random.Random(seed), depths),
        _long,
        _strange,
    )
    for maker in makers:
        for extreme in maker():
            if len(extreme.sql) <= CHARS:
                yield extreme
            else:
                # Too long: as much of it as may be sent.
                yield Extreme(f"{extreme.family} cut", extreme.size, extreme.sql[:CHARS])
