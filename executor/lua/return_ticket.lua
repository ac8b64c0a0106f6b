-- A worker that leaves was handed a ticket: its job, still queued, goes back to the front of its line.
-- ARGV: id, attempt
local id = ARGV[1]
local key = job_key(id)
local job = redis.call('HMGET', key, 'state', 'attempt', 'owner')
local line = my_line(id)
if job[1] ~= 'queued' or job[2] ~= ARGV[2] or not redis.call('ZSCORE', line .. ':dispatched', id) then
  return 0
end
release(id)
park(id, job[3], true)
dispatch(line, now())
return 1
