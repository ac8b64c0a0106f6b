-- A worker says that it still runs the job, and how far it is. Answers ok, cancel or lost.
-- ARGV: id, attempt, worker, lease_s, stage, rows, bytes, query id
local id = runs(ARGV[1])
if not holds(id, ARGV[3], ARGV[2]) then
  return 'lost'
end
local key = job_key(id)
local before = redis.call('HMGET', key, 'stage', 'rows', 'cancel_requested_at')
redis.call('ZADD', my_line(id) .. ':running', stamp(now() + tonumber(ARGV[4])), id)
redis.call('HSET', key, 'query_id', ARGV[8])
for _, one in ipairs(everyone(id)) do
  redis.call('HSET', job_key(one), 'stage', ARGV[5], 'rows', ARGV[6], 'bytes', ARGV[7])
  if before[1] ~= ARGV[5] or before[2] ~= ARGV[6] then
    redis.call('PUBLISH', NS .. ':changed', one)
  end
end
return before[3] and 'cancel' or 'ok'
