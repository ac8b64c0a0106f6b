"""SQLite's functions.

Taken from ``SELECT DISTINCT name FROM pragma_function_list`` of a full build and from the pages lang_corefunc,
lang_datefunc, lang_aggfunc, lang_mathfunc, windowfunctions and json1 of sqlite.org up to version 3.51.

Left out on purpose, because they do more than compute on their arguments:

- load_extension, readfile, writefile, edit, fsdir, zipfile: files and programs;
- fts3_tokenizer: its second argument is an address in memory;
- every ``sqlite_*``, ``pragma_*``, changes, total_changes, last_insert_rowid: the library, its settings, the session;
- optimize, which writes; match, matchinfo, offsets, snippet, highlight, bm25, fts5, fts5_source_id, geopoly_*, rtree*:
  parts of FTS and R*Tree that take a table's name or a page of its index (rtreecheck reads any table);
- eval, sha3_query and their kin: SQL in strings;
- dbstat, sqlite_stmt, bytecode, tables_used, completion, and the other tables that a module makes of a call.

sha256 is not SQLite's: the adapter adds it (executor/adapters/sqlite_functions.py).
"""

from __future__ import annotations

# , unistr_quote, likely and likelihood exist for the library's own use and have no effect.
SCALAR = """
abs char coalesce concat concat_ws format glob hex if ifnull iif instr length like likelihood likely lower ltrim max
min nullif octet_length printf quote random randomblob replace round rtrim sign soundex substr substring trim
typeof unhex unicode unistr unistr_quote unlikely upper zeroblob

acos acosh asin asinh atan atan2 atanh ceil ceiling cos cosh degrees exp floor ln log log10 log2 mod pi pow power
radians sin sinh sqrt tan tanh trunc

avg count group_concat median percentile percentile_cont percentile_disc string_agg sum total

cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank row_number

current_date current_time current_timestamp date datetime julianday strftime time timediff unixepoch

json json_array json_array_insert json_array_length json_error_position json_extract json_group_array
json_group_object json_insert json_object json_patch json_pretty json_quote json_remove json_replace json_set
json_type json_valid jsonb jsonb_array jsonb_extract jsonb_group_array jsonb_group_object jsonb_insert jsonb_object
jsonb_patch jsonb_remove jsonb_replace jsonb_set

regexp regexpi row exists sha256
"""

TABLE = "json_each json_tree jsonb_each jsonb_tree generate_series"

_JSON = ("key", "value", "type", "atom", "id", "parent", "fullkey", "path")

OUTPUTS: dict[str, tuple[str, ...]] = {
    "json_each": _JSON,
    "json_tree": _JSON,
    "jsonb_each": _JSON,
    "jsonb_tree": _JSON,
    "generate_series": ("value",),
}
