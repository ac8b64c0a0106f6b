"""Trino's functions.

Left out on purpose: every table function of a connector (query, execute), current_user and its kin.
"""

from __future__ import annotations

from mcp_server.sql.functions.ansi import ANSI

SCALAR = (
    ANSI
    + """
cosh sinh tanh e from_base infinity is_finite is_infinite is_nan nan rand random to_base width_bucket normal_cdf
beta_cdf cosine_similarity bitwise_and bitwise_or bitwise_xor bitwise_not bitwise_left_shift bitwise_right_shift

codepoint hamming_distance levenshtein_distance luhn_check normalize soundex split split_to_map split_to_multimap
starts_with word_stem from_utf8 to_utf8 regexp_count regexp_extract regexp_extract_all regexp_like regexp_position
regexp_split crc32 from_base32 from_base64 from_base64url from_hex to_base32 to_base64 to_base64url to_hex xxhash64
murmur3 spooky_hash_v2_32 spooky_hash_v2_64 url_decode url_encode url_extract_fragment url_extract_host
url_extract_parameter url_extract_path url_extract_port url_extract_protocol url_extract_query uuid format
format_number

at_timezone date_format date_parse day_of_month day_of_week day_of_year dow doy format_datetime from_iso8601_date
from_iso8601_timestamp from_unixtime_nanos human_readable_seconds last_day_of_month millisecond parse_datetime
parse_duration timezone_hour timezone_minute to_iso8601 to_milliseconds to_unixtime week_of_year with_timezone
year_of_week yow

all_match any_match array_distinct array_except array_first array_histogram array_intersect array_join array_last
array_max array_min array_position array_remove array_sort array_union arrays_overlap cardinality combinations
contains contains_sequence element_at filter flatten ngrams none_match reduce sequence shuffle slice transform
trim_array zip zip_with map map_agg map_concat map_entries map_filter map_from_entries map_keys map_union map_values
map_zip_with multimap_agg multimap_from_entries transform_keys transform_values histogram

is_json_scalar json_array json_array_contains json_array_get json_array_length json_exists json_extract
json_extract_scalar json_format json_object json_parse json_query json_size json_value

approx_distinct approx_most_frequent approx_percentile arbitrary bitwise_and_agg bitwise_or_agg checksum count_if
entropy geometric_mean kurtosis max_by min_by numeric_histogram reduce_agg skewness try typeof unnest

st_area st_asgeojson st_astext st_buffer st_centroid st_contains st_distance st_geometryfromtext st_intersects
st_length st_point st_within st_x st_y great_circle_distance to_geometry to_spherical_geography
"""
)

TABLE = "unnest"

OUTPUTS: dict[str, tuple[str, ...]] = {}
