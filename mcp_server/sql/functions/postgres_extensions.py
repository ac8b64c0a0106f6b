"""Functions of PostgreSQL extensions that analysts meet, as far as they only compute on their arguments.

A name here is no promise that the extension is there: where it is not, the database says so. Each list is taken from
the extension's manual page, without what runs SQL in strings (tablefunc's crosstab and connectby, xml2's xpath_table),
reads or writes outside (dblink, postgres_fdw, file_fdw, adminpack, http), looks into the server (pg_stat_statements,
pageinspect, pgstattuple) or takes the name of a relation.
"""

from __future__ import annotations

FUZZY = """
levenshtein levenshtein_less_equal soundex difference metaphone dmetaphone dmetaphone_alt daitch_mokotoff similarity
word_similarity strict_word_similarity show_trgm unaccent
"""
"""fuzzystrmatch, pg_trgm, unaccent. Left out: set_limit and show_limit, which are a setting."""

STRUCTURES = """
hstore akeys avals hstore_to_json hstore_to_jsonb hstore_to_array slice exist defined
nlevel subpath subltree lca ltree2text text2ltree
icount uniq idx subarray intset
vector_dims vector_norm l2_distance l1_distance cosine_distance inner_product l2_normalize
"""
"""hstore, ltree, intarray, pgvector. Left out: populate_record, which takes the row type of a table."""

EARTH = "earth earth_distance earth_box ll_to_earth latitude longitude gc_to_sec sec_to_gc"
"""earthdistance."""

DIGESTS = "digest hmac uuid_generate_v3 uuid_generate_v4 uuid_generate_v5 uuid_nil"
"""pgcrypto, uuid-ossp. Left out: crypt and gen_salt, slow on purpose; pgp_*; uuid_generate_v1, which tells the host."""

TIME_SERIES = "time_bucket histogram first last"
"""TimescaleDB."""

GEOMETRY = """
st_area st_asgeojson st_astext st_azimuth st_boundary st_buffer st_centroid st_closestpoint st_collect st_contains
st_convexhull st_coveredby st_covers st_crosses st_difference st_dimension st_disjoint st_distance st_distancesphere
st_dwithin st_endpoint st_envelope st_equals st_extent st_geohash st_geometryn st_geometrytype st_geomfromgeojson
st_geomfromtext st_intersection st_intersects st_isclosed st_isempty st_isvalid st_length st_makeenvelope st_makeline
st_makepoint st_makevalid st_numgeometries st_numpoints st_overlaps st_perimeter st_point st_pointn st_pointonsurface
st_setsrid st_simplify st_srid st_startpoint st_symdifference st_touches st_transform st_union st_within st_x st_xmax
st_xmin st_y st_ymax st_ymin st_z
"""
"""PostGIS. Left out: st_estimatedextent and whatever else takes a table's name; rasters, which may read files."""

EXTENSIONS = " ".join((FUZZY, STRUCTURES, EARTH, DIGESTS, TIME_SERIES, GEOMETRY))
"""All of them."""
