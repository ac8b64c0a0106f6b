-- The statement of an ended job was seen to have stopped.
-- ARGV: id, how it was seen, the entry of `stops` that is done with or ''
if ARGV[3] ~= '' then
  redis.call('ZREM', NS .. ':stops', ARGV[3])
end
tell_stop(runs(ARGV[1]), now(), ARGV[2])
return 1
