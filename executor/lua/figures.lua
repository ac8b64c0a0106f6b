-- What stands in the broker now, in numbers only: for each queue jobs in line and how long the first has been there, jobs
-- that run, workers that take jobs, slots of all, and threads that do not come back; jobs that wait for an answer; events that the
-- history has not taken, and the age of the oldest; the counters.
local at = now()
local queues = {}
for name in pairs(QUEUES) do
  local line = line_of(name)
  local first = redis.call('ZRANGE', line .. ':queued', 0, 0, 'WITHSCORES')
  local total = slots(line, at)
  local zombies = 0
  for _, worker in ipairs(redis.call('ZRANGEBYSCORE', line .. ':workers', stamp(at), '+inf')) do
    zombies = zombies + tonumber(redis.call('HGET', line .. ':zombies', worker) or '0')
  end
  queues[#queues + 1] = { name, redis.call('ZCARD', line .. ':queued'), stamp(first[2] and at - tonumber(first[2]) or 0),
    redis.call('ZCARD', line .. ':running'), takers(line, at), total, zombies }
end
local oldest = redis.call('XRANGE', NS .. ':events', '-', '+', 'COUNT', 1)[1]
local lag = oldest and at - tonumber(oldest[1]:match('^%d+')) / 1000 or 0
return { queues, redis.call('ZCARD', NS .. ':waiting'), redis.call('XLEN', NS .. ':events'), stamp(math.max(lag, 0)),
  redis.call('HGETALL', NS .. ':counts') }
