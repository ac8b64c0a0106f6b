"""PostgreSQL's functions.

Left out on purpose: pg_*, lo_*, dblink*, query_to_xml and its kin, ts_rewrite, ts_stat, set_config, current_setting,
txid_*, nextval, setseed, inet_*_addr, version, to_reg*, *_description, format_type.
"""

from __future__ import annotations

from mcp_server.sql.functions.ansi import AGGREGATES, CONDITIONS, NUMBERS, STRINGS, WINDOWS

SCALAR = (
    NUMBERS
    + STRINGS
    + AGGREGATES
    + WINDOWS
    + CONDITIONS
    + """
acosd acosh asind asinh atan2d atand atanh cosd cosh cotd div erf erfc factorial gamma gcd lcm lgamma log10 min_scale
random random_normal scale sind sinh tand tanh trim_scale width_bucket numeric int2 int4 int8 float4 float8 money text
varchar bpchar

bit_count bit_length btrim casefold convert convert_from convert_to crc32 crc32c decode encode format get_bit get_byte
is_normalized normalize parse_ident quote_ident quote_literal quote_nullable regexp_count regexp_instr regexp_like
regexp_match regexp_matches regexp_split_to_array regexp_split_to_table regexp_substr set_bit set_byte sha224 sha384
starts_with string_to_array string_to_table to_ascii to_hex to_bin to_oct unistr unicode_assigned like notlike
levenshtein levenshtein_less_equal soundex difference metaphone dmetaphone dmetaphone_alt daitch_mokotoff similarity
word_similarity strict_word_similarity show_trgm unaccent

age clock_timestamp date date_add date_bin date_part date_subtract date_trunc extract isfinite justify_days
justify_hours justify_interval localtime localtimestamp make_date make_interval make_time make_timestamp
make_timestamptz now overlaps statement_timestamp timeofday timestamp timestamptz timezone to_char to_date to_number
to_timestamp transaction_timestamp

array_append array_cat array_dims array_fill array_length array_lower array_ndims array_position array_positions
array_prepend array_remove array_replace array_reverse array_sample array_shuffle array_sort array_to_json
array_to_string array_upper cardinality trim_array unnest generate_series generate_subscripts

json json_array json_arrayagg json_array_elements json_array_elements_text json_array_length json_build_array
json_build_object json_each json_each_text json_exists json_extract_path json_extract_path_text json_object
json_object_agg json_object_agg_strict json_object_agg_unique json_object_agg_unique_strict json_agg_strict
json_object_keys json_objectagg json_query json_scalar json_serialize json_strip_nulls json_to_record
json_to_recordset json_typeof json_value jsonb_agg jsonb_agg_strict jsonb_array_elements jsonb_array_elements_text
jsonb_array_length jsonb_build_array jsonb_build_object jsonb_concat jsonb_contains jsonb_contained jsonb_delete
jsonb_delete_path jsonb_each jsonb_each_text jsonb_exists jsonb_exists_all jsonb_exists_any jsonb_extract_path
jsonb_extract_path_text jsonb_insert jsonb_object jsonb_object_agg jsonb_object_agg_strict jsonb_object_agg_unique
jsonb_object_agg_unique_strict jsonb_object_keys jsonb_path_exists jsonb_path_exists_tz jsonb_path_match
jsonb_path_match_tz jsonb_path_query jsonb_path_query_array jsonb_path_query_array_tz jsonb_path_query_first
jsonb_path_query_first_tz jsonb_path_query_tz jsonb_pretty jsonb_set jsonb_set_lax jsonb_strip_nulls jsonb_to_record
jsonb_to_recordset jsonb_typeof row_to_json to_json to_jsonb hstore akeys avals hstore_to_json hstore_to_jsonb

range_agg range_intersect_agg range_merge daterange datemultirange int4range int4multirange int8range int8multirange
isempty lower_inc lower_inf multirange nummultirange numrange tsmultirange tsrange tstzmultirange tstzrange upper_inc
upper_inf

array_to_tsvector json_to_tsvector jsonb_to_tsvector numnode phraseto_tsquery plainto_tsquery querytree setweight
strip to_tsquery to_tsvector ts_delete ts_filter ts_headline ts_rank ts_rank_cd tsquery_phrase tsvector_to_array
websearch_to_tsquery

abbrev broadcast family host hostmask inet_merge inet_same_family masklen netmask network set_masklen macaddr8_set7bit

area bound_box box center circle diagonal diameter height isclosed ishorizontal isopen isparallel isperp isvertical
line lseg npoints path pclose point polygon popen radius slope width

enum_first enum_last enum_range gen_random_uuid uuidv4 uuidv7 uuid_extract_timestamp uuid_extract_version
hashtext hash_record num_nonnulls num_nulls any_value
pg_typeof pg_column_size current_time current_timestamp current_date
xmlagg xmlcomment xmlconcat xmlforest xpath xpath_exists xml_is_well_formed

time_bucket histogram
st_area st_asgeojson st_astext st_azimuth st_boundary st_buffer st_centroid st_closestpoint st_contains st_convexhull
st_coveredby st_covers st_crosses st_difference st_disjoint st_distance st_distancesphere st_dwithin st_envelope
st_equals st_extent st_geohash st_geometrytype st_geomfromgeojson st_geomfromtext st_intersection st_intersects
st_isempty st_isvalid st_length st_makeenvelope st_makeline st_makepoint st_numpoints st_overlaps st_perimeter st_point
st_pointonsurface st_setsrid st_simplify st_srid st_touches st_transform st_union st_within st_x st_y st_z
"""
)

TABLE = """
unnest generate_series generate_subscripts json_array_elements json_array_elements_text json_each json_each_text
json_object_keys json_to_record json_to_recordset jsonb_array_elements jsonb_array_elements_text jsonb_each
jsonb_each_text jsonb_object_keys jsonb_path_query jsonb_path_query_tz jsonb_to_record jsonb_to_recordset
regexp_matches regexp_split_to_table string_to_table regexp_match
"""

OUTPUTS: dict[str, tuple[str, ...]] = {
    "json_each": ("key", "value"),
    "json_each_text": ("key", "value"),
    "jsonb_each": ("key", "value"),
    "jsonb_each_text": ("key", "value"),
    "json_array_elements": ("value",),
    "json_array_elements_text": ("value",),
    "jsonb_array_elements": ("value",),
    "jsonb_array_elements_text": ("value",),
}
