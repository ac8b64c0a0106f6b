-- A worker that runs a job which can go on later asks whether others wait for its slot, of the worker or of the source.
-- If so the job is back in line, to go on as its next attempt: answers gone. Else go_on; lost when the lease was lost.
-- ARGV: id, attempt, worker
local id = ARGV[1]
if not holds(id, ARGV[3], ARGV[2]) then
  return 'lost'
end
local at = now()
local job = redis.call('HMGET', job_key(id), 'source', 'source_cap', 'cancel_requested_at')
if job[3] or redis.call('EXISTS', my_line(id) .. ':turns') == 0
  or (free_slots(my_line(id), at) > 0 and is_under(my_line(id), 'source', job[1], job[2])) then
  return 'go_on'
end
requeue(id, at, 'gave way')
dispatch(my_line(id), at)
return 'gone'
