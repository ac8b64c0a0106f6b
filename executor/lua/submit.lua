-- A new job, durable and in line: where it stands there; its row where others have a part in it; or the reason why not.
-- Sent again with the same id it changes nothing. With a share key it may have the rows of an equal statement, or join
-- one that waits or runs.
-- ARGV: id, owner, source, owner_cap, source_cap, idempotency key or '', content hash, priority, share key or '',
--   'fresh' or '', record for the history, its signature, the job that submits it or '', kind,
--   which server asks and waits or '', field, value, ...
local id, owner, source = ARGV[1], ARGV[2], ARGV[3]
local at = now()
if redis.call('EXISTS', job_key(id)) == 1 then
  return { 'ok', id, snapshot(id) }
end
local memo = NS .. ':idempotency:' .. owner .. ':' .. ARGV[6]
if ARGV[6] ~= '' then
  local before = redis.call('HMGET', memo, 'id', 'content')
  if before[1] and redis.call('EXISTS', job_key(before[1])) == 1 then
    if before[2] == ARGV[7] then
      redis.call('HINCRBY', job_key(before[1]), 'others', 1)
      return { 'ok', before[1], snapshot(before[1]) }
    end
    return { 'idempotency_conflict', before[1] }
  end
end
local parent = ARGV[13]
if parent ~= '' then
  local job = redis.call('HMGET', job_key(parent), 'state', 'cancel_requested_at')
  if job[1] ~= 'running' or job[2] then
    return { 'parent_ended', parent }
  end
end
local share = ARGV[9]
local lead, how
if share ~= '' and ARGV[10] ~= 'fresh' then
  lead, how = offer(share, at, ARGV[8])
end
if how ~= 'stored' and depth() >= CONF.depth then
  return { 'queue_full', '' }
end
local fields = { 'id', id, 'owner', owner, 'source', source, 'owner_cap', ARGV[4], 'source_cap', ARGV[5],
  'priority', ARGV[8], 'kind', ARGV[14],
  'state', 'queued', 'stage', '', 'attempt', '1', 'losses', '0', 'rows', '0', 'bytes', '0',
  'submitted_at', stamp(at), 'queued_at', stamp(at) }
local row = {}
for i = 16, #ARGV, 2 do
  row[ARGV[i]] = ARGV[i + 1]
  fields[#fields + 1] = ARGV[i]
  fields[#fields + 1] = ARGV[i + 1]
end
LINES[id] = line_of(row.queue)
if how ~= 'stored' and ARGV[15] ~= '' then
  fields[#fields + 1] = 'asker'
  fields[#fields + 1] = ARGV[15]
end
redis.call('HSET', job_key(id), unpack(fields))
if ARGV[6] ~= '' then
  redis.call('HSET', memo, 'id', id, 'content', ARGV[7])
  redis.call('PEXPIRE', memo, math.floor(CONF.ttl * 1000))
end
if row.inputs then
  hold_inputs(id, row.inputs, row.queue_timeout_s, row.job_timeout_s)
end
if parent ~= '' then
  redis.call('HSET', job_key(id), 'parent', parent)
  redis.call('RPUSH', children_key(parent), id)
  redis.call('PEXPIRE', children_key(parent), math.floor((CONF.longest + CONF.ttl) * 1000))
else
  redis.call('ZADD', NS .. ':owner:' .. owner, stamp(at), id)
end
-- ids whose rows are gone by now, however long they waited and ran
redis.call('ZREMRANGEBYSCORE', NS .. ':owner:' .. owner, '-inf', stamp(at - CONF.ttl * 2 - CONF.longest))
redis.call('PEXPIRE', NS .. ':owner:' .. owner, math.floor(CONF.ttl * 2000))
tell(id, '', 'queued', at, 'submitted', { 'record', ARGV[11], 'mac', ARGV[12] })
tally('submitted', ARGV[14], how or 'run')
bound_events(#ARGV[11])
if how then
  -- the trace of the run whose rows the job has
  local traces = redis.call('HMGET', job_key(lead), 'run_trace', 'trace')
  if traces[1] or traces[2] then
    redis.call('HSET', job_key(id), 'run_trace', traces[1] or traces[2])
  end
end
if how == 'stored' then
  move(id, 'running', at, 'stored')
  refer(id, lead)
  copy(lead, id, OUTCOME)
  copy(lead, id, { 'rows_at' })
  redis.call('HSET', job_key(id), 'shared', how, 'started_at', stamp(at))
  hold_rows(id, at, redis.call('HGET', job_key(id), 'rows_of'))
  settle(id, 'succeeded', at, 'stored')
elseif how == 'joined' then
  redis.call('HSET', job_key(id), 'shared', how, 'leader', lead)
  redis.call('RPUSH', joined_key(lead), id)
  if redis.call('HGET', job_key(lead), 'state') == 'running' then
    move(id, 'running', at, 'joined')
    refer(id, lead)
    copy(lead, id, { 'deadline_at', 'stage', 'rows', 'bytes', 'estimate', 'expensive' })
    redis.call('HSET', job_key(id), 'started_at', stamp(at))
  else
    copy(lead, id, { 'attempt' })
    stand(id, at, row.queue_timeout_s)
  end
else
  if share ~= '' then
    redis.call('HSET', job_key(id), 'share', share)
    redis.call('SET', NS .. ':share:' .. share, id)
  end
  stand(id, at, row.queue_timeout_s)
  local place = goes_straight(id, at, owner, source, ARGV[4], ARGV[5], row.queue)
  if not place then
    park(id, owner, false)
    dispatch(my_line(id), at)
  end
  return { 'new', id, outlook_of(id, 'queued', nil, place) }
end
return { 'ok', id, snapshot(id) }
