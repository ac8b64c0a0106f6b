-- A worker says that it is alive and how many jobs it can run; work in its line goes out.
-- ARGV: worker, slots, ttl_s, its queue or '', slots more that are held by threads that do not come back
local at = now()
local line = line_of(ARGV[4])
for _, dead in ipairs(redis.call('ZRANGEBYSCORE', line .. ':workers', '-inf', '(' .. stamp(at))) do
  redis.call('ZREM', line .. ':workers', dead)
  redis.call('HDEL', line .. ':slots', dead)
  redis.call('HDEL', line .. ':zombies', dead)
end
redis.call('ZADD', line .. ':workers', stamp(at + tonumber(ARGV[3])), ARGV[1])
redis.call('HSET', line .. ':slots', ARGV[1], ARGV[2])
redis.call('HSET', line .. ':zombies', ARGV[1], ARGV[5])
dispatch(line, at)
return redis.call('ZCARD', line .. ':workers')
