-- The word on the policies with another signature, unless another word has come meanwhile.
-- ARGV: the signature that it has, payload, signature
local key = NS .. ':policy'
if redis.call('HGET', key, 'signature') == ARGV[1] then
  redis.call('HSET', key, 'payload', ARGV[2], 'signature', ARGV[3])
end
