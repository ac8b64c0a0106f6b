-- The next events of the stream, after dropping those that the history has committed. The broker is asked by one
-- process at a time; asked twice it answers the same.
-- ARGV: candidate for the epoch, the epoch that the position is of or '', the last committed id or '', count
-- Answers { epoch } where the position is of another epoch, else { epoch, entries ever added, entries there, last id,
-- entries }.
local stream = NS .. ':events'
redis.call('SET', NS .. ':epoch', ARGV[1], 'NX')
local epoch = redis.call('GET', NS .. ':epoch')
if epoch ~= ARGV[2] then
  return { epoch }
end
if redis.call('EXISTS', stream) == 0 then
  return { epoch, 0, 0, '0-0', {} }
end
if ARGV[3] ~= '' then
  local ms, seq = ARGV[3]:match('^(%d+)-(%d+)$')
  local before = redis.call('XLEN', stream)
  redis.call('XTRIM', stream, 'MINID', '=', ms .. '-' .. string.format('%.0f', tonumber(seq) + 1))
  local size = tonumber(redis.call('GET', NS .. ':events:bytes') or '0')
  if size > 0 and before > 0 then
    redis.call('SET', NS .. ':events:bytes', math.floor(size * redis.call('XLEN', stream) / before))
  end
end
local told = {}
local info = redis.call('XINFO', 'STREAM', stream)
for i = 1, #info, 2 do
  told[info[i]] = info[i + 1]
end
return { epoch, told['entries-added'], told['length'], told['last-generated-id'],
  redis.call('XRANGE', stream, '-', '+', 'COUNT', ARGV[4]) }
