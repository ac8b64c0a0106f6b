r"""Arrow values as JSON-ready cells and as text, column by column. Knows no files, no jobs, no pages.

=====================  =================================================================================
value                  cell
=====================  =================================================================================
integer                number; a string beyond ±2^53, where JSON readers lose digits
float                  number; ``"NaN"``, ``"Infinity"``, ``"-Infinity"``
decimal                string with every digit and no exponent; without places after the point, as an integer
text, JSON             string
boolean, null          ``true``, ``false``, ``null``
date, time, timestamp  ISO 8601; with a time zone ``…Z`` or ``…+02:00``; ``"infinity"``, ``"-infinity"``
interval, duration     ISO 8601 (``P1M2DT3H``, ``-PT0.5S``)
bytes                  ``"\\x"`` and lower-case hexadecimal digits
UUID                   its usual text
list, struct, map      array, object, object (an array of pairs where keys repeat)
=====================  =================================================================================

What can be is done by Arrow's kernels on a whole column; Python loops remain for bytes, intervals and nested values.
"""

# pyarrow ships no types: its arrays and kernels are unknown to the checker.
# pyright: reportUnknownParameterType=false, reportAttributeAccessIssue=false

from __future__ import annotations

import datetime as dt
import json
import math
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

EXACT_INT = 2**53
"""Integers beyond this, either way, do not survive a JSON reader that knows floats only."""

_INT64_MAX = 2**63 - 1
_INT32_MAX = 2**31 - 1
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_YEAR_1, _YEAR_10000 = -62_135_596_800, 253_402_300_800
_UTC_NAMES = frozenset({"UTC", "Etc/UTC", "GMT", "Z", "+00:00", "utc"})


def cells(array: pa.Array) -> list[Any]:
    """One JSON-ready cell a value."""
    array = plain(array)
    kind = array.type
    types = pa.types
    if types.is_null(kind):
        return [None] * len(array)
    if types.is_string(kind) or types.is_large_string(kind) or types.is_boolean(kind):
        return array.to_pylist()
    if types.is_integer(kind):
        return _int_cells(array)
    if types.is_floating(kind):
        return _float_cells(array)
    if types.is_decimal(kind) and kind.scale == 0:  # what databases call a whole number too large for 64 bits
        return _whole_decimal_cells(array)
    if types.is_nested(kind):
        return _nested_cells(array)
    return as_text(array).to_pylist()


def as_text(array: pa.Array) -> pa.Array:
    """The same values as text, each what its cell shows (nested ones as compact JSON). Nulls stay null."""
    array = plain(array)
    kind = array.type
    types = pa.types
    if types.is_string(kind) or types.is_large_string(kind):
        return array
    for applies, convert in _TEXT:
        if applies(kind):
            return convert(array)
    if types.is_null(kind) or types.is_integer(kind) or types.is_boolean(kind):
        return array.cast(pa.string())
    found = [None if c is None else dumps(c) for c in cells(array)]
    return pa.array(found, pa.string())


def dumps(value: Any) -> str:
    """Compact JSON, not escaped to ASCII."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def plain(array: pa.Array) -> pa.Array:
    """The same values without encodings: dictionaries and runs unfolded, views copied, extensions as they mean."""
    kind = array.type
    types = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return _extension(array)
    if types.is_dictionary(kind):
        return plain(array.dictionary_decode())
    if types.is_run_end_encoded(kind):
        return plain(pc.run_end_decode(array))
    if types.is_string_view(kind):
        return array.cast(pa.large_string() if array.nbytes >= 2**31 else pa.string())
    if types.is_binary_view(kind):
        return array.cast(pa.large_binary() if array.nbytes >= 2**31 else pa.binary())
    return array


def clip(array: pa.Array, length: int) -> pa.Array:
    """Text and bytes cut to `length` characters or bytes, before anything is made of them; other types untouched."""
    array = plain(array)
    types = pa.types
    if types.is_string(array.type) or types.is_large_string(array.type):
        return pc.utf8_slice_codeunits(array, 0, length)
    if types.is_binary(array.type) or types.is_large_binary(array.type):
        return pc.binary_slice(array, 0, length)
    return array


def _extension(array: pa.Array) -> pa.Array:
    name = array.type.extension_name
    storage = array.storage
    if name == "arrow.uuid":
        return pa.array([None if v is None else str(uuid.UUID(bytes=v)) for v in storage.to_pylist()], pa.string())
    if name == "arrow.bool8":
        return storage.cast(pa.bool_())
    return plain(storage)


def _int_cells(array: pa.Array) -> list[Any]:
    values = array.to_pylist()
    if array.type.bit_width < 64:
        return values
    return [str(v) if v is not None and not -EXACT_INT <= v <= EXACT_INT else v for v in values]


def _whole_decimal_cells(array: pa.Array) -> list[Any]:
    ends = pc.min_max(array).as_py()
    if ends["min"] is None or (ends["min"] >= -EXACT_INT and ends["max"] <= EXACT_INT):
        return array.cast(pa.int64()).to_pylist()
    values = [None if t is None else int(t) for t in _decimal_text(array).to_pylist()]
    return [v if v is None or -EXACT_INT <= v <= EXACT_INT else str(v) for v in values]


def beyond_exact(array: pa.Array | pa.ChunkedArray) -> bool:
    """Whether an integer column holds a value beyond ±2^53."""
    ends = pc.min_max(array).as_py()
    return ends["min"] is not None and (ends["min"] < -EXACT_INT or ends["max"] > EXACT_INT)


def _float_cells(array: pa.Array) -> list[Any]:
    if array.type.bit_width < 64:
        array = array.cast(pa.string()).cast(pa.float64())  # the shortest digits that mean this float, not its widening
    values = array.to_pylist()
    if pc.all(pc.is_finite(array)).as_py() is not False:
        return values
    return [v if v is None or math.isfinite(v) else _odd_float(v) for v in values]


def _odd_float(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _float_text(array: pa.Array) -> pa.Array:
    text = array.cast(pa.string())
    if pc.all(pc.is_finite(array)).as_py() is not False:
        return text
    text = pc.if_else(pc.is_nan(array), "NaN", text)
    text = pc.if_else(pc.equal(array, math.inf), "Infinity", text)
    return pc.if_else(pc.equal(array, -math.inf), "-Infinity", text)


def _decimal_text(array: pa.Array) -> pa.Array:
    text = array.cast(pa.string())
    if not pc.any(pc.match_substring(text, "E")).as_py():
        return text
    return pa.array(
        [t if t is None or "E" not in t else format(Decimal(t), "f") for t in text.to_pylist()], pa.string()
    )


def _date_text(array: pa.Array) -> pa.Array:
    if array.type.bit_width == 32:
        return _with_infinities(array, array.cast(pa.int32()), _INT32_MAX, _plain_text)
    return array.cast(pa.string())


def _plain_text(array: pa.Array) -> pa.Array:
    return array.cast(pa.string())


def _timestamp_text(array: pa.Array) -> pa.Array:
    return _with_infinities(array, array.cast(pa.int64()), _INT64_MAX, _known_timestamp_text)


def _with_infinities(
    array: pa.Array, numbers: pa.Array, extreme: int, convert: Callable[[pa.Array], pa.Array]
) -> pa.Array:
    """`convert` for all but the numbers that databases send for infinity, which become the word."""
    ends = pc.min_max(numbers).as_py()
    if ends["min"] is None or (ends["max"] < extreme and ends["min"] > -extreme):
        return convert(array)
    above, below = pc.equal(numbers, extreme), pc.less_equal(numbers, -extreme)
    text = convert(pc.if_else(pc.or_(above, below), pa.scalar(None, array.type), array))
    return pc.if_else(above, "infinity", pc.if_else(below, "-infinity", text))


def _known_timestamp_text(array: pa.Array) -> pa.Array:
    kind = array.type
    naive = pa.timestamp(kind.unit)
    offsets: pa.Array | None = None
    local = array.cast(naive)  # drops the zone, keeps the instant in UTC
    if kind.tz is not None and kind.tz not in _UTC_NAMES:
        local, offsets = _local(array, local)
    whole = _whole_seconds(local, pa.timestamp("s"))
    text = (local if whole is None else whole).cast(pa.string())
    if whole is None:
        text = _short_fraction(text)
    ends = pc.min_max(local.cast(pa.int64())).as_py()
    scale = _PER_SECOND[kind.unit]
    if ends["min"] is None or (ends["min"] >= _YEAR_1 * scale and ends["max"] < _YEAR_10000 * scale):
        text = pc.binary_replace_slice(text, 10, 11, "T")
    else:
        text = pc.replace_substring(text, " ", "T")
    if offsets is not None:
        return pc.binary_join_element_wise(text, offsets, "")
    return text if kind.tz is None else pc.binary_replace_slice(text, 64, 64, "Z")  # beyond its end: appended


def _local(array: pa.Array, in_utc: pa.Array) -> tuple[pa.Array, pa.Array]:
    """The local times of a column with a zone, and each one's offset as text; UTC where the zone is unknown here."""
    try:
        local = pc.local_timestamp(array)
    except pa.ArrowInvalid:
        return in_utc, pa.array(["Z"] * len(array), pa.string())
    seconds = pc.divide(
        pc.subtract(local.cast(pa.int64()), in_utc.cast(pa.int64())), _PER_SECOND[array.type.unit]
    ).dictionary_encode()
    names = pa.array([_offset(s) for s in seconds.dictionary.to_pylist()], pa.string())
    return local, pa.DictionaryArray.from_arrays(seconds.indices, names).dictionary_decode()


def _offset(seconds: int) -> str:
    minutes, rest = divmod(abs(seconds), 60)
    sign = "-" if seconds < 0 else "+"
    return f"{sign}{minutes // 60:02}:{minutes % 60:02}" + (f":{rest:02}" if rest else "")


def _whole_seconds(array: pa.Array, kind: pa.DataType) -> pa.Array | None:
    try:
        return array.cast(kind)
    except pa.ArrowInvalid:  # some value has a fraction
        return None


def _short_fraction(text: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(text, r"\.?0+$", "")


def _time_text(array: pa.Array) -> pa.Array:
    whole = _whole_seconds(array, pa.time32("s"))
    return whole.cast(pa.string()) if whole is not None else _short_fraction(array.cast(pa.string()))


def _binary_text(array: pa.Array) -> pa.Array:
    found = [None if v is None else "\\x" + v.hex() for v in array.to_pylist()]
    return pa.array(found, pa.large_string() if 2 * array.nbytes >= 2**31 else pa.string())


def _duration_text(array: pa.Array) -> pa.Array:
    nanos = 1_000_000_000 // _PER_SECOND[array.type.unit]
    counts = array.cast(pa.int64()).to_pylist()
    return pa.array([None if v is None else interval_text(0, 0, v * nanos) for v in counts], pa.string())


def _interval_cells(array: pa.Array) -> pa.Array:
    found = [None if v is None else interval_text(v.months, v.days, v.nanoseconds) for v in array.to_pylist()]
    return pa.array(found, pa.string())


def interval_text(months: int, days: int, nanoseconds: int) -> str:
    """An interval in ISO 8601: each part with its own sign (``P-1M2DT3H``), or one in front where all are negative."""
    parts = [months, days, nanoseconds]
    if any(p < 0 for p in parts) and all(p <= 0 for p in parts):
        return "-" + interval_text(-months, -days, -nanoseconds)
    years, months = _split(months, 12)
    date = "".join(f"{n}{letter}" for n, letter in ((years, "Y"), (months, "M"), (days, "D")) if n)
    hours, rest = _split(nanoseconds, 3_600_000_000_000)
    minutes, rest = _split(rest, 60_000_000_000)
    seconds, fraction = _split(rest, 1_000_000_000)
    time = "".join(f"{n}{letter}" for n, letter in ((hours, "H"), (minutes, "M")) if n)
    if fraction:
        sign = "-" if rest < 0 else ""
        time += f"{sign}{abs(seconds)}." + f"{abs(fraction):09}".rstrip("0") + "S"
    elif seconds:
        time += f"{seconds}S"
    if not date and not time:
        return "PT0S"
    return f"P{date}" + (f"T{time}" if time else "")


def _split(value: int, unit: int) -> tuple[int, int]:
    whole, rest = divmod(abs(value), unit)
    return (whole, rest) if value >= 0 else (-whole, -rest)


def _nested_cells(array: pa.Array) -> list[Any]:
    kind = array.type
    types = pa.types
    if types.is_struct(kind):
        return _struct_cells(array)
    if types.is_map(kind):
        return _map_cells(array)
    if types.is_list(kind) or types.is_large_list(kind):
        offsets = array.offsets.to_pylist()
        inner = cells(array.values.slice(offsets[0], offsets[-1] - offsets[0]))
        return _cut_up(inner, offsets, array)
    if types.is_fixed_size_list(kind):
        size = kind.list_size
        inner = cells(array.values.slice(array.offset * size, len(array) * size))
        return _cut_up(inner, list(range(0, len(inner) + 1, size)) if size else [0] * (len(array) + 1), array)
    return [_loose_cell(v) for v in array.to_pylist()]


def _cut_up(inner: list[Any], offsets: list[int], array: pa.Array) -> list[Any]:
    first = offsets[0]
    valid = array.is_valid().to_pylist()
    return [inner[offsets[i] - first : offsets[i + 1] - first] if ok else None for i, ok in enumerate(valid)]


def _struct_cells(array: pa.Array) -> list[Any]:
    names = [array.type.field(i).name for i in range(array.type.num_fields)]
    columns = [cells(child) for child in array.flatten()]
    rows = zip(*columns, strict=True) if columns else (() for _ in range(len(array)))
    valid = array.is_valid().to_pylist()
    if len(set(names)) < len(names):  # an object would drop a field
        return [list(row) if ok else None for row, ok in zip(rows, valid, strict=True)]
    return [dict(zip(names, row, strict=True)) if ok else None for row, ok in zip(rows, valid, strict=True)]


def _map_cells(array: pa.Array) -> list[Any]:
    offsets = array.offsets.to_pylist()
    first, count = offsets[0], offsets[-1] - offsets[0]
    keys = as_text(array.keys.slice(first, count)).to_pylist()
    pairs = list(zip(keys, cells(array.items.slice(first, count)), strict=True))
    return [entries if entries is None else _object(entries) for entries in _cut_up(pairs, offsets, array)]


def _object(pairs: list[tuple[str, Any]]) -> Any:
    found = dict(pairs)
    return found if len(found) == len(pairs) else [list(pair) for pair in pairs]


def _loose_cell(value: Any) -> Any:
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int):
        return value if -EXACT_INT <= value <= EXACT_INT else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else _odd_float(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    if isinstance(value, dt.timedelta):
        return interval_text(0, value.days, (value.seconds * 1_000_000 + value.microseconds) * 1_000)
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(k): _loose_cell(v) for k, v in value.items()}
    if isinstance(value, pa.MonthDayNano):
        return interval_text(value.months, value.days, value.nanoseconds)
    if isinstance(value, list | tuple):
        return [_loose_cell(v) for v in value]
    return str(value)


_TEXT: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.Array], pa.Array]], ...] = (
    (pa.types.is_floating, _float_text),
    (pa.types.is_decimal, _decimal_text),
    (pa.types.is_timestamp, _timestamp_text),
    (pa.types.is_date, _date_text),
    (pa.types.is_time, _time_text),
    (pa.types.is_duration, _duration_text),
    (pa.types.is_interval, _interval_cells),
    (pa.types.is_binary, _binary_text),
    (pa.types.is_large_binary, _binary_text),
    (pa.types.is_fixed_size_binary, _binary_text),
)
