-- The rows of a finished job are about to go to make room: its readers are told so. 0 when a live job needs them.
-- ARGV: id
local id = ARGV[1]
local key = job_key(id)
if is_read(id) then
  return 0
end
local state = redis.call('HGET', key, 'state')
if state and next(MOVES[state]) then
  return 0
end
-- those that have the same rows under handles of their own
local shared = redis.call('ZRANGE', NS .. ':refs:' .. id, 0, -1)
for _, one in ipairs({ id, unpack(shared) }) do
  if redis.call('EXISTS', job_key(one)) == 1 then
    redis.call('HSET', job_key(one), 'evicted', 1)
    redis.call('HDEL', job_key(one), 'preview')
  end
end
redis.call('DEL', NS .. ':refs:' .. id)
return 1
