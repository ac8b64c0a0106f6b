-- Keeps a signed text under a name for a while.
-- ARGV: name, payload, signature, how long (ms)
local key = NS .. ':kept:' .. ARGV[1]
redis.call('HSET', key, 'payload', ARGV[2], 'signature', ARGV[3])
redis.call('PEXPIRE', key, ARGV[4])
return 1
