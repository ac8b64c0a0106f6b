-- A worker says that it is alive and how many statements it can run; work in line goes out.
-- ARGV: worker, slots, ttl_s
local at = now()
for _, dead in ipairs(redis.call('ZRANGEBYSCORE', NS .. ':workers', '-inf', '(' .. stamp(at))) do
  redis.call('ZREM', NS .. ':workers', dead)
  redis.call('HDEL', NS .. ':slots', dead)
end
redis.call('ZADD', NS .. ':workers', stamp(at + tonumber(ARGV[3])), ARGV[1])
redis.call('HSET', NS .. ':slots', ARGV[1], ARGV[2])
dispatch(at)
return redis.call('ZCARD', NS .. ':workers')
