-- Shared by every script. NS, MOVES, QUEUES and CONF stand above, written there by scripts.py from the Python side's own
-- nouns. Times are the broker's, in Unix seconds, so that no worker's clock matters.

-- One script is one moment.
local NOW
local function now()
  if not NOW then
    local t = redis.call('TIME')
    NOW = tonumber(t[1]) + tonumber(t[2]) / 1000000
  end
  return NOW
end

local function stamp(at)
  return string.format('%.6f', at)
end

local function job_key(id)
  return NS .. ':job:' .. id
end

-- Each queue has a line, workers, slots and counters of its own: the beginning of their keys. That of statements has no
-- name; a job of another one has its name in its row.
local function line_of(name)
  return name and name ~= '' and NS .. ':' .. name or NS
end

-- Which line each job stands in, as far as that was asked in this script: a job does not change it.
local LINES = {}
local function my_line(id)
  if not LINES[id] then
    LINES[id] = line_of(redis.call('HGET', job_key(id), 'queue'))
  end
  return LINES[id]
end

-- One event for the history, which drains the stream; what it has not drained is dropped beyond a bound, and recorded
-- there as a gap.
local function tell(id, from, to, at, reason, more)
  redis.call('XADD', NS .. ':events', 'MAXLEN', '~', CONF.events, '*',
    'job', id, 'from', from, 'to', to, 'reason', reason, 'at', stamp(at), 'v', CONF.record, unpack(more))
end

-- Records are the large part of the stream: they take so much and no more, whatever becomes of the history.
local function bound_events(size)
  local told = redis.call('INCRBY', NS .. ':events:bytes', size)
  if told > CONF.event_bytes then
    redis.call('XTRIM', NS .. ':events', 'MAXLEN', math.floor(redis.call('XLEN', NS .. ':events') * 7 / 8))
    redis.call('SET', NS .. ':events:bytes', math.floor(told * 7 / 8))
  end
end

-- An act that is no job's, for the history.
local function tell_act(what, at, record, mac)
  tell('', '', 'act', at, what, { 'record', record, 'mac', mac })
  bound_events(#record)
end

-- The row of a job that has succeeded, said to the server that submitted it, which need not ask for it then; unless it is
-- large, since not all wait for their jobs.
local LARGE = 16384
local function tell_asker(id, asker, at)
  local row = redis.call('HGETALL', job_key(id))
  if #table.concat(row) <= LARGE then
    redis.call('PUBLISH', NS .. ':ended:' .. asker,
      cjson.encode({ id, row, -1, '-1', cjson.null, redis.call('GET', NS .. ':memory') or '', stamp(at) }))
  end
end

-- The only place where a state changes: the state before, or false when somebody else moved first; and the job's kind.
-- What follows the reason are more fields to write, each with its value.
local function move(id, to, at, reason, ...)
  local key = job_key(id)
  local job = redis.call('HMGET', key, 'state', 'attempt', 'rows', 'bytes', 'error', 'generated', 'kind',
    'asker')
  local from = job[1]
  if not from or not MOVES[from] or not MOVES[from][to] then
    return false
  end
  redis.call('HSET', key, 'state', to, ...)
  tell(id, from, to, at, reason, { 'attempt', job[2], 'rows', job[3], 'bytes', job[4], 'error', job[5] or '',
    'generated', job[6] or '' })
  if job[8] and to == 'succeeded' then
    tell_asker(id, job[8], at)
  end
  redis.call('PUBLISH', NS .. ':changed', id .. ' ' .. to)
  return from, job[7]
end

-- Gives back the slot of a dispatched or running job; it stands in one of the two sets at most.
local function release(id)
  local line = my_line(id)
  if redis.call('ZREM', line .. ':running', id) == 1 or redis.call('ZREM', line .. ':dispatched', id) == 1 then
    local who = redis.call('HMGET', job_key(id), 'owner', 'source')
    for i, set in ipairs({ 'owner', 'source' }) do
      if who[i] and redis.call('HINCRBY', line .. ':busy:' .. set, who[i], -1) <= 0 then
        redis.call('HDEL', line .. ':busy:' .. set, who[i])
      end
    end
  end
end

local function occupy(id, owner, source)
  local line = my_line(id)
  redis.call('HINCRBY', line .. ':busy:owner', owner, 1)
  redis.call('HINCRBY', line .. ':busy:source', source, 1)
end

-- What has happened so far, one counter a field, for whoever watches: only words of our own may stand in a name.
local function tally(...)
  redis.call('HINCRBY', NS .. ':counts', table.concat({ ... }, ' '), 1)
end

-- What a job has submitted for itself.
local function children_key(id)
  return NS .. ':children:' .. id
end

-- Jobs that wait, in whichever queue, or for an answer.
local function depth()
  local found = redis.call('ZCARD', NS .. ':waiting')
  for name in pairs(QUEUES) do
    found = found + redis.call('ZCARD', line_of(name) .. ':queued')
  end
  return found
end

-- In the queue, with the time at which waiting there ends.
local function stand(id, at, timeout_s)
  redis.call('ZADD', my_line(id) .. ':queued', stamp(at), id)
  redis.call('ZADD', NS .. ':impatient', stamp(at + tonumber(timeout_s)), id)
end

local function line_up(id, at)
  local key = job_key(id)
  redis.call('HSET', key, 'queued_at', stamp(at))
  stand(id, at, redis.call('HGET', key, 'queue_timeout_s'))
end

local function leave_line(id)
  redis.call('ZREM', my_line(id) .. ':queued', id)
  redis.call('ZREM', NS .. ':impatient', id)
end

local function send(id, at, attempt, name)
  local queue = QUEUES[name or '']
  local tag = id .. '.' .. attempt .. '.' .. stamp(at)
  local message = queue.ticket:gsub('@JOB@', id):gsub('@ATTEMPT@', attempt):gsub('@TAG@', tag)
  redis.call('LPUSH', queue.key, message)
  redis.call('ZADD', line_of(name) .. ':dispatched', stamp(at), id)
end

-- Jobs that a line's workers alive can run at once.
local function slots(line, at)
  local alive = redis.call('ZRANGEBYSCORE', line .. ':workers', stamp(at), '+inf')
  local total = 0
  for _, worker in ipairs(alive) do
    total = total + tonumber(redis.call('HGET', line .. ':slots', worker) or '0')
  end
  return total
end

-- How many workers of a line could take a job, sooner or later.
local function takers(line, at)
  return redis.call('ZCOUNT', line .. ':workers', stamp(at), '+inf')
    - redis.call('ZCOUNT', line .. ':leaving', stamp(at), '+inf')
end

local function strike_off(line, worker)
  redis.call('ZREM', line .. ':workers', worker)
  redis.call('ZREM', line .. ':leaving', worker)
  redis.call('HDEL', line .. ':slots', worker)
  redis.call('HDEL', line .. ':zombies', worker)
  redis.call('HDEL', line .. ':about', worker)
end

local function is_under(line, set, name, cap)
  return tonumber(redis.call('HGET', line .. ':busy:' .. set, name) or '0') < tonumber(cap)
end

-- Jobs that read the results of others, and which: NS:readers, id -> ids with spaces between them.
local function readers()
  local found = {}
  local all = redis.call('HGETALL', NS .. ':readers')
  for i = 1, #all, 2 do
    local state = redis.call('HGET', job_key(all[i]), 'state')
    if state and next(MOVES[state]) then
      found[#found + 1] = all[i + 1]
    else
      redis.call('HDEL', NS .. ':readers', all[i])
    end
  end
  return found
end

local function is_read(id)
  for _, inputs in ipairs(readers()) do
    if string.find(' ' .. inputs .. ' ', ' ' .. id .. ' ', 1, true) then
      return true
    end
  end
  return false
end

-- A job that reads the results of others: they are kept while it lives, and their rows with them.
local function hold_inputs(id, inputs, queue_timeout_s, job_timeout_s)
  redis.call('HSET', NS .. ':readers', id, inputs)
  local longest = math.floor((tonumber(queue_timeout_s) + tonumber(job_timeout_s) + 60) * 1000)
  for input in string.gmatch(inputs, '%S+') do
    redis.call('PEXPIRE', job_key(input), longest, 'GT')
  end
end
