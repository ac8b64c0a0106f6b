-- The next statement to stop, or ''. It comes again after a while unless somebody says that it has stopped.
-- ARGV: seconds until it comes again, seconds after which it is forgotten
local at = now()
for _, told in ipairs(redis.call('ZRANGEBYSCORE', NS .. ':stops', '-inf', stamp(at), 'LIMIT', 0, 20)) do
  if cjson.decode(told).at + tonumber(ARGV[2]) < at then
    redis.call('ZREM', NS .. ':stops', told)
  else
    redis.call('ZADD', NS .. ':stops', stamp(at + tonumber(ARGV[1])), told)
    return told
  end
end
return ''
