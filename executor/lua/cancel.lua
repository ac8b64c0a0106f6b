-- Queued and waiting jobs end at once; a running one is flagged and its worker told. Where others want the rows, too, only
-- this caller leaves, and the statement goes on for them. Answers the state after.
-- A caller that only leaves does so where more callers submitted the job than left it.
-- ARGV: id, 'leaves' or ''
local id = ARGV[1]
local at = now()
local key = job_key(id)
local job = redis.call('HMGET', key, 'state', 'owner')
if not job[1] then
  return ''
end
if ARGV[2] == 'leaves' and tonumber(redis.call('HGET', key, 'others') or '0') > 0 then
  redis.call('HINCRBY', key, 'others', -1)
  return job[1]
end
if MOVES[job[1]].cancelled then
  redis.call('HSETNX', key, 'cancel_requested_at', stamp(at))
  if leave(id) then
    redis.call('HSET', key, 'left', '1')
    settle(id, 'cancelled', at, 'left')
  elseif hand_over(id, at) then
    unpark(id, job[2])
    redis.call('HSET', key, 'left', '1')
    settle(id, 'cancelled', at, 'left')
    dispatch(at)
  elseif job[1] == 'running' then
    redis.call('PUBLISH', NS .. ':cancel', redis.call('HGET', key, 'rows_of') or id)
  else
    unpark(id, job[2])
    settle_all(id, 'cancelled', at, 'asked')
    if job[1] == 'waiting' then
      -- the attempt that asked had let go of the database before it did
      tell_stop(id, at, 'call')
    end
    dispatch(at)
  end
end
return redis.call('HGET', key, 'state')
