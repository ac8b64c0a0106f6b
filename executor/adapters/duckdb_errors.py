"""What may be told of DuckDB's own words for an error. Classifies nothing."""

from __future__ import annotations

import re

import duckdb

from executor.adapters.wording import VALUES_HINT, without_values

_OF_THE_STATEMENT = (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException, duckdb.SyntaxException)
"""Found before a row is read: they name tables, columns, functions and types, and hold no value."""

_OF_FILES = (duckdb.IOException, duckdb.ConnectionException, duckdb.HTTPException)
"""About files and places, whose names the caller of this replaces."""

_OF_VALUES = {
    duckdb.ConversionException: "Conversion Error: a value cannot be converted to the type that is asked for.",
    duckdb.OutOfRangeException: "Out of Range Error: a value is outside of what its type holds.",
    duckdb.InvalidInputException: "Invalid Input Error: a function or a file holds a value that cannot be used.",
}
"""Of these nothing tells which part is a value: some are quoted, some are not, and one function raises any text."""

_IN_A_FILE = re.compile(r"[A-Z][A-Za-z ]+ Error: CSV Error on Line: \d+")


def told_by(error: BaseException) -> str:
    """Its words, without the values of rows in them."""
    if isinstance(error, _OF_THE_STATEMENT + _OF_FILES):
        return str(error)
    if (place := _IN_A_FILE.match(str(error))) is not None:
        return f"{place[0]} of a file of the source."
    return next((words for kind, words in _OF_VALUES.items() if isinstance(error, kind)), without_values(str(error)))


def hint_of(error: BaseException) -> str:
    """What to do about a value that does not fit; empty for another error."""
    return VALUES_HINT if isinstance(error, tuple(_OF_VALUES)) else ""
