-- A worker says that it is alive, what it is and how many jobs it can run; work in its line goes out. One that leaves
-- counts for what it still runs, and for nobody who could take a job.
-- ARGV: worker, slots, ttl_s, its queue or '', slots more that are held by threads that do not come back, what it is
--   (JSON), 'leaves' or ''
local at = now()
local line = line_of(ARGV[4])
for _, dead in ipairs(redis.call('ZRANGEBYSCORE', line .. ':workers', '-inf', '(' .. stamp(at))) do
  strike_off(line, dead)
end
local until_then = stamp(at + tonumber(ARGV[3]))
redis.call('ZADD', line .. ':workers', until_then, ARGV[1])
if ARGV[7] ~= '' then
  redis.call('ZADD', line .. ':leaving', until_then, ARGV[1])
end
redis.call('HSET', line .. ':slots', ARGV[1], ARGV[2])
redis.call('HSET', line .. ':zombies', ARGV[1], ARGV[5])
redis.call('HSET', line .. ':about', ARGV[1], ARGV[6])
dispatch(line, at)
return redis.call('ZCARD', line .. ':workers')
