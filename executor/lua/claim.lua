-- A worker takes a job by its ticket. Nothing for a stale ticket: another attempt, a state that has moved on.
-- ARGV: id, attempt, worker, lease_s
local id, attempt, worker = ARGV[1], ARGV[2], ARGV[3]
local at = now()
local key = job_key(id)
local job = redis.call('HMGET', key, 'state', 'attempt', 'deadline_at', 'job_timeout_s')
if job[1] ~= 'queued' or job[2] ~= attempt then
  return {}
end
if redis.call('ZSCORE', NS .. ':dispatched', id) then
  redis.call('ZREM', NS .. ':dispatched', id)
else
  local who = redis.call('HMGET', key, 'owner', 'source')
  redis.call('LREM', NS .. ':parked:' .. who[1], 1, id)
  occupy(id, who[1], who[2])
end
move(id, 'running', at, 'claimed')
leave_line(id)
redis.call('ZADD', NS .. ':running', stamp(at + tonumber(ARGV[4])), id)
redis.call('HSET', key, 'lease_owner', worker, 'stage', 'executing')
redis.call('HSETNX', key, 'started_at', stamp(at))
redis.call('HSETNX', key, 'deadline_at', stamp(at + tonumber(job[4])))
return redis.call('HMGET', key, 'payload', 'signature', 'deadline_at')
