-- The job cannot go on before somebody answers. It gives back its lease and its slot and keeps its question. 1 when that
-- counts (also when it was said before), 0 when the lease was lost.
-- ARGV: id, attempt, worker, request, its signature, seconds that it waits for an answer, field, value, ...
local attempt, worker = ARGV[2], ARGV[3]
local id = runs(ARGV[1])
local at = now()
local key = job_key(id)
local before = redis.call('HMGET', key, 'state', 'input_signature', 'cancel_requested_at', 'share', 'owner')
if before[1] == 'waiting' and before[2] == ARGV[5] then
  return 1
end
if not holds(id, worker, attempt) then
  return 0
end
if before[3] then
  settle_all(id, 'cancelled', at, 'asked')
  tell_stop(id, at, 'call')
  dispatch(my_line(id), at)
  return 1
end
-- each caller is asked by a run of its own: nobody else joins, and those that did leave
if before[4] and redis.call('GET', NS .. ':share:' .. before[4]) == id then
  redis.call('DEL', NS .. ':share:' .. before[4])
end
redis.call('HDEL', key, 'share')
local joined = redis.call('LRANGE', joined_key(id), 0, -1)
redis.call('DEL', joined_key(id))
for _, one in ipairs(joined) do
  redis.call('HDEL', job_key(one), 'leader', 'shared')
  requeue(one, at, 'to ask')
end
if id ~= ARGV[1] then
  -- its first caller left it to this one, whose question was not signed
  requeue(id, at, 'to ask')
else
  local until_then = stamp(at + tonumber(ARGV[6]))
  redis.call('HDEL', key, 'lease_owner', 'query_id', 'process_ended')
  redis.call('ZADD', NS .. ':waiting', until_then, id)
  move(id, 'waiting', at, 'asks', 'stage', '', 'input_request', ARGV[4], 'input_signature', ARGV[5],
    'input_since', stamp(at), 'input_deadline_at', until_then, unpack(ARGV, 7))
  release(id)
end
dispatch(my_line(id), at)
return 1
