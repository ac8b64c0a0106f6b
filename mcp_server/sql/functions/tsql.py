"""T-SQL's functions.

Left out on purpose: openrowset, openquery, opendatasource, xp_*, sp_*, fn_*, *_name, *_id, session_context,
newsequentialid, @@variables, has_perms_by_name, serverproperty and every other property.
"""

from __future__ import annotations

from mcp_server.sql.functions.ansi import ANSI

SCALAR = (
    ANSI
    + """
atn2 rand square checksum bit_count left_shift right_shift

charindex difference format len nchar patindex quotename replicate soundex space str string_escape stuff unicode
concat_ws hashbytes

dateadd datediff_big datefromparts datename datepart datetime2fromparts datetimefromparts datetimeoffsetfromparts
datetrunc date_bucket eomonth getdate getutcdate isdate smalldatetimefromparts switchoffset sysdatetime
sysdatetimeoffset sysutcdatetime timefromparts todatetimeoffset

approx_count_distinct approx_percentile_cont checksum_agg count_big grouping_id stdev stdevp var varp
choose iif isnull isnumeric parse try_parse try_cast try_convert newid
isjson json_array json_modify json_object json_path_exists json_query json_value
"""
)

TABLE = "string_split generate_series openjson"

OUTPUTS: dict[str, tuple[str, ...]] = {}
