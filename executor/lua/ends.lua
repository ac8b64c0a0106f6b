-- How an attempt and a job end.

-- The end of a job: final state, time, and how long its row is kept.
local function settle(id, to, at, reason)
  if not move(id, to, at, reason) then
    return false
  end
  release(id)
  leave_line(id)
  redis.call('HSET', job_key(id), 'finished_at', stamp(at), 'expires_at', stamp(at + CONF.ttl))
  redis.call('PEXPIRE', job_key(id), math.floor(CONF.ttl * 1000))
  return true
end

-- Back to the queue with the next fencing number.
local function requeue(id, at, reason)
  if not move(id, 'queued', at, reason) then
    return false
  end
  release(id)
  local key = job_key(id)
  redis.call('HINCRBY', key, 'attempt', 1)
  redis.call('HDEL', key, 'lease_owner', 'query_id')
  redis.call('HSET', key, 'stage', '', 'rows', 0, 'bytes', 0)
  line_up(id, at)
  park(id, redis.call('HGET', key, 'owner'), true)
  return true
end

local function holds(id, worker, attempt)
  local job = redis.call('HMGET', job_key(id), 'lease_owner', 'attempt', 'state')
  return job[1] == worker and job[2] == attempt and job[3] == 'running'
end
