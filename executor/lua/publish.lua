-- Which policies hold from now on. It is on record where something is published that was not before.
-- ARGV: payload, signature, hash of all that is published, what, record for the history, its signature
local key = NS .. ':policy'
if redis.call('HGET', key, 'content') ~= ARGV[3] then
  tell_act(ARGV[4], now(), ARGV[5], ARGV[6])
end
redis.call('HSET', key, 'payload', ARGV[1], 'signature', ARGV[2], 'content', ARGV[3])
