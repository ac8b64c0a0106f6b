-- The worker's last word on a job: 1 when it counts (also when it was said before), 0 when the lease was lost.
-- ARGV: id, attempt, worker, state, reason, field, value, ...
local id, attempt, worker, to = runs(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local at = now()
local key = job_key(id)
local job = redis.call('HMGET', key, 'lease_owner', 'attempt', 'state', 'ended_in', 'queue')
if job[1] == worker and (job[4] or job[2]) == attempt and job[3] == to then
  return 1
end
if job[1] ~= worker or job[2] ~= attempt or job[3] ~= 'running' then
  return 0
end
local fields = {}
for i = 6, #ARGV do
  fields[#fields + 1] = ARGV[i]
end
if #fields > 0 then
  redis.call('HSET', key, unpack(fields))
end
if to == 'succeeded' then
  keep_pace(id, at)
end
local answer = job[5] and redis.call('HGET', key, 'answer_of')
if answer then
  redis.call('HSET', key, 'ended_in', attempt)
  answer_by(id, answer)
end
settle_all(id, to, at, ARGV[5])
if answer then
  copy(answer, id, { 'rows_at' })
end
if job[5] then
  end_children(id, at)
end
local seen = to == 'cancelled' and redis.call('HGET', key, 'stop_seen')
if seen then
  tell_stop(id, at, seen)
end
dispatch(line_of(job[5]), at)
return 1
