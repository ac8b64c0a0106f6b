"""ClickHouse's functions.

Left out on purpose: every table function that reaches further than numbers, file, sleep, dict*, joinGet,
hasColumnInTable, getSetting, getMacro, hostName, addressTo*, demangle, catboost*, evalMLMethod.
"""

from __future__ import annotations

from mcp_server.sql.functions.ansi import ANSI

_AGGREGATES = """
any anylast anyheavy argmax argmin avg avgweighted boundingratio corr count covarpop covarsamp entropy
exponentialmovingaverage first_value grouparray grouparrayinsertat grouparraylast grouparraymovingavg
grouparraymovingsum grouparraysample grouparraysorted groupbitand groupbitor groupbitxor groupuniqarray kurtpop
kurtsamp last_value max maxmap median medianexact min minmap quantile quantileexact quantileexactweighted
quantileinterpolatedweighted quantiles quantilesexact quantiletdigest quantiletiming simplelinearregression skewpop
skewsamp stddevpop stddevsamp sum sumcount summap sumwithoverflow topk topkweighted uniq uniqcombined uniqcombined64
uniqexact uniqhll12 uniqtheta varpop varsamp windowfunnel retention sequencematch sequencecount histogram
"""

_WITH_COMBINATORS = " ".join(
    name + combinator
    for name in _AGGREGATES.split()
    for combinator in ("", "if", "array", "distinct", "ordefault", "ornull", "ifornull", "arrayif")
)

SCALAR = (
    ANSI
    + _WITH_COMBINATORS
    + """
 cosh sinh tanh acosh asinh atanh hypot exp2 exp10 erf erfc lgamma tgamma intdiv intdivorzero modulo moduloorzero plus
minus multiply divide negate gcd lcm roundbankers rounddown roundtoexp2 roundduration roundage bitand bitor bitxor
bitnot bitshiftleft bitshiftright bittest bitcount isfinite isinfinite isnan ifnotfinite rand rand32 rand64
randcanonical widthbucket min2 max2 factorial equals notequals less greater lessorequals greaterorequals and or xor not

empty notempty lengthutf8 lowerutf8 upperutf8 reverseutf8 leftpad rightpad leftutf8 rightutf8 substringutf8
concatwithseparator concatassumeinjective startswith endswith trimleft trimright trimboth base58encode base58decode
base64encode base64decode trybase64decode encodexmlcomponent decodexmlcomponent decodehtmlcomponent hex unhex bin
unbin replaceone replaceall replaceregexpone replaceregexpall regexpquotemeta format formatstring ngrams tokens
splitbychar splitbystring splitbyregexp splitbywhitespace splitbynonalpha arraystringconcat alphatokens extractall
extractallgroups extractallgroupshorizontal extractallgroupsvertical extract extractgroups match multimatchany
multimatchanyindex positioncaseinsensitive positionutf8 locate multisearchany countsubstrings countmatches
like ilike notlike soundex punycodeencode idnaencode initcaputf8 normalizeutf8nfc isvalidutf8 tovalidutf8 leftpadutf8
rightpadutf8 levenshteindistance dameraulevenshteindistance jarosimilarity jarowinklersimilarity ngramdistance

today yesterday timeslot toyear toquarter tomonth todayofyear todayofmonth todayofweek tohour tominute tosecond
tounixtimestamp tounixtimestamp64milli fromunixtimestamp fromunixtimestamp64milli tostartofyear tostartofisoyear
tostartofquarter tostartofmonth tolastdayofmonth tomonday tostartofweek tolastdayofweek tostartofday tostartofhour
tostartofminute tostartofsecond tostartoffiveminutes tostartoftenminutes tostartoffifteenminutes tostartofinterval
totime torelativeyearnum torelativequarternum torelativemonthnum torelativeweeknum torelativedaynum
torelativehournum toisoyear toisoweek toweek toyearweek totimezone timezoneof addyears addquarters addmonths addweeks
adddays addhours addminutes addseconds subtractyears subtractquarters subtractmonths subtractweeks subtractdays
subtracthours subtractminutes subtractseconds datename age formatdatetime parsedatetime parsedatetimebesteffort
parsedatetimebesteffortornull makedate makedatetime toyyyymm toyyyymmdd toyyyymmddhhmmss now64 timediff monthname
tointervalday tointervalweek tointervalmonth tointervalyear tointervalhour tointervalminute tointervalsecond
tointervalquarter timeslots datediff fromdaysince

toint8 toint16 toint32 toint64 toint128 toint256 touint8 touint16 touint32 touint64 touint128 touint256 tofloat32
tofloat64 todecimal32 todecimal64 todecimal128 tostring tofixedstring todate todate32 todatetime todatetime64 touuid
toint32ornull toint32orzero toint64ornull toint64orzero touint32ornull touint32orzero touint64ornull touint64orzero
tofloat32ornull tofloat32orzero tofloat64ornull tofloat64orzero todateornull todateorzero todatetimeornull
todatetimeorzero todecimal64ornull tonullable tolowcardinality reinterpretasint64 reinterpretasstring accuratecast
accuratecastornull tobool totypename tointervalmillisecond

array arrayconcat arrayelement has hasall hasany hassubstr indexof arraycount countequal arrayenumerate
arrayenumerateuniq arraypopback arraypopfront arraypushback arraypushfront arrayresize arrayslice arraysort
arrayreversesort arrayuniq arraydifference arraydistinct arrayintersect arrayreduce arrayreverse arrayflatten
arraycompact arrayzip arraymap arrayfilter arrayfill arraysplit arrayexists arrayall arrayfirst arraylast
arrayfirstindex arraylastindex arraymin arraymax arraysum arrayavg arraycumsum arrayproduct arrayjoin emptyarraystring
range tuple tupleelement untuple map mapkeys mapvalues mapcontains mapadd mapsubtract mapapply mapfilter mapfromarrays
maxintersections

visitparamhas visitparamextractstring visitparamextractint visitparamextractfloat simplejsonextractstring
simplejsonextractint simplejsonextractfloat simplejsonhas isvalidjson jsonhas jsonlength jsontype jsonextract
jsonextractstring jsonextractint jsonextractuint jsonextractfloat jsonextractbool jsonextractraw jsonextractarrayraw
jsonextractkeys jsonextractkeysandvalues jsonextractkeysandvaluesraw json_value json_query json_exists tojsonstring

multiif ifnull nullif coalesce isnull isnotnull assumenotnull least greatest transform caselessequals domain
domainwithoutwww topleveldomain protocol path pathfull querystring fragment cutquerystring cutwww
extracturlparameter extracturlparameters decodeurlcomponent encodeurlcomponent ipv4numtostring ipv4stringtonum
toipv4 toipv6 isipv4string isipv6string generateuuidv4 uuidstringtonum siphash64 cityhash64 xxhash64
xxhash32 murmurhash2_64 murmurhash3_64 inthash32 inthash64 farmhash64 halfmd5 sha224 sha384 crc32 runningdifference
runningaccumulate neighbor rownumberinallblocks bar formatreadablesize formatreadablequantity
formatreadabletimedelta geodistance greatcircledistance pointinpolygon lead laginframe leadinframe nonnegativederivative
countif sumif avgif columns
"""
)

TABLE = "numbers generate_series values"

OUTPUTS: dict[str, tuple[str, ...]] = {}
