-- A job was ended and its statement was not seen to stop: a live worker stops it on its server, and looks. What runs
-- in the worker's own process ends with that.
-- ARGV: id, worker, source, query id or ''
local id = runs(ARGV[1])
local at = now()
if ARGV[4] ~= '' then
  ask_stop(id, ARGV[3], ARGV[4], at)
else
  redis.call('SADD', NS .. ':unseen:' .. ARGV[2], id)
  redis.call('PEXPIRE', NS .. ':unseen:' .. ARGV[2], math.floor(CONF.ttl * 1000))
end
return 1
