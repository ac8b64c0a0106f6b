-- Refusals that were only counted since this was last called, one event an owner.
local at = now()
local counts = redis.call('HGETALL', NS .. ':untold')
for i = 1, #counts, 2 do
  tell_act('refused_more', at, cjson.encode({ owner = counts[i], refused = tonumber(counts[i + 1]) }), '')
end
redis.call('DEL', NS .. ':untold')
