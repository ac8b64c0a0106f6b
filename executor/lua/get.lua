-- A job's row as it is, with what is before it in the queue and who could take it.
-- ARGV: id
local id = ARGV[1]
local row = redis.call('HGETALL', job_key(id))
if #row == 0 then
  return {}
end
local ahead = redis.call('ZRANK', NS .. ':queued', id)
return { row, ahead or -1, redis.call('ZCOUNT', NS .. ':workers', stamp(now()), '+inf') }
