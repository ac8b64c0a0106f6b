-- Which policies and sources hold from now on. It is on record where something is published that was not before.
-- ARGV: payload, signature, hash of all that is published, the sources (JSON: name -> fingerprint), what, record for the
--   history, its signature
local key = NS .. ':policy'
if redis.call('HGET', key, 'content') ~= ARGV[3] then
  tell_act(ARGV[5], now(), ARGV[6], ARGV[7])
end
redis.call('HSET', key, 'payload', ARGV[1], 'signature', ARGV[2], 'content', ARGV[3])
redis.call('DEL', NS .. ':sources')
for name, fingerprint in pairs(cjson.decode(ARGV[4])) do
  redis.call('HSET', NS .. ':sources', name, fingerprint)
end
