"""Functions that give the same for the same arguments and rows, whenever and by whomever they are called.

A list of those that are known, over all dialects; what is not on it may not be, and rows it helped to make are not
given to another statement. Left out on purpose: what reads the clock, also where it is called without an argument or
with the text ``now`` (all of SQLite's dates), what draws or makes up a value, what tells of the session or its user.
Settings that change an answer (time zone, locale) are the same for all sessions of a source.
"""

from __future__ import annotations

from mcp_server.sql.functions.ansi import AGGREGATES, CONDITIONS, NUMBERS, STRINGS, WINDOWS

_MORE = """
acosh asinh atanh sinh cosh tanh log2 gcd lcm factorial width_bucket bit_count even crc32 conv bin oct
btrim len instr locate lcase ucase mid strlen regexp_extract regexp_extract_all regexp_matches regexp_like regexp_substr
regexp_count string_split str_split split string_to_array array_to_string starts_with ends_with contains prefix suffix
format printf hex unhex to_hex to_base64 from_base64 base64 md5 sha sha2 sha224 sha384 soundex levenshtein concat_ws
unicode space strcmp substring_index find_in_set field elt quote typeof similarity unaccent
total group_concat count_if countif arg_max arg_min max_by min_by first last quantile quantile_cont quantile_disc
approx_count_distinct approx_quantile product geomean histogram list std percentile entropy skewness kurtosis mad
iif nvl2 isnull nullif coalesce zeroifnull
unnest generate_series range json_each json_array_elements json_array_elements_text jsonb_array_elements
jsonb_array_elements_text jsonb_each jsonb_each_text jsonb_object_keys json_object_keys json_tree
json json_extract json_extract_string json_value json_array json_object json_array_length json_type json_valid
json_keys json_length json_contains json_unquote json_group_array json_group_object json_arrayagg json_objectagg
json_extract_path json_extract_path_text jsonb_extract_path jsonb_extract_path_text jsonb_array_length jsonb_typeof
json_typeof json_build_object jsonb_build_object json_build_array jsonb_build_array jsonb_agg json_object_agg
jsonb_object_agg to_json to_jsonb row_to_json
array_length cardinality array_position array_contains list_contains list_sum list_sort list_distinct list_value
array_append array_cat struct_pack map_keys map_values
"""

_DATES = """
date_trunc date_part extract datediff date_diff datetrunc datepart date_add date_sub adddate subdate timestampdiff
timestampadd year quarter month week day hour minute second dayname dayofmonth dayofweek dayofyear isodow isoyear
weekofyear yearweek monthname last_day make_date make_time make_timestamp to_days from_days date_format str_to_date
strftime strptime time_bucket date_bin epoch epoch_ms to_char to_date to_number justify_days justify_hours
"""

_PURE = frozenset(" ".join((NUMBERS, STRINGS, AGGREGATES, WINDOWS, CONDITIONS, _MORE)).split())
_PURE_DATES = frozenset(_DATES.split())


def is_pure(name: str, dialect: str) -> bool:
    """Whether the function of that lower-case name is known to be pure in `dialect`, one of sqlglot's names."""
    return name in _PURE or (name in _PURE_DATES and dialect != "sqlite")
