-- The worker's last word on a job: 1 when it counts (also when it was said before), 0 when the lease was lost.
-- ARGV: id, attempt, worker, state, reason, field, value, ...
local attempt, worker, to = ARGV[2], ARGV[3], ARGV[4]
local id, job = runs(ARGV[1], 'lease_owner', 'attempt', 'state', 'ended_in', 'queue', 'source', 'claimed_at')
local at = now()
local key = job_key(id)
if job[2] == worker and (job[5] or job[3]) == attempt and job[4] == to then
  return 1
end
if job[2] ~= worker or job[3] ~= attempt or job[4] ~= 'running' then
  return 0
end
LINES[id] = line_of(job[6])
local fields, has_rows = {}, false
for i = 6, #ARGV do
  fields[#fields + 1] = ARGV[i]
  has_rows = has_rows or (i % 2 == 0 and ARGV[i] == 'summary')
end
if #fields > 0 then
  redis.call('HSET', key, unpack(fields))
end
if to == 'succeeded' and has_rows and job[8] then
  keep_pace(line_of(job[6]), job[7], at - tonumber(job[8]))
end
local answer = job[6] and redis.call('HGET', key, 'answer_of')
if answer then
  redis.call('HSET', key, 'ended_in', attempt)
  answer_by(id, answer)
end
settle_all(id, to, at, ARGV[5])
if answer then
  copy(answer, id, { 'rows_at' })
end
if job[6] then
  end_children(id, at)
end
local seen = to == 'cancelled' and redis.call('HGET', key, 'stop_seen')
if seen then
  tell_stop(id, at, seen)
end
dispatch(line_of(job[6]), at)
return 1
