-- Whether `who` reaps for the next while: one process at a time does. A script, because a full broker lets scripts write.
-- ARGV: who, hold_ms
local key = NS .. ':reaper'
if redis.call('SET', key, ARGV[1], 'NX', 'PX', ARGV[2]) then
  return 1
end
if redis.call('GET', key) == ARGV[1] then
  redis.call('PEXPIRE', key, ARGV[2])
  return 1
end
return 0
