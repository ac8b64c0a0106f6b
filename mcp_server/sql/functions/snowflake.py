"""Snowflake's functions.

Left out on purpose: system$*, get_ddl, result_scan, current_*, external functions, cortex.
"""

from __future__ import annotations

from mcp_server.sql.functions.ansi import ANSI

SCALAR = (
    ANSI
    + """
acosh asinh atanh cosh sinh tanh factorial square div0 div0null haversine width_bucket bitand bitor bitxor bitnot
bitshiftleft bitshiftright random uniform

charindex contains editdistance endswith ilike insert jarowinkler_similarity len like parse_url regexp_count
regexp_instr regexp_like regexp_substr regexp_substr_all rlike rtrimmed_length soundex space split split_to_table
startswith strtok strtok_to_array unicode uuid_string base64_encode base64_decode_string hex_encode hex_decode_string
sha1_hex sha2 sha2_hex md5_hex hash try_base64_decode_string

add_months convert_timezone dateadd date_from_parts dayname dayofmonth dayofweek dayofweekiso dayofyear
months_between monthname next_day previous_day sysdate time_from_parts time_slice timeadd timediff
timestamp_from_parts timestampadd timestampdiff timestamp_ntz_from_parts to_time to_timestamp_ltz to_timestamp_ntz
to_timestamp_tz try_to_date try_to_timestamp weekiso weekofyear yearofweek time

array_append array_cat array_compact array_construct array_construct_compact array_contains array_distinct
array_except array_flatten array_generate_range array_insert array_intersection array_max array_min array_position
array_prepend array_remove array_size array_slice array_sort array_to_string array_unique_agg arrays_overlap
as_array as_char as_date as_integer as_object check_json get get_path is_array is_boolean is_date is_integer
is_null_value is_object is_varchar json_extract_path_text object_agg object_construct object_construct_keep_null
object_delete object_insert object_keys object_pick parse_json strip_null_value to_array to_json to_object to_variant
try_parse_json typeof filter transform reduce

approx_count_distinct approx_percentile approx_top_k array_union_agg booland_agg boolor_agg booland boolor boolnot
bitand_agg count_if hll kurtosis max_by min_by ratio_to_report skew conditional_change_event
conditional_true_event grouping_id

decode equal_null iff nullifzero nvl2 regr_valx zeroifnull to_boolean to_decimal to_double to_number to_numeric
to_varchar to_binary try_to_boolean try_to_decimal try_to_double try_to_number try_to_numeric try_cast
"""
)

TABLE = "flatten split_to_table table"
"""`table` is the word of ``TABLE(f(…))``, where f is held to this list, too."""

OUTPUTS: dict[str, tuple[str, ...]] = {}
