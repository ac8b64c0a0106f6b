"""Functions that nearly every dialect has under the same name."""

from __future__ import annotations

NUMBERS = """
abs acos asin atan atan2 cbrt ceil ceiling cos cot degrees exp floor greatest least ln log log10 log2 mod pi pow power
radians round sign sin sqrt tan trunc truncate
"""

STRINGS = """
ascii char char_length character_length chr concat concat_ws initcap left length lower lpad ltrim md5 octet_length
overlay position regexp_replace repeat replace reverse right rpad rtrim sha1 sha256 sha512 split_part strpos substr
substring translate trim upper
"""

AGGREGATES = """
any_value array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop covar_samp every grouping
json_agg listagg max median min mode percentile_cont percentile_disc regr_avgx regr_avgy regr_count regr_intercept
regr_r2 regr_slope regr_sxx regr_sxy regr_syy stddev stddev_pop stddev_samp string_agg sum var_pop var_samp variance
"""

WINDOWS = """
cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank row_number
"""

CONDITIONS = "coalesce if ifnull nullif nvl row array any all some exists"

DATES = """
current_date current_time current_timestamp date date_add date_diff date_part date_sub date_trunc datediff day extract
from_unixtime hour last_day localtime localtimestamp minute month now quarter second to_char to_date to_timestamp week
year
"""

ANSI = NUMBERS + STRINGS + AGGREGATES + WINDOWS + CONDITIONS + " " + DATES
"""All of them."""
