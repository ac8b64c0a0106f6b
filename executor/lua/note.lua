-- A worker tells something more of the job that it runs. 1 when it counts, 0 when the lease was lost.
-- ARGV: id, attempt, worker, field, value, ...
local id = ARGV[1]
if not holds(id, ARGV[3], ARGV[2]) then
  return 0
end
local fields = {}
for i = 4, #ARGV do
  fields[#fields + 1] = ARGV[i]
end
redis.call('HSET', job_key(id), unpack(fields))
redis.call('PUBLISH', NS .. ':changed', id)
return 1
