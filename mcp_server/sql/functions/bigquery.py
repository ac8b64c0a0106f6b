"""BigQuery's functions.

Left out on purpose: external_query, appends, changes, ml.*, session_user, remote functions, keys.* and everything in
a project or dataset.
"""

from __future__ import annotations

from mcp_server.sql.functions.ansi import ANSI

SCALAR = (
    ANSI
    + """
acosh asinh atanh cosh sinh tanh csc sec coth div ieee_divide is_inf is_nan rand range_bucket safe_add safe_divide
safe_multiply safe_negate safe_subtract cosine_distance euclidean_distance bit_count

byte_length code_points_to_bytes code_points_to_string collate contains_substr edit_distance ends_with format
from_base32 from_base64 from_hex instr normalize normalize_and_casefold regexp_contains regexp_extract
regexp_extract_all regexp_instr regexp_substr safe_convert_bytes_to_string soundex split starts_with to_base32
to_base64 to_code_points to_hex unicode farm_fingerprint generate_uuid

current_datetime date_bucket date_from_unix_date datetime datetime_add datetime_diff datetime_sub datetime_trunc
extract format_date format_datetime format_time format_timestamp generate_date_array generate_timestamp_array
parse_date parse_datetime parse_time parse_timestamp time time_add time_diff time_sub time_trunc timestamp
timestamp_add timestamp_diff timestamp_micros timestamp_millis timestamp_seconds timestamp_sub timestamp_trunc
unix_date unix_micros unix_millis unix_seconds justify_days justify_hours justify_interval make_interval

array_concat array_concat_agg array_first array_includes array_last array_length array_reverse array_slice
array_to_string generate_array struct range generate_range_array unnest

bool float64 int64 json_array json_extract json_extract_array json_extract_scalar json_extract_string_array
json_keys json_object json_query json_query_array json_set json_strip_nulls json_type json_value json_value_array
lax_bool lax_float64 lax_int64 lax_string parse_json string to_json to_json_string

approx_count_distinct approx_quantiles approx_top_count approx_top_sum countif logical_and logical_or max_by min_by
hll_count.extract safe_cast parse_numeric parse_bignumeric error

st_area st_asgeojson st_astext st_buffer st_centroid st_contains st_coveredby st_covers st_distance st_dwithin
st_geogfromtext st_geogpoint st_intersects st_length st_makeline st_union st_within st_x st_y
"""
)

TABLE = "unnest"

OUTPUTS: dict[str, tuple[str, ...]] = {}
