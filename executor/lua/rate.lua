-- Takes a turn of an owner: 0, or the seconds after which there is one. Generic cell rate algorithm (ITU-T I.371): a
-- turn every `interval`, and `burst` of them at once after a pause. In the broker, so that all servers count together.
-- ARGV: owner, interval_s, burst
local at = now()
local key = NS .. ':rate:' .. ARGV[1]
local interval, burst = tonumber(ARGV[2]), tonumber(ARGV[3])
local due = math.max(at, tonumber(redis.call('GET', key) or '0'))
local early = due - at - interval * (burst - 1)
if early > 0 then
  return stamp(early)
end
redis.call('SET', key, stamp(due + interval), 'PX', math.ceil((due + interval - at) * 1000))
return stamp(0)
