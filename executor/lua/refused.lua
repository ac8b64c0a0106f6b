-- A refusal, for the history: so many a minute of one owner each by itself, the rest counted (see untold.lua).
-- ARGV: owner, how many a minute, record, its signature
local key = NS .. ':refusals:' .. ARGV[1]
local count = redis.call('INCR', key)
if count == 1 then
  redis.call('PEXPIRE', key, 60000)
end
if count > tonumber(ARGV[2]) then
  redis.call('HINCRBY', NS .. ':untold', ARGV[1], 1)
else
  tell_act('refused', now(), ARGV[3], ARGV[4])
end
