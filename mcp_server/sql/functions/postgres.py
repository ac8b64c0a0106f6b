"""PostgreSQL's own functions.

Made by going through pg_proc of PostgreSQL 15 (``pronamespace = 'pg_catalog'``) and the release notes of 16 to 18, name
by name. Listed is what is immutable, or stable because of the time, the time zone, the locale or the default text
search configuration only, and what draws a random number; and of that, what an analyst could want. Left out on purpose:

- files, programs and large objects: pg_read_*, pg_ls_*, pg_stat_file, lo_*, loread, lowrite
- SQL or names of relations in strings: query_to_xml, table_to_xml, schema_to_xml, database_to_xml, cursor_to_xml and
  their kin, ts_stat, ts_rewrite, nextval, currval, setval, to_reg*, regclass, pg_input_is_valid
- the row type of a table: json_populate_record, jsonb_populate_recordset and their kin
- the session, the server and its settings: current_setting, set_config, version, inet_*_addr, current_schema(s),
  current_database, txid_*, get_current_ts_config, lastval, setseed (it changes the session)
- the catalogue: *_description, format_type, has_*_privilege, pg_get_*, pg_*_size of a relation, row_security_active,
  ts_debug, ts_parse, ts_token_type, ts_lexize
- waiting, locks, other sessions, replication, administration: the rest of pg_*
- what only operators, casts, aggregates, indexes and input or output call: int4pl, texteq, float8_accum, btint4cmp,
  byteain, array_send; the operator, cast or aggregate is there instead
"""

from __future__ import annotations

from mcp_server.sql.functions.ansi import AGGREGATES, CONDITIONS, NUMBERS, STRINGS, WINDOWS
from mcp_server.sql.functions.postgres_extensions import EXTENSIONS

_NUMBERS = """
acosd acosh asind asinh atan2d atand atanh cosd cosh cotd div erf erfc factorial gamma gcd lcm lgamma log10 min_scale
random random_normal scale sind sinh tand tanh trim_scale width_bucket
"""
# random() advances the session's generator, which nothing else can see; setseed() is not listed.

_CASTS = """
numeric int2 int4 int8 float4 float8 money text varchar bpchar date time timetz timestamp timestamptz interval bit
varbit cidr macaddr macaddr8
"""
# Written as calls. The types of objects' names (regclass and its kin) are no functions here.

_STRINGS = """
bit_count bit_length btrim casefold convert convert_from convert_to crc32 crc32c decode encode format get_bit get_byte
is_normalized normalize parse_ident quote_ident quote_literal quote_nullable regexp_count regexp_instr regexp_like
regexp_match regexp_matches regexp_split_to_array regexp_split_to_table regexp_substr set_bit set_byte sha224 sha384
starts_with string_to_array string_to_table to_ascii to_hex to_bin to_oct unistr unicode_assigned like notlike
pg_size_pretty pg_size_bytes
"""
# quote_ident() and format() only quote. pg_size_pretty() and pg_size_bytes() write and read a number with a unit.

_DATES = """
age clock_timestamp date_add date_bin date_part date_subtract date_trunc extract isfinite justify_days justify_hours
justify_interval current_date current_time current_timestamp localtime localtimestamp make_date make_interval make_time
make_timestamp make_timestamptz now overlaps statement_timestamp timeofday timezone to_char to_date to_number
to_timestamp transaction_timestamp
"""

_ARRAYS = """
array_append array_cat array_dims array_fill array_length array_lower array_ndims array_position array_positions
array_prepend array_remove array_replace array_reverse array_sample array_shuffle array_sort array_to_json
array_to_string array_upper cardinality trim_array unnest generate_series generate_subscripts
"""

_JSON = """
json json_array json_arrayagg json_array_elements json_array_elements_text json_array_length json_build_array
json_build_object json_each json_each_text json_exists json_extract_path json_extract_path_text json_object
json_object_agg json_object_agg_strict json_object_agg_unique json_object_agg_unique_strict json_agg_strict
json_object_keys json_objectagg json_query json_scalar json_serialize json_strip_nulls json_to_record json_to_recordset
json_typeof json_value jsonb_agg jsonb_agg_strict jsonb_array_elements jsonb_array_elements_text jsonb_array_length
jsonb_build_array jsonb_build_object jsonb_concat jsonb_contains jsonb_contained jsonb_delete jsonb_delete_path
jsonb_each jsonb_each_text jsonb_exists jsonb_exists_all jsonb_exists_any jsonb_extract_path jsonb_extract_path_text
jsonb_insert jsonb_object jsonb_object_agg jsonb_object_agg_strict jsonb_object_agg_unique
jsonb_object_agg_unique_strict jsonb_object_keys jsonb_path_exists jsonb_path_exists_tz jsonb_path_match
jsonb_path_match_tz jsonb_path_query jsonb_path_query_array jsonb_path_query_array_tz jsonb_path_query_first
jsonb_path_query_first_tz jsonb_path_query_tz jsonb_pretty jsonb_set jsonb_set_lax jsonb_strip_nulls jsonb_to_record
jsonb_to_recordset jsonb_typeof row_to_json to_json to_jsonb
"""

_RANGES = """
range_agg range_intersect_agg range_merge daterange datemultirange int4range int4multirange int8range int8multirange
isempty lower_inc lower_inf multirange nummultirange numrange tsmultirange tsrange tstzmultirange tstzrange upper_inc
upper_inf
"""

_TEXT_SEARCH = """
array_to_tsvector json_to_tsvector jsonb_to_tsvector numnode phraseto_tsquery plainto_tsquery querytree setweight strip
to_tsquery to_tsvector ts_delete ts_filter ts_headline ts_rank ts_rank_cd tsquery_phrase tsvector_to_array
websearch_to_tsquery
"""
# With a configuration's name, to_tsvector() and its kin look it up; the name is no relation's, and nothing is shown.

_NETWORK = """
abbrev broadcast family host hostmask inet_merge inet_same_family masklen netmask network set_masklen macaddr8_set7bit
"""

_SHAPES = """
area bound_box box center circle diagonal diameter height isclosed ishorizontal isopen isparallel isperp isvertical line
lseg npoints path pclose point polygon popen radius slope width
"""

_HASHES = """
hashtext hashtextextended hashint2 hashint4 hashint8 hashint4extended hashint8extended hashfloat4 hashfloat8
hash_numeric hash_array hash_record hash_range hashinet jsonb_hash timestamp_hash uuid_hash
"""
# For samples that stay the same. Undocumented, immutable, from access/hash/hashfunc.c and the types' own files.

_VALUES = """
enum_first enum_last enum_range gen_random_uuid uuidv4 uuidv7 uuid_extract_timestamp uuid_extract_version num_nonnulls
num_nulls any_value pg_typeof pg_column_size
"""
# pg_typeof() and pg_column_size() look at their argument only, though their names begin with pg_.

_XML = """
xmlagg xmlattributes xmlcomment xmlconcat xmlexists xmlforest xmltext xpath xpath_exists xml_is_well_formed
xml_is_well_formed_content xml_is_well_formed_document
"""
# PostgreSQL's loader gives libxml an empty text for every external entity (xmlPgEntityLoader in xml.c).

SCALAR = " ".join(
    (NUMBERS, STRINGS, AGGREGATES, WINDOWS, CONDITIONS, _NUMBERS, _CASTS, _STRINGS, _DATES, _ARRAYS, _JSON, _RANGES,
     _TEXT_SEARCH, _NETWORK, _SHAPES, _HASHES, _VALUES, _XML, EXTENSIONS)
)  # fmt: skip

TABLE = """
unnest generate_series generate_subscripts json_array_elements json_array_elements_text json_each json_each_text
json_object_keys json_to_record json_to_recordset jsonb_array_elements jsonb_array_elements_text jsonb_each
jsonb_each_text jsonb_object_keys jsonb_path_query jsonb_path_query_tz jsonb_to_record jsonb_to_recordset
regexp_matches regexp_split_to_table string_to_table regexp_match string_to_array jsonb_path_query_array now
"""
# A function of one value may stand where a table stands, too; of those, the ones that are met there.

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
