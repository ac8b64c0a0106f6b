"""Functions of MySQL and MariaDB, each of them built into at least one of the two.

Taken from the indexes of the MySQL 8.4 manual (12.1, "Built-In Function and Operator Reference") and of MariaDB's
(``SELECT name FROM mysql.help_topic``). A name that neither has is not listed, not even one that every other dialect
has (``translate``, ``cbrt``): there it could only be a stored function.

Left out on purpose, because they do more than compute on their arguments:

- files and waiting: load_file, sleep, benchmark, get_lock, is_free_lock, is_used_lock, release_lock,
  release_all_locks, every ``*_wait`` and ``wait_*``;
- the session, its user and the server: user, session_user, system_user, current_user, current_role, database, schema,
  version, connection_id, last_insert_id, found_rows, row_count, charset, collation, coercibility, icu_version,
  ps_current_thread_id, every ``can_access_*``, ``gtid_*``, ``binlog_gtid_pos``, ``wsrep_*``, ``internal_*``,
  roles_graphml;
- values that are new in each call and tell of the host (the MAC address in version 1) or drain its entropy: uuid,
  uuid_short, sys_guid, random_bytes;
- secrets: password, old_password, encrypt, encode, decode, aes_*, des_*, kdf, validate_password_strength;
- sequences: nextval, lastval, setval;
- SQL in strings: statement_digest, statement_digest_text; and name_const, which is for replication;
- extractvalue and updatexml, whose errors quote what they were given;
- default(c) and values(c), which tell of a column's definition and take its bare name;
- geometry under its old names without ``st_`` (``area``, ``x``): MySQL 8 has none of them, so a stored function may.
"""

from __future__ import annotations

_NUMBERS = """
abs acos asin atan atan2 bin bit_count ceil ceiling conv cos cot crc32 crc32c degrees exp floor format greatest hex
least ln log log10 log2 mod oct pi pow power radians rand round sign sin sqrt tan to_number trunc truncate
"""

_STRINGS = """
ascii bit_length char char_length character_length chr compress concat concat_operator_oracle concat_ws decode_oracle
elt export_set field find_in_set from_base64 insert instr lcase left length lengthb locate lower lpad lpad_oracle ltrim
ltrim_oracle make_set md5 mid natural_sort_key octet_length ord position quote regexp_instr regexp_like regexp_replace
regexp_substr repeat replace replace_oracle reverse right rpad rpad_oracle rtrim rtrim_oracle sformat sha sha1 sha2
soundex space strcmp substr substr_oracle substring substring_index to_base64 to_char trim trim_oracle ucase uncompress
uncompressed_length unhex upper weight_string
"""

# The clock is no secret: now(), sysdate() and their kin are listed, as is rand().
_DATES = """
add_months adddate addtime convert_tz curdate current_date current_time current_timestamp curtime date date_add
date_format date_sub datediff day dayname dayofmonth dayofweek dayofyear extract from_days from_unixtime get_format
hour last_day localtime localtimestamp makedate maketime microsecond minute month monthname months_between now
period_add period_diff quarter sec_to_time second str_to_date subdate subtime sysdate time time_format time_to_sec
timediff timestamp timestampadd timestampdiff to_date to_days to_seconds unix_timestamp utc_date utc_time utc_timestamp
week weekday weekofyear year yearweek
"""

_JSON = """
json_array json_array_append json_array_insert json_array_intersect json_arrayagg json_compact json_contains
json_contains_path json_depth json_detailed json_equals json_exists json_extract json_insert json_key_value json_keys
json_length json_loose json_merge json_merge_patch json_merge_preserve json_normalize json_object
json_object_filter_keys json_object_to_array json_objectagg json_overlaps json_pretty json_query json_quote json_remove
json_replace json_schema_valid json_schema_validation_report json_search json_set json_storage_free json_storage_size
json_type json_unquote json_valid json_value
"""

_AGGREGATES = """
any_value avg bit_and bit_or bit_xor count group_concat grouping max median min percentile_cont percentile_disc std
stddev stddev_pop stddev_samp sum var_pop var_samp variance
cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank row_number rownum
"""

# column_*: MariaDB's dynamic columns, a format of packed values. decode_histogram and format_*: of numbers given.
_OTHERS = """
coalesce if ifnull interval isnull nullif nvl nvl2 binary row any all some exists
inet6_aton inet6_ntoa inet_aton inet_ntoa is_ipv4 is_ipv4_compat is_ipv4_mapped is_ipv6 bin_to_uuid is_uuid uuid_to_bin
column_check column_create column_exists column_json column_list decode_histogram format_bytes format_pico_time
distance string_to_vector vec_distance vec_distance_cosine vec_distance_euclidean vec_fromtext vec_totext vector_dim
vector_to_string
"""

# st_transform and what takes an SRID read the server's table of spatial reference systems, which is the same for all.
_SPATIAL = """
geometrycollection linestring multilinestring multipoint multipolygon point polygon
mbrcontains mbrcoveredby mbrcovers mbrdisjoint mbrequal mbrequals mbrintersects mbroverlaps mbrtouches mbrwithin
st_area st_asbinary st_asgeojson st_astext st_aswkb st_aswkt st_boundary st_buffer st_buffer_strategy st_centroid
st_collect st_contains st_convexhull st_crosses st_difference st_dimension st_disjoint st_distance st_distance_sphere
st_endpoint st_envelope st_equals st_exteriorring st_frechetdistance st_geohash st_geomcollfromtext st_geomcollfromwkb
st_geometrycollectionfromtext st_geometrycollectionfromwkb st_geometryfromtext st_geometryfromwkb st_geometryn
st_geometrytype st_geomfromgeojson st_geomfromtext st_geomfromwkb st_hausdorffdistance st_interiorringn st_intersection
st_intersects st_isclosed st_isempty st_isring st_issimple st_isvalid st_latfromgeohash st_latitude st_length
st_lineinterpolatepoint st_lineinterpolatepoints st_linefromtext st_linefromwkb st_linestringfromtext
st_linestringfromwkb st_longfromgeohash st_longitude st_makeenvelope st_mlinefromtext st_mlinefromwkb st_mpointfromtext
st_mpointfromwkb st_mpolyfromtext st_mpolyfromwkb st_multilinestringfromtext st_multilinestringfromwkb
st_multipointfromtext st_multipointfromwkb st_multipolygonfromtext st_multipolygonfromwkb st_numgeometries
st_numinteriorring st_numinteriorrings st_numpoints st_overlaps st_pointatdistance st_pointfromgeohash st_pointfromtext
st_pointfromwkb st_pointn st_pointonsurface st_polyfromtext st_polyfromwkb st_polygonfromtext st_polygonfromwkb
st_relate st_simplify st_srid st_startpoint st_swapxy st_symdifference st_touches st_transform st_union st_validate
st_within st_x st_y
"""

SCALAR = _NUMBERS + _STRINGS + _DATES + _JSON + _AGGREGATES + _OTHERS + _SPATIAL

TABLE = ""

OUTPUTS: dict[str, tuple[str, ...]] = {}
