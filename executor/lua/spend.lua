-- Adds to what was spent from a purse: the sum, or -1 where it would be more than may be.
-- ARGV: purse, amount, at most or '', how long the purse is kept (ms)
local key = NS .. ':spent:' .. ARGV[1]
local sum = math.max(0, tonumber(redis.call('GET', key) or '0') + tonumber(ARGV[2]))
if ARGV[3] ~= '' and tonumber(ARGV[2]) > 0 and sum > tonumber(ARGV[3]) then
  return -1
end
if redis.call('EXISTS', key) == 1 then
  redis.call('SET', key, sum, 'KEEPTTL')
else
  redis.call('SET', key, sum, 'PX', ARGV[4])
end
return sum
