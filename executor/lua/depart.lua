-- A worker is known to be gone. Its jobs go back in line: by `lost` counted as a loss, else (it left in order) not.
-- ARGV: worker, 'lost' or 'left'
local at = now()
local moved = 0
for name in pairs(QUEUES) do
  local line = line_of(name)
  redis.call('ZREM', line .. ':workers', ARGV[1])
  redis.call('HDEL', line .. ':slots', ARGV[1])
  redis.call('HDEL', line .. ':zombies', ARGV[1])
  for _, id in ipairs(redis.call('ZRANGE', line .. ':running', 0, -1)) do
    if redis.call('HGET', job_key(id), 'lease_owner') == ARGV[1] then
      if ARGV[2] == 'left' and not redis.call('HGET', job_key(id), 'cancel_requested_at') then
        requeue(id, at, 'worker left')
      else
        redis.call('ZADD', line .. ':running', 0, id)
        if ARGV[2] == 'lost' then
          redis.call('HSET', job_key(id), 'process_ended', '1')
        end
      end
      moved = moved + 1
    end
  end
end
if ARGV[2] == 'lost' then
  -- threads that did not come back have ended with the process
  for _, id in ipairs(redis.call('SMEMBERS', NS .. ':unseen:' .. ARGV[1])) do
    tell_stop(id, at, 'process')
  end
  redis.call('DEL', NS .. ':unseen:' .. ARGV[1])
end
for name in pairs(QUEUES) do
  dispatch(line_of(name), at)
end
return moved
