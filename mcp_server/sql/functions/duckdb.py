"""DuckDB's functions: those of duckdb_functions() in DuckDB 2.0 that only compute on their arguments.

Left out on purpose, as they
- read files or the network, or list them: read_*, *_scan, parquet_*, glob, sniff_csv, st_read, which_secret,
  *_external_resource*;
- run SQL in a string or read a table named in one: query, query_table, json_execute_serialized_sql, summary,
  json_serialize_plan, and histogram and histogram_values as tables; from_substrait;
- tell of the database, the session, its settings or the machine: duckdb_*, pragma_*, getenv, getvariable,
  current_setting, current_query, current_schema*, current_*_id, txid_current, version, stats, vector_type,
  in_search_path, has_*_privilege, inet_*, the rest of pg_*, parse_duckdb_log_message;
- change something, or wait: nextval, currval, setval, setseed, write_log, enable_*, checkpoint, sleep_ms, pg_sleep;
- take bytes for the inner state of an aggregate: finalize, combine, combine_aggr, to_aggregate_state;
- are DuckDB's own tools: __internal_*, create_sort_key, *_byte_comparable, index_key, icu_collate_*,
  json_serialize_sql.
"""

from __future__ import annotations

from mcp_server.sql.functions.ansi import ANSI

SCALAR = (
    ANSI
    + """
acosh asinh atanh bin bit_count cosh even factorial fdiv fmod gamma gcd greatest_common_divisor hash isfinite isinf
isnan lcm least_common_multiple lgamma nextafter random round_even roundbankers setbit signbit sinh tanh to_base xor
add subtract multiply divide

bar base64 bit_length bit_position bitstring char_length chr contains damerau_levenshtein decode editdist3 encode
ends_with error format formatreadabledecimalsize formatreadablesize format_bytes from_base64 from_binary from_hex
get_bit hamming hex ilike_escape instr jaccard jaro_similarity jaro_winkler_similarity lcase left_grapheme len
length_grapheme levenshtein like_escape md5_number md5_number_lower md5_number_upper mismatches nfc_normalize
not_ilike_escape not_like_escape ord parse_dirname parse_dirpath parse_filename parse_formatted_bytes parse_path
path_join prefix printf regexp_escape regexp_extract regexp_extract_all regexp_full_match regexp_matches
regexp_split_to_array regexp_split_to_table right_grapheme set_bit split starts_with str_split str_split_regex
string_split string_split_regex string_to_array strip_accents strlen substring_grapheme suffix to_base64 to_binary
to_hex ucase unbin unhex unicode url_decode url_encode

age ago century current_localtime current_localtimestamp datepart datesub datetrunc dayname dayofmonth dayofweek
dayofyear days_in_month decade epoch epoch_ms epoch_ns epoch_us era get_current_time get_current_timestamp isodow
isoyear julian make_date make_time make_timestamp make_timestamp_ms make_timestamp_ns make_timestamptz microsecond
millennium millisecond monthname nanosecond normalized_interval strftime strptime time_bucket timezone timezone_hour
timezone_minute to_centuries to_days to_decades to_hours to_microseconds to_millennia to_milliseconds to_minutes
to_months to_quarters to_seconds to_weeks to_years today transaction_timestamp try_strptime weekday weekofyear
yearweek generate_subscripts interval time timestamp

aggregate apply array_aggr array_aggregate array_append array_apply array_cat array_concat array_contains
array_cosine_distance array_cosine_similarity array_cross_product array_distance array_distinct array_dot_product
array_extract array_filter array_grade_up array_has array_has_all array_has_any array_indexof array_inner_product
array_intersect array_length array_negative_dot_product array_negative_inner_product array_pop_back array_pop_front
array_position array_prepend array_push_back array_push_front array_reduce array_resize array_reverse
array_reverse_sort array_select array_slice array_sort array_to_json array_to_string array_transform array_unique
array_value array_where array_zip cardinality element_at enum_code enum_first enum_last enum_range
enum_range_boundary filter flatten generate_series grade_up list_aggr list_aggregate list_any_value list_append
list_apply list_approx_count_distinct list_avg list_bit_and list_bit_or list_bit_xor list_bool_and list_bool_or
list_cat list_concat list_contains list_cosine_distance list_cosine_similarity list_count list_distance list_distinct
list_dot_product list_element list_entropy list_extract list_filter list_first list_grade_up list_has list_has_all
list_has_any list_histogram list_indexof list_inner_product list_intersect list_kurtosis list_kurtosis_pop list_last
list_mad list_max list_median list_min list_mode list_negative_dot_product list_negative_inner_product list_pack
list_position list_prepend list_product list_reduce list_resize list_reverse list_reverse_sort list_select list_sem
list_skewness list_slice list_sort list_stddev_pop list_stddev_samp list_string_agg list_sum list_transform
list_unique list_value list_var_pop list_var_samp list_where list_zip map map_concat map_contains map_contains_entry
map_contains_value map_entries map_extract map_extract_value map_from_entries map_keys map_values range reduce
remap_struct struct_concat struct_contains struct_extract struct_extract_at struct_has struct_indexof struct_insert
struct_keys struct_pack struct_position struct_update struct_values switch union_extract union_tag union_value
unnest unpack unpivot_list columns

from_json from_json_strict json json_array json_array_length json_contains json_deep_merge json_exists json_extract
json_extract_path json_extract_path_text json_extract_string json_group_array json_group_object json_group_structure
json_insert json_keys json_merge_patch json_merge_patch_diff json_normalize json_object json_pretty json_quote
json_remove json_replace json_set json_strip_nulls json_structure json_transform json_transform_strict json_type
json_valid json_value row_to_json to_json variant_array_length variant_contains variant_exists variant_extract
variant_extract_string variant_keys variant_type variant_typeof variant_normalize

approx_count_distinct approx_quantile approx_top_k arbitrary arg_max arg_max_null arg_max_nulls_last arg_min
arg_min_null arg_min_nulls_last argmax argmin bitstring_agg count_if count_star countif entropy favg first fsum
geomean geometric_mean group_concat histogram histogram_exact kahan_sum kurtosis kurtosis_pop last list lttb mad
max_by min_by product quantile quantile_cont quantile_disc reservoir_quantile sem skewness sum_no_overflow sumkahan
mean decimal_average decimal_division binom variant_group_array variant_group_object rank_dense pg_typeof
pg_size_pretty invoke wavg weighted_avg equi_width_bins is_histogram_other_bin grouping_id fill

try can_cast_implicitly cast_to_type constant_or_null gen_random_uuid get_type make_type replace_type typeof uuid
uuid_extract_timestamp uuid_extract_version uuidv4 uuidv7 vertex_extract icu_sort_key assert_true alias

st_affine st_area st_area_spheroid st_asgeojson st_ashexwkb st_assvg st_astext st_asbinary st_aswkb st_aswkt
st_azimuth st_boundary st_buffer st_buildarea st_centroid st_collect st_collectionextract st_concavehull st_contains
st_containsproperly st_convexhull st_coverageunion st_coverageunion_agg st_coveredby st_covers st_crosses st_crs
st_difference st_dimension st_disjoint st_distance st_distance_gcp st_distance_sphere st_distance_spheroid st_dump
st_dwithin st_dwithin_spheroid st_endpoint st_envelope st_envelope_agg st_equals st_extent st_extent_agg
st_exteriorring st_flipcoordinates st_force2d st_force3dm st_force3dz st_force4d st_geometrytype st_geomfromgeojson
st_geomfromhexewkb st_geomfromhexwkb st_geomfromtext st_geomfromwkb st_hasm st_hasz st_hilbert st_interiorringn
st_interpolatepoint st_intersection st_intersection_agg st_intersects st_intersects_extent st_isclosed st_isempty
st_isring st_issimple st_isvalid st_length st_length_spheroid st_lineinterpolatepoint st_lineinterpolatepoints
st_linelocatepoint st_linemerge st_linesubstring st_m st_makebox2d st_makeenvelope st_makeline st_makepoint
st_makepolygon st_makevalid st_maximuminscribedcircle st_memunion_agg st_minimumrotatedrectangle st_mmax st_mmin
st_multi st_ngeometries st_ninteriorrings st_node st_normalize st_npoints st_numgeometries st_numinteriorrings
st_numpoints st_overlaps st_perimeter st_perimeter_spheroid st_point st_point2d st_point3d st_point4d st_pointn
st_pointonsurface st_points st_polygonize st_quadkey st_reduceprecision st_removerepeatedpoints st_reverse st_rotate
st_rotatex st_rotatey st_rotatez st_scale st_setcrs st_shortestline st_simplify st_simplifypreservetopology
st_startpoint st_tileenvelope st_touches st_transform st_translate st_transscale st_union st_union_agg
st_voronoidiagram st_within st_withinproperly st_x st_xmax st_xmin st_y st_ymax st_ymin st_z st_zmax st_zmflag st_zmin
"""
)

TABLE = "range generate_series unnest json_each json_tree repeat regexp_split_to_table generate_subscripts"

OUTPUTS: dict[str, tuple[str, ...]] = {}
