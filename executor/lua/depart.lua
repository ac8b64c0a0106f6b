-- A worker is known to be gone. Its jobs go back in line: by `lost` counted as a loss, else (it left in order) not.
-- ARGV: worker, 'lost' or 'left'
local at = now()
local moved = 0
for name in pairs(QUEUES) do
  local line = line_of(name)
  strike_off(line, ARGV[1])
  for _, id in ipairs(redis.call('ZRANGE', line .. ':running', 0, -1)) do
    local job = redis.call('HMGET', job_key(id), 'lease_owner', 'cancel_requested_at', 'source', 'query_id')
    if job[1] == ARGV[1] then
      if ARGV[2] == 'left' and not job[2] then
        if job[4] and job[4] ~= '' then
          -- it did not come back to the worker in time
          ask_stop(id, job[3], job[4], at)
        end
        requeue(id, at, 'worker left, stop not seen')
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
