-- An act that is no job's, for the history.
-- ARGV: what, record, its signature
tell_act(ARGV[1], now(), ARGV[2], ARGV[3])
