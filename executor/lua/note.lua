-- A worker tells something more of the job that it runs. 1 when it counts, 0 when the lease was lost.
-- ARGV: id, attempt, worker, field, value, ...
local id = runs(ARGV[1])
if not holds(id, ARGV[3], ARGV[2]) then
  return 0
end
local fields = {}
for i = 4, #ARGV do
  fields[#fields + 1] = ARGV[i]
end
for _, one in ipairs(everyone(id)) do
  redis.call('HSET', job_key(one), unpack(fields))
  redis.call('PUBLISH', NS .. ':changed', one)
end
return 1
