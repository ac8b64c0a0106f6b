-- A caller wants the job no more: queued and waiting jobs end at once; a running one is flagged and its worker told.
-- Answers the state after.
-- ARGV: id
end_by_wish(ARGV[1], now())
end_children(ARGV[1], now())
return redis.call('HGET', job_key(ARGV[1]), 'state') or ''
