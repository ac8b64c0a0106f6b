-- A caller wants the job no more: queued and waiting jobs end at once; a running one is flagged and its worker told.
-- Answers the state after. A caller that only leaves does so where more callers submitted the job than left it.
-- ARGV: id, 'leaves' or ''
local id = ARGV[1]
local at = now()
if ARGV[2] == 'leaves' and tonumber(redis.call('HGET', job_key(id), 'others') or '0') > 0 then
  redis.call('HINCRBY', job_key(id), 'others', -1)
else
  end_by_wish(id, at)
  end_children(id, at)
end
return redis.call('HGET', job_key(id), 'state') or ''
