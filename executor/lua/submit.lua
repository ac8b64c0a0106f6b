-- A new job, durable and in line: its row; or the reason why not. Sent again with the same id it changes nothing.
-- ARGV: id, owner, source, owner_cap, source_cap, idempotency key or '', content hash, field, value, ...
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
      return { 'ok', before[1], snapshot(before[1]) }
    end
    return { 'idempotency_conflict', before[1] }
  end
end
if redis.call('ZCARD', NS .. ':queued') >= CONF.depth then
  return { 'queue_full', '' }
end
local fields = { 'id', id, 'owner', owner, 'source', source, 'owner_cap', ARGV[4], 'source_cap', ARGV[5],
  'state', 'queued', 'stage', '', 'attempt', '1', 'losses', '0', 'rows', '0', 'bytes', '0',
  'submitted_at', stamp(at) }
for i = 8, #ARGV do
  fields[#fields + 1] = ARGV[i]
end
redis.call('HSET', job_key(id), unpack(fields))
if ARGV[6] ~= '' then
  redis.call('HSET', memo, 'id', id, 'content', ARGV[7])
  redis.call('PEXPIRE', memo, math.floor(CONF.ttl * 1000))
end
hold_inputs(id)
line_up(id, at)
redis.call('ZADD', NS .. ':owner:' .. owner, stamp(at), id)
-- ids whose rows are gone by now, however long they waited and ran
redis.call('ZREMRANGEBYSCORE', NS .. ':owner:' .. owner, '-inf', stamp(at - CONF.ttl * 2 - CONF.longest))
redis.call('PEXPIRE', NS .. ':owner:' .. owner, math.floor(CONF.ttl * 2000))
redis.call('XADD', NS .. ':events', 'MAXLEN', '~', CONF.events, '*',
  'job', id, 'from', '', 'to', 'queued', 'reason', 'submitted', 'at', stamp(at))
park(id, owner, false)
dispatch(at)
return { 'ok', id, snapshot(id) }
