-- Whether `who` may be `what` for the next while: one process at a time may. A script, because a full broker lets scripts write.
-- Who holds it for no time gives it up.
-- ARGV: what, who, hold_ms
local key = NS .. ':' .. ARGV[1]
if ARGV[3] == '0' then
  if redis.call('GET', key) == ARGV[2] then
    redis.call('DEL', key)
  end
  return 0
end
if redis.call('SET', key, ARGV[2], 'NX', 'PX', ARGV[3]) then
  return 1
end
if redis.call('GET', key) == ARGV[2] then
  redis.call('PEXPIRE', key, ARGV[3])
  return 1
end
return 0
