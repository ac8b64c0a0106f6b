"""Functions of MySQL and MariaDB.

Left out on purpose: load_file, sleep, benchmark, get_lock and its kin, sys_*, user, version, database, connection_id,
last_insert_id, found_rows, row_count, uuid*, nextval, *_wait, name_const, password; extractvalue and the function that
changes XML, whose errors carry data.
"""

from __future__ import annotations

from mcp_server.sql.functions.ansi import CONDITIONS, NUMBERS, WINDOWS

_OWN = """
conv crc32 crc32c rand oct

ascii bin bit_length char char_length character_length chr concat concat_ws elt export_set field find_in_set format
from_base64 hex insert instr lcase left length length_ lengthb locate lower lpad ltrim make_set md5 mid octet_length
ord position quote regexp_instr regexp_like regexp_replace regexp_substr repeat replace reverse right rpad rtrim sha
sha1 sha2 soundex space strcmp substr substring substring_index to_base64 to_char trim ucase unhex upper
natural_sort_key sformat compress uncompress uncompressed_length weight_string translate initcap

add_months adddate addtime convert_tz curdate current_date current_time current_timestamp curtime date date_add
date_format date_sub datediff day dayname dayofmonth dayofweek dayofyear extract from_days from_unixtime get_format
hour last_day localtime localtimestamp makedate maketime microsecond minute month monthname months_between now
period_add period_diff quarter sec_to_time second str_to_date subdate subtime sysdate time time_format time_to_sec
timediff timestamp timestampadd timestampdiff to_days to_seconds unix_timestamp utc_date utc_time utc_timestamp week
weekday weekofyear year yearweek

json_array json_array_append json_array_insert json_array_intersect json_arrayagg json_compact json_contains
json_contains_path json_depth json_detailed json_equals json_exists json_extract json_insert json_keys json_length
json_loose json_merge json_merge_patch json_merge_preserve json_normalize json_object json_object_filter_keys
json_object_to_array json_objectagg json_overlaps json_pretty json_query json_quote json_remove json_replace
json_search json_set json_type json_unquote json_valid json_value

avg bit_and bit_count bit_or bit_xor count group_concat grouping max median min percentile_cont percentile_disc std
stddev stddev_pop stddev_samp sum var_pop var_samp variance any_value approx_count_distinct mode

inet6_aton inet6_ntoa inet_aton inet_ntoa is_ipv4 is_ipv4_compat is_ipv4_mapped is_ipv6 interval isnull nvl nvl2
decode_oracle default values binary bin_to_uuid uuid_to_bin is_uuid

st_area st_asgeojson st_astext st_buffer st_centroid st_contains st_convexhull st_crosses st_difference st_disjoint
st_distance st_distance_sphere st_equals st_geomfromtext st_geohash st_intersection st_intersects st_isempty st_length
st_overlaps st_pointfromtext st_simplify st_srid st_touches st_union st_within st_x st_y point linestring polygon
"""

SCALAR = NUMBERS + WINDOWS + CONDITIONS + _OWN

TABLE = ""

OUTPUTS: dict[str, tuple[str, ...]] = {}
