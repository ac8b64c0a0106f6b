-- The worker's last word on a job: 1 when it counts (also when it was said before), 0 when the lease was lost.
-- ARGV: id, attempt, worker, state, reason, field, value, ...
local id, attempt, worker, to = runs(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local at = now()
local key = job_key(id)
local job = redis.call('HMGET', key, 'lease_owner', 'attempt', 'state', 'ended_in')
if job[1] == worker and (job[4] or job[2]) == attempt and job[3] == to then
  return 1
end
if not holds(id, worker, attempt) then
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
local answer = redis.call('HGET', key, 'answer_of')
if answer then
  redis.call('HSET', key, 'ended_in', attempt)
  answer_by(id, answer)
end
settle_all(id, to, at, ARGV[5])
if answer then
  copy(answer, id, { 'rows_at' })
end
local seen = redis.call('HGET', key, 'stop_seen')
if to == 'cancelled' and seen then
  tell_stop(id, at, seen)
end
dispatch(my_line(id), at)
return 1
