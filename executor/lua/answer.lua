-- What a waiting job is told; it goes back in line, and its next attempt reads all answers. Answers 1 when it counts (also
-- when the same was said before), 0 when the job does not wait for this answer (any more).
-- ARGV: id, signature of the request, answer, its signature, reason
local id = ARGV[1]
local at = now()
local key = job_key(id)
local job = redis.call('HMGET', key, 'state', 'input_request', 'input_signature', 'answers', 'deadline_at', 'input_since')
local kept = job[4] and cjson.decode(job[4]) or {}
if #kept > 0 and kept[#kept][2] == ARGV[2] and kept[#kept][4] == ARGV[4] then
  return 1
end
if job[1] ~= 'waiting' or job[3] ~= ARGV[2] then
  return 0
end
kept[#kept + 1] = { job[2], job[3], ARGV[3], ARGV[4] }
-- the time in which nobody worked on it is not the job's
redis.call('HSET', key, 'answers', cjson.encode(kept), 'deadline_at', stamp(tonumber(job[5]) + at - tonumber(job[6])))
redis.call('HDEL', key, 'input_request', 'input_signature', 'input_since', 'input_deadline_at')
redis.call('ZREM', NS .. ':waiting', id)
requeue(id, at, ARGV[5])
dispatch(my_line(id), at)
return 1
