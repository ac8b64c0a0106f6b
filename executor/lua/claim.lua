-- A worker takes a job by its ticket: what was signed, how many seconds the job still has, whose row it is, the policies of
-- now, what the job was told when it asked, how many seconds it was in line, and its trace. Nothing for a stale ticket:
-- another attempt, a state that has moved on.
-- Asked again with the same nonce (the answer was lost on the way) it answers the same. A job that this worker cannot run
-- and another can is left to that one; then why, alone: 'record' (a newer version made it), 'source' (the worker's
-- configuration of its source is not the one that servers go by now) or 'worker' (another is named).
-- ARGV: id, attempt, worker, lease_s, nonce, version of records, its sources (JSON: name -> fingerprint)
local id, attempt, worker = ARGV[1], ARGV[2], ARGV[3]
local at = now()
local key = job_key(id)

local function order()
  local told = redis.call('HMGET', key, 'payload', 'signature', 'deadline_at', 'owner', 'source', 'answers',
    'queued_at', 'trace')
  local policy = redis.call('HMGET', NS .. ':policy', 'payload', 'signature')
  return { told[1], told[2], stamp(tonumber(told[3]) - at), told[4], told[5], policy[1] or '', policy[2] or '',
    told[6] or '', stamp(at - tonumber(told[7])), told[8] or '' }
end

local job = redis.call('HMGET', key, 'state', 'attempt', 'claim_nonce', 'job_timeout_s', 'queue', 'record', 'source',
  'source_print', 'only_worker', 'set_aside')
if job[1] == 'running' and job[2] == attempt and job[3] == ARGV[5] then
  return order()
end
if job[1] ~= 'queued' or job[2] ~= attempt then
  return {}
end
local why = job[9] and job[9] ~= worker and 'worker' or misfit(job[6], job[7], job[8], ARGV[6], ARGV[7])
if why then
  if redis.call('ZSCORE', line_of(job[5]) .. ':dispatched', id) then
    set_aside(id, at, why)
    dispatch(line_of(job[5]), at)
  end
  return { why }
end
if redis.call('ZREM', line_of(job[5]) .. ':dispatched', id) == 0 then
  local who = redis.call('HMGET', key, 'owner', 'source')
  unpark(id, who[1])
  occupy(id, who[1], who[2])
end
redis.call('ZADD', line_of(job[5]) .. ':running', stamp(at + tonumber(ARGV[4])), id)
redis.call('HSET', key, 'lease_owner', worker, 'claim_nonce', ARGV[5], 'claimed_at', stamp(at))
if job[10] then
  redis.call('HDEL', key, 'set_aside', 'waits_for')
end
redis.call('HSETNX', key, 'deadline_at', stamp(at + tonumber(job[4])))
for _, one in ipairs(everyone(id)) do
  move(one, 'running', at, 'claimed', 'stage', job[5] and '' or 'executing')
  leave_line(one)
  redis.call('HSETNX', job_key(one), 'started_at', stamp(at))
  if one ~= id then
    refer(one, id)
    copy(id, one, { 'deadline_at' })
  end
end
return order()
