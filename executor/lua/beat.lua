-- A worker says that it still runs the job, and how far it is. Answers ok, cancel or lost.
-- ARGV: id, attempt, worker, lease_s, stage, rows, bytes, query id
local id, job = runs(ARGV[1], 'lease_owner', 'attempt', 'state', 'stage', 'rows', 'cancel_requested_at', 'queue')
if job[2] ~= ARGV[3] or job[3] ~= ARGV[2] or job[4] ~= 'running' then
  return 'lost'
end
redis.call('ZADD', line_of(job[8]) .. ':running', stamp(now() + tonumber(ARGV[4])), id)
redis.call('HSET', job_key(id), 'query_id', ARGV[8], 'stage', ARGV[5], 'rows', ARGV[6], 'bytes', ARGV[7])
for _, one in ipairs(everyone(id)) do
  if one ~= id then
    redis.call('HSET', job_key(one), 'stage', ARGV[5], 'rows', ARGV[6], 'bytes', ARGV[7])
  end
  if job[5] ~= ARGV[5] or job[6] ~= ARGV[6] then
    redis.call('PUBLISH', NS .. ':changed', one)
  end
end
return job[7] and 'cancel' or 'ok'
