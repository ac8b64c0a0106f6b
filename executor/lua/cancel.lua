-- Queued and waiting jobs end at once; a running one is flagged and its worker told. Answers the state after.
-- ARGV: id
local id = ARGV[1]
local at = now()
local key = job_key(id)
local job = redis.call('HMGET', key, 'state', 'owner')
if not job[1] then
  return ''
end
if job[1] == 'queued' or job[1] == 'waiting' then
  unpark(id, job[2])
  redis.call('HSET', key, 'cancel_requested_at', stamp(at))
  settle(id, 'cancelled', at, 'asked')
  dispatch(at)
elseif job[1] == 'running' then
  redis.call('HSETNX', key, 'cancel_requested_at', stamp(at))
  redis.call('PUBLISH', NS .. ':cancel', id)
end
return redis.call('HGET', key, 'state')
