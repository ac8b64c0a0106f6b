-- A worker that leaves gives a running job back: it goes to the front of its line, and is nobody's loss. 1 when that
-- counts, 0 when the lease was lost.
-- ARGV: id, attempt, worker, how its statement was seen to have stopped or ''
local id = runs(ARGV[1])
if not holds(id, ARGV[3], ARGV[2]) then
  return 0
end
local at = now()
local job = redis.call('HMGET', job_key(id), 'source', 'query_id', 'cancel_requested_at')
local seen = ARGV[4]
if seen == '' and job[2] and job[2] ~= '' then
  ask_stop(id, job[1], job[2], at)
end
if job[3] then
  settle_all(id, 'cancelled', at, 'asked')
  end_children(id, at)
  if seen ~= '' then
    tell_stop(id, at, seen)
  end
else
  requeue(id, at, seen == '' and 'worker left, stop not seen' or 'worker left, stop seen by ' .. seen)
end
dispatch(my_line(id), at)
return 1
