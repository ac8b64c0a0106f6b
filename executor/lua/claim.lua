-- A worker takes a job by its ticket: what was signed, how many seconds the job still has, whose row it is, the policies of
-- now, what the job was told when it asked, how many seconds it was in line, and its trace. Nothing for a stale ticket:
-- another attempt, a state that has moved on.
-- Asked again with the same nonce (the answer was lost on the way) it answers the same. A job that this worker cannot run
-- and another can is left to that one; then why, alone: 'record' (a newer version made it), 'source' (the worker's
-- configuration of its source is not the one that servers go by now) or 'worker' (another is named).
-- ARGV: id, attempt, worker, lease_s, nonce, version of records, its sources (JSON: name -> fingerprint),
--   those of them whose sessions are named by the job's attempt
local id, attempt, worker = ARGV[1], ARGV[2], ARGV[3]
local at = now()
local key = job_key(id)

local job = redis.call('HMGET', key, 'state', 'attempt', 'claim_nonce', 'job_timeout_s', 'queue', 'record', 'source',
  'source_print', 'only_worker', 'set_aside', 'owner', 'deadline_at', 'started_at', 'payload', 'signature', 'answers',
  'queued_at', 'trace', 'kind')
LINES[id] = line_of(job[5])

local function order()
  local policy = redis.call('HMGET', NS .. ':policy', 'payload', 'signature')
  return { job[14], job[15], stamp(tonumber(job[12]) - at), job[11], job[7], policy[1] or '', policy[2] or '',
    job[16] or '', stamp(at - tonumber(job[17])), job[18] or '' }
end

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
  unpark(id, job[11])
  occupy(id, job[11], job[7])
end
redis.call('ZADD', line_of(job[5]) .. ':running', stamp(at + tonumber(ARGV[4])), id)
if job[10] then
  redis.call('HDEL', key, 'set_aside', 'waits_for')
end
job[12] = job[12] or stamp(at + tonumber(job[4]))
local stage = job[5] and '' or 'executing'
-- from here on somebody knows what to stop on the server, whatever becomes of the worker
local is_statement = job[19] == 'query' or job[19] == 'dry_run'
local query_id = is_statement and string.find(ARGV[8], ' ' .. job[7] .. ' ', 1, true) and id .. '.' .. attempt or ''
for _, one in ipairs(everyone(id)) do
  if one == id then
    move(id, 'running', at, 'claimed', 'stage', stage, 'lease_owner', worker, 'claim_nonce', ARGV[5],
      'claimed_at', stamp(at), 'deadline_at', job[12], 'started_at', job[13] or stamp(at), 'query_id', query_id)
  else
    move(one, 'running', at, 'claimed', 'stage', stage, 'deadline_at', job[12])
    redis.call('HSETNX', job_key(one), 'started_at', stamp(at))
    refer(one, id)
  end
  leave_line(one)
end
return order()
