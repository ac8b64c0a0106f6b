"""PostgreSQL's own reading of a text, as libpg_query gives it: one line of JSON, compared and searched as it is.

As protobuf, or as Python's own objects, a chain of a thousand ``||`` would be nested too deeply to be read. Knows
nothing of sqlglot.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from json import loads
from typing import Any

_STRING = r'"(?:[^"\\]|\\.)*"'
_PLACE = re.compile(
    r'"(?:location|stmt_location|stmt_len|list_start|list_end|rexpr_list_start|rexpr_list_end)":-?\d+,?'
)
_RELATION = re.compile(
    rf'"RangeVar":{{(?:"catalogname":({_STRING}),)?(?:"schemaname":({_STRING}),)?"relname":({_STRING})'
)
_FUNCTION = re.compile(r'"FuncCall":{"funcname":\[((?:[^"\]\\]|' + _STRING + r")*)\]")
_NAME = re.compile(rf'"sval":({_STRING})')
_KIND = re.compile(r'"([A-Z]\w*)":{')

# What means the same and may be written either way, and the way in which it is compared.
_SAME: tuple[tuple[str, str], ...] = (
    # A built-in type or function by its plain name: where a user's own would hide it, the rule `calls` refuses it.
    ('"names":[{"String":{"sval":"pg_catalog"}},', '"names":['),
    ('"funcname":[{"String":{"sval":"pg_catalog"}},', '"funcname":['),
    ('"COERCE_SQL_SYNTAX"', '"COERCE_EXPLICIT_CALL"'),
    # ASC is NULLS LAST, and DESC is NULLS FIRST.
    ('"SORTBY_ASC"', '"SORTBY_DEFAULT"'),
    ('"SORTBY_DEFAULT","sortby_nulls":"SORTBY_NULLS_LAST"', '"SORTBY_DEFAULT","sortby_nulls":"SORTBY_NULLS_DEFAULT"'),
    ('"SORTBY_DESC","sortby_nulls":"SORTBY_NULLS_FIRST"', '"SORTBY_DESC","sortby_nulls":"SORTBY_NULLS_DEFAULT"'),
    # LIKE and its operator ~~.
    ('"AEXPR_LIKE"', '"AEXPR_OP"'),
    ('"AEXPR_ILIKE"', '"AEXPR_OP"'),
    ('{"fval":".', '{"fval":"0.'),
)
_WHOLE_NUMBER = re.compile(
    r'{"TypeCast":{"arg":({"A_Const":{"ival":{(?:"ival":-?\d+)?}}}),'
    r'"typeName":{"names":\[{"String":{"sval":"int4"}}\],"typemod":-1}}}'
)
_FRAME = re.compile(r'"frameOptions":(\d+)')
_FRAME_SAYS_BETWEEN = 0x10
_NOT = '{"BoolExpr":{"boolop":"NOT_EXPR","args":['
_TEST = '{"BooleanTest":{"arg":'
_REDUCIBLE = re.compile("|".join(re.escape(piece) for piece in (_NOT, _TEST)))
_NEGATED = re.compile(
    r'{"A_Expr":{"kind":"AEXPR_(?:(?P<in>IN)","name":\[{"String":{"sval":"="}}\]'
    r'|(?P<match>OP|SIMILAR)","name":\[{"String":{"sval":"(?P<operator>~~?\*?)"}}\]'
    r'|(?P<between>BETWEEN(?:_SYM)?)","name":\[{"String":{"sval":"(?P<words>BETWEEN[A-Z ]*)"}}\])'
)
_TEST_WORD = re.compile(r'(?<="booltesttype":"IS_)(?:TRUE|FALSE)(?="}}$)')
_UNKNOWN = re.compile(r',"booltesttype":"IS_(NOT_)?UNKNOWN"}}')
_BRACKET = re.compile(rf"{_STRING}|[{{}}\[\]]")


class Unread(Exception):
    """PostgreSQL's parser refuses the text.

    Attributes:
        message: its own words.
        position: 1-based character offset into the text, or None.
    """

    def __init__(self, message: str, position: int | None) -> None:
        super().__init__(message)
        self.message = message
        self.position = position


@dataclass(frozen=True, slots=True)
class PgTree:
    """What PostgreSQL's parser makes of one text."""

    json: str

    def relations(self) -> list[tuple[str, ...]]:
        """Every table that is named, CTEs among them, as its parts: ``(schema, name)`` or ``(name,)``."""
        return [tuple(_text(part) for part in found if part) for found in _RELATION.findall(self.json)]

    def functions(self) -> list[tuple[str, ...]]:
        """Every function that is called, also by special syntax, as its parts."""
        found = [tuple(_text(part) for part in _NAME.findall(names)) for names in _FUNCTION.findall(self.json)]
        if len(found) != self.json.count('"FuncCall":{'):
            raise ValueError("FuncCall")
        return found

    def statements(self) -> int:
        """How many statements there are."""
        return self.json.count('{"stmt":{')

    def kinds(self) -> set[str]:
        """The names of all nodes."""
        return set(_KIND.findall(self.json))

    def says(self, piece: str) -> bool:
        """Whether a field or word is anywhere in the tree, outside of strings: in those, quotes have a backslash."""
        return piece in self.json

    def same_as(self, other: PgTree) -> bool:
        """Whether both are the same tree, up to what is written in two ways and means one thing."""
        mine, others = _without_places(self.json), _without_places(other.json)
        if mine == others:
            return True
        mine, others = _compared(mine), _compared(others)
        return mine == others or _reduced(mine) == _reduced(others)


@cache
def _library() -> Any:
    # Its package takes a fifth of a second to load: only processes that check SQL for PostgreSQL pay for it.
    from postgast.native import lib  # noqa: PLC0415 - as said above

    return lib


def read(sql: str) -> PgTree:
    """The tree of `sql`.

    Raises:
        Unread: PostgreSQL's grammar refuses it.
    """
    library = _library()
    encoded = sql.encode()
    result = library.pg_query_parse(encoded)
    try:
        if result.error:
            error = result.error.contents
            place = error.cursorpos
            raise Unread(error.message.decode(errors="replace"), place if 0 < place <= len(sql) + 1 else None)
        return PgTree(result.parse_tree.decode())
    finally:
        library.pg_query_free_parse_result(result)


def _text(quoted: str) -> str:
    return loads(quoted) if "\\" in quoted else quoted[1:-1]


def _without_places(json: str) -> str:
    return _PLACE.sub("", json).replace(",}", "}")


def _compared(json: str) -> str:
    for piece, canonical in _SAME:
        json = json.replace(piece, canonical)
    json = _FRAME.sub(lambda found: f'"frameOptions":{int(found[1]) | _FRAME_SAYS_BETWEEN}', json)
    # A whole number is an int4 already; the grammar itself casts it in ``substring(a FOR 3)``.
    return _WHOLE_NUMBER.sub(r"\1", json)


def _reduced(json: str) -> str:
    """One way of writing for what has one meaning and two trees, last ones first, so that places before them stay.

    ``NOT a IN (…)`` is ``a NOT IN (…)`` and so on; ``a IS UNKNOWN`` is ``a IS NULL``.
    """
    for found in reversed(list(_REDUCIBLE.finditer(json))):
        at, start = found.span()
        if found[0] == _TEST:
            end = _end(json, start)
            word = _UNKNOWN.match(json, end)
            if word:
                test = f',"nulltesttype":"IS_{word[1] or ""}NULL"}}}}'
                json = json[:at] + '{"NullTest":{"arg":' + json[start:end] + test + json[word.end() :]
        else:
            negated = _NEGATED.match(json, start)
            if negated or json.startswith(_TEST, start):
                end = _end(json, start)
                inner = _negated(negated) + json[negated.end() : end] if negated else _negated_test(json[start:end])
                if inner:
                    json = json[:at] + inner + json[end + len("]}}") :]
    return json


def _negated(found: re.Match[str]) -> str:
    if found["in"]:
        kind, name = "IN", r"\u003c\u003e"
    elif found["match"]:
        kind, name = found["match"], f"!{found['operator']}"
    else:
        kind, name = f"NOT_{found['between']}", f"NOT {found['words']}"
    return f'{{"A_Expr":{{"kind":"AEXPR_{kind}","name":[{{"String":{{"sval":"{name}"}}}}]'


def _negated_test(json: str) -> str:
    """The test with NOT in it, or "" for one that says NOT already."""
    found, count = _TEST_WORD.subn(lambda word: f"NOT_{word[0]}", json)
    return found if count else ""


def _end(json: str, start: int) -> int:
    """Where the object that begins at `start` ends."""
    depth = 0
    for found in _BRACKET.finditer(json, start):
        bracket = found[0]
        depth += (bracket in "{[") - (bracket in "}]")
        if depth == 0:
            return found.end()
    return len(json)
