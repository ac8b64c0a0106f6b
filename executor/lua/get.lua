-- A job's row as it is.
-- ARGV: id
return snapshot(ARGV[1])
