"""The columns of a MariaDB or MySQL result: packed rows in, Arrow batches out, every value exactly as it is stored.

Format: https://mariadb.com/kb/en/resultset-row/#binary-resultset-row. Knows no connection.
"""

# pyarrow ships no types: its schemas and batches are unknown to the checker.
# pyright: reportUnknownParameterType=false

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

import pyarrow as pa
from pymysql.constants import FIELD_TYPE as T
from pymysql.constants import FLAG

from executor.adapters.batches import clock_text, typed_field
from executor.adapters.mysql_wire import Field

_BINARY = 63
"""The character set of what is not text."""

_SHORT = 250  # the longest length that takes one byte; 251 is the text protocol's NULL
_MOST_DIGITS = 38  # of decimal128
_EPOCH = date(1970, 1, 1).toordinal()
_DAY_US = 86_400_000_000
_NUMBERS: dict[int, tuple[int, pa.DataType, pa.DataType]] = {
    T.TINY: (1, pa.int8(), pa.uint8()),
    T.SHORT: (2, pa.int16(), pa.uint16()),
    T.YEAR: (2, pa.int16(), pa.int16()),
    T.LONG: (4, pa.int32(), pa.uint32()),
    T.INT24: (4, pa.int32(), pa.uint32()),
    T.LONGLONG: (8, pa.int64(), pa.uint64()),
    T.FLOAT: (4, pa.float32(), pa.float32()),
    T.DOUBLE: (8, pa.float64(), pa.float64()),
}
"""Types of a fixed width: its bytes, which are Arrow's own, and the Arrow types of a signed and an unsigned one."""

_WORDS = {
    T.TINY: "tinyint",
    T.SHORT: "smallint",
    T.INT24: "mediumint",
    T.LONG: "int",
    T.LONGLONG: "bigint",
    T.YEAR: "year",
    T.FLOAT: "float",
    T.DOUBLE: "double",
    T.NULL: "null",
    T.BIT: "bit",
    T.DATE: "date",
    T.NEWDATE: "date",
    T.DATETIME: "datetime",
    T.TIMESTAMP: "timestamp",
    T.TIME: "time",
    T.JSON: "json",
    T.GEOMETRY: "geometry",
    T.ENUM: "enum",
    T.SET: "set",
}
_STRINGS = {T.STRING: ("char", "binary"), T.VAR_STRING: ("varchar", "varbinary"), T.VARCHAR: ("varchar", "varbinary")}
_Cells = list[Any]  # of bytes and None: in the signatures of what converts them


@dataclass(frozen=True, slots=True)
class _Column:
    """One column.

    Attributes:
        word: the database's, for its type.
        kind: the Arrow type that it has unless a cell does not fit.
        array: how its cells, bytes or None, become one.
        width: of a cell in bytes; 0 for what has a length before it.
    """

    word: str
    kind: pa.DataType
    array: Callable[[_Cells], pa.Array]
    width: int = 0


class MySQLColumns:
    """The columns of one statement, from what the server says of them."""

    def __init__(self, fields: Sequence[Field]) -> None:
        self._names = [field.name for field in fields]
        self._columns = [_column(field) for field in fields]
        self._head = 1 + (len(fields) + 9) // 8  # a byte, and a bit a column, two of them unused

    def schema(self) -> pa.Schema:
        """The schema of the result, unless a batch has to widen it."""
        return self._labelled([column.kind for column in self._columns])

    def batch(self, payloads: Sequence[bytes]) -> pa.RecordBatch:
        """The rows in `payloads`, in order."""
        cells: list[_Cells] = [[] for _ in self._columns]
        widths = [column.width for column in self._columns]
        head, without_null = self._head, bytes(self._head)
        steps = [(own.append, width) for own, width in zip(cells, widths, strict=True)]
        for row in payloads:
            at = head
            if row.startswith(without_null):
                for append, width in steps:
                    if width:
                        end = at + width
                    else:
                        end = row[at]
                        at += 1
                        if end > _SHORT:
                            end, at = _long_length(row, at)
                        end += at
                    append(row[at:end])
                    at = end
            else:
                self._take_with_nulls(row, steps)
        arrays = [column.array(own) for column, own in zip(self._columns, cells, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=self._labelled([a.type for a in arrays]))

    def _take_with_nulls(self, row: bytes, steps: Sequence[tuple[Callable[[bytes | None], None], int]]) -> None:
        nulls = int.from_bytes(row[1 : self._head], "little") >> 2
        at = self._head
        for i, (append, width) in enumerate(steps):
            if nulls >> i & 1:
                append(None)
                continue
            size = width
            if not width:
                size, at = row[at], at + 1
                if size > _SHORT:
                    size, at = _long_length(row, at)
            append(row[at : at + size])
            at += size

    def _labelled(self, kinds: Sequence[pa.DataType]) -> pa.Schema:
        return pa.schema([typed_field(n, k, c.word) for n, k, c in zip(self._names, kinds, self._columns, strict=True)])


def _long_length(row: bytes, at: int) -> tuple[int, int]:
    """A length of more than a byte, whose mark stands before `at`, and where what it measures begins."""
    size = {252: 2, 253: 3, 254: 8}[row[at - 1]]
    return int.from_bytes(row[at : at + size], "little"), at + size


def _column(field: Field) -> _Column:
    code, unsigned = field.type_code, bool(field.flags & FLAG.UNSIGNED)
    if code in _NUMBERS:
        width, signed_kind, unsigned_kind = _NUMBERS[code]
        kind = unsigned_kind if unsigned else signed_kind
        word = f"{_WORDS[code]} unsigned" if unsigned and code != T.YEAR else _WORDS[code]
        return _Column(word, kind, partial(_numbers, kind=kind, width=width), width)
    if code in (T.NEWDECIMAL, T.DECIMAL):
        return _decimal(field, unsigned=unsigned)
    if code in _SPECIAL:
        kind, array = _SPECIAL[code]
        return _Column(f"bit({field.length})" if code == T.BIT else _WORDS[code], kind, array)
    is_text = code == T.JSON or (field.charset != _BINARY and code != T.GEOMETRY)
    if code in _STRINGS:
        word = "enum" if field.flags & FLAG.ENUM else "set" if field.flags & FLAG.SET else _STRINGS[code][not is_text]
    else:
        word = _WORDS.get(code, "text" if is_text else "blob")
    return _Column(word, pa.string(), _texts) if is_text else _Column(word, pa.binary(), _blobs)


def _decimal(field: Field, *, unsigned: bool) -> _Column:
    """Exact as decimal128 where that has the digits, else as text."""
    scale = field.scale
    digits = field.length - (scale > 0) - (not unsigned)
    word = f"decimal({digits},{scale})"
    if not max(1, scale) <= digits <= _MOST_DIGITS:
        return _Column(word, pa.string(), _texts)
    kind = pa.decimal128(digits, scale)

    def array(cells: _Cells) -> pa.Array:
        texts = _texts(cells)
        try:
            return texts.cast(kind)
        except pa.ArrowInvalid:  # more digits than the server had said
            return texts

    return _Column(word, kind, array)


def _numbers(cells: _Cells, *, kind: pa.DataType, width: int) -> pa.Array:
    try:
        valid, data = None, b"".join(cells)
    except TypeError:  # there is a None among them
        valid = pa.array([c is not None for c in cells], pa.bool_()).buffers()[1]
        nothing = bytes(width)
        data = b"".join([nothing if c is None else c for c in cells])
    return pa.Array.from_buffers(kind, len(cells), [valid, pa.py_buffer(data)])


def _blobs(cells: _Cells) -> pa.Array:
    return pa.array(cells, pa.binary())


def _texts(cells: _Cells) -> pa.Array:
    """The server sends UTF-8; U+FFFD stands for each byte that is not."""
    try:
        return _blobs(cells).cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array([None if c is None else c.decode("utf-8", "replace") for c in cells], pa.string())


def _bits(cells: _Cells) -> pa.Array:
    return pa.array([None if c is None else int.from_bytes(c, "big") for c in cells], pa.uint64())


def _nothing(cells: _Cells) -> pa.Array:
    return pa.nulls(len(cells))


def _dates(cells: _Cells) -> pa.Array:
    """Days; the whole column as text where a cell is no day (``0000-00-00``, ``2024-02-00``)."""
    try:
        return pa.array([None if c is None else _day(c) for c in cells], pa.int32()).view(pa.date32())
    except ValueError:
        return pa.array([None if c is None else _written_date(c) for c in cells], pa.string())


def _datetimes(cells: _Cells) -> pa.Array:
    return _moments(cells, pa.timestamp("us"), "")


def _timestamps(cells: _Cells) -> pa.Array:
    return _moments(cells, pa.timestamp("us", "UTC"), "Z")  # the session's time zone is UTC


def _moments(cells: _Cells, kind: pa.DataType, zone: str) -> pa.Array:
    try:
        told = [None if c is None else _day(c) * _DAY_US + _microseconds(c, 4) for c in cells]
    except ValueError:
        texts = [
            None if c is None else f"{_written_date(c)}T{clock_text(_microseconds(c, 4), 'us')}{zone}" for c in cells
        ]
        return pa.array(texts, pa.string())
    return pa.array(told, pa.int64()).view(kind)


def _times(cells: _Cells) -> pa.Array:
    """Times of day; the whole column as text where one is a duration (``-01:00:00``, ``838:59:59.5``)."""
    told = [None if c is None else _duration(c) for c in cells]
    if all(t is None or 0 <= t < _DAY_US for t in told):
        return pa.array(told, pa.int64()).view(pa.time64("us"))
    return pa.array([None if t is None else f"{'-' * (t < 0)}{clock_text(abs(t), 'us')}" for t in told], pa.string())


def _day(cell: bytes) -> int:
    """Days since 1970-01-01. Raises `ValueError` where there is no such day."""
    year, month, day = struct.unpack_from("<HBB", cell.ljust(4, b"\0"))
    return date(year, month, day).toordinal() - _EPOCH


def _written_date(cell: bytes) -> str:
    year, month, day = struct.unpack_from("<HBB", cell.ljust(4, b"\0"))
    return f"{year:04d}-{month:02d}-{day:02d}"


def _microseconds(cell: bytes, at: int) -> int:
    """Of the hours, minutes, seconds and microseconds that begin at `at`, as far as they were sent: zeros are not."""
    hours, minutes, seconds, rest = struct.unpack_from("<BBBI", cell.ljust(at + 7, b"\0"), at)
    return ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + rest


def _duration(cell: bytes) -> int:
    """Microseconds of a TIME: a sign, days, and the rest."""
    if not cell:
        return 0
    negative, days = struct.unpack_from("<BI", cell)
    told = days * _DAY_US + _microseconds(cell, 5)
    return -told if negative else told


_SPECIAL: dict[int, tuple[pa.DataType, Callable[[_Cells], pa.Array]]] = {
    T.NULL: (pa.null(), _nothing),
    T.BIT: (pa.uint64(), _bits),
    T.DATE: (pa.date32(), _dates),
    T.NEWDATE: (pa.date32(), _dates),
    T.DATETIME: (pa.timestamp("us"), _datetimes),
    T.TIMESTAMP: (pa.timestamp("us", "UTC"), _timestamps),
    T.TIME: (pa.time64("us"), _times),
}
