-- The rows of a finished job are about to go to make room: its readers are told so. 0 when a live job needs them.
-- ARGV: id
local id = ARGV[1]
local key = job_key(id)
if is_read(id) then
  return 0
end
local state = redis.call('HGET', key, 'state')
if not state then
  return 1
end
if next(MOVES[state]) then
  return 0
end
redis.call('HSET', key, 'evicted', 1)
redis.call('HDEL', key, 'preview')
return 1
