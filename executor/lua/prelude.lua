-- Shared by every script. NS, MOVES, TICKET, QUEUE and CONF stand above, written there by store.py from the Python
-- side's own nouns. Times are the broker's, in Unix seconds, so that no worker's clock matters.

local function now()
  local t = redis.call('TIME')
  return tonumber(t[1]) + tonumber(t[2]) / 1000000
end

local function stamp(at)
  return string.format('%.6f', at)
end

local function job_key(id)
  return NS .. ':job:' .. id
end

-- The only place where a state changes. False when somebody else moved first.
local function move(id, to, at, reason)
  local key = job_key(id)
  local from = redis.call('HGET', key, 'state')
  if not from or not MOVES[from] or not MOVES[from][to] then
    return false
  end
  redis.call('HSET', key, 'state', to)
  redis.call('XADD', NS .. ':events', 'MAXLEN', '~', CONF.events, '*',
    'job', id, 'from', from, 'to', to, 'reason', reason, 'at', stamp(at))
  redis.call('PUBLISH', NS .. ':changed', id .. ' ' .. to)
  return true
end

-- Gives back the slot of a dispatched or running job.
local function release(id)
  local took = redis.call('ZREM', NS .. ':dispatched', id) + redis.call('ZREM', NS .. ':running', id)
  if took > 0 then
    local who = redis.call('HMGET', job_key(id), 'owner', 'source')
    for i, set in ipairs({ 'owner', 'source' }) do
      if who[i] and redis.call('HINCRBY', NS .. ':busy:' .. set, who[i], -1) <= 0 then
        redis.call('HDEL', NS .. ':busy:' .. set, who[i])
      end
    end
  end
end

local function occupy(id, owner, source)
  redis.call('HINCRBY', NS .. ':busy:owner', owner, 1)
  redis.call('HINCRBY', NS .. ':busy:source', source, 1)
end

-- In the queue, with the time at which waiting there ends.
local function line_up(id, at)
  local key = job_key(id)
  redis.call('HSET', key, 'queued_at', stamp(at))
  redis.call('ZADD', NS .. ':queued', stamp(at), id)
  redis.call('ZADD', NS .. ':impatient', stamp(at + tonumber(redis.call('HGET', key, 'queue_timeout_s'))), id)
end

local function leave_line(id)
  redis.call('ZREM', NS .. ':queued', id)
  redis.call('ZREM', NS .. ':impatient', id)
end

-- Puts a queued job in its owner's line, and the owner in the ring that NEXT goes round.
local function park(id, owner, front)
  redis.call(front and 'LPUSH' or 'RPUSH', NS .. ':parked:' .. owner, id)
  if not redis.call('LPOS', NS .. ':ring', owner) then
    redis.call('RPUSH', NS .. ':ring', owner)
  end
end

local function send(id, at)
  local attempt = redis.call('HGET', job_key(id), 'attempt')
  local tag = id .. '.' .. attempt .. '.' .. stamp(at)
  local message = TICKET:gsub('@JOB@', id):gsub('@ATTEMPT@', attempt):gsub('@TAG@', tag)
  redis.call('LPUSH', QUEUE, message)
  redis.call('ZADD', NS .. ':dispatched', stamp(at), id)
end

-- Statements that the workers alive can run at once.
local function slots(at)
  local alive = redis.call('ZRANGEBYSCORE', NS .. ':workers', stamp(at), '+inf')
  local total = 0
  for _, worker in ipairs(alive) do
    total = total + tonumber(redis.call('HGET', NS .. ':slots', worker) or '0')
  end
  return total, #alive
end

local function is_under(set, name, cap)
  return tonumber(redis.call('HGET', NS .. ':busy:' .. set, name) or '0') < tonumber(cap)
end

-- Sends tickets for parked jobs, one owner after the other, while slots are free and caps allow.
local function dispatch(at)
  local free = slots(at) - redis.call('ZCARD', NS .. ':dispatched') - redis.call('ZCARD', NS .. ':running')
  local idle = 0
  while free > 0 and idle < redis.call('LLEN', NS .. ':ring') do
    local owner = redis.call('LPOP', NS .. ':ring')
    local line = NS .. ':parked:' .. owner
    local sent = false
    for _, id in ipairs(redis.call('LRANGE', line, 0, CONF.scan - 1)) do
      local job = redis.call('HMGET', job_key(id), 'source', 'owner_cap', 'source_cap', 'state')
      if job[4] ~= 'queued' then
        redis.call('LREM', line, 1, id)
      elseif is_under('owner', owner, job[2]) and is_under('source', job[1], job[3]) then
        redis.call('LREM', line, 1, id)
        occupy(id, owner, job[1])
        send(id, at)
        free = free - 1
        sent = true
        break
      end
    end
    if redis.call('LLEN', line) > 0 then
      redis.call('RPUSH', NS .. ':ring', owner)
    end
    idle = sent and 0 or idle + 1
  end
end

-- The end of a job: final state, time, and how long its row is kept.
local function settle(id, to, at, reason)
  if not move(id, to, at, reason) then
    return false
  end
  release(id)
  leave_line(id)
  redis.call('HSET', job_key(id), 'finished_at', stamp(at), 'expires_at', stamp(at + CONF.ttl))
  redis.call('PEXPIRE', job_key(id), math.floor(CONF.ttl * 1000))
  return true
end

-- The database was seen to have stopped what an ended job ran there: how, and how long after it was asked to.
local function tell_stop(id, at, how)
  local key = job_key(id)
  local job = redis.call('HMGET', key, 'cancel_requested_at', 'finished_at', 'stopped_after_ms')
  local since = job[1] or job[2]
  if since and not job[3] then
    local after = math.max(0, math.floor((at - tonumber(since)) * 1000))
    redis.call('HSET', key, 'stop_seen', how, 'stopped_after_ms', after)
    redis.call('PUBLISH', NS .. ':changed', id)
  end
end

-- Some live worker is to stop what still runs on a server under that id, and to look whether it has ended.
local function ask_stop(id, source, query_id, at)
  redis.call('ZADD', NS .. ':stops', stamp(at),
    cjson.encode({ source = source, query_id = query_id, job_id = id, at = at }))
  redis.call('PUBLISH', NS .. ':cancel', 'stops')
end

-- Back to the queue with the next fencing number.
local function requeue(id, at, reason)
  if not move(id, 'queued', at, reason) then
    return false
  end
  release(id)
  local key = job_key(id)
  redis.call('HINCRBY', key, 'attempt', 1)
  redis.call('HDEL', key, 'lease_owner', 'query_id', 'process_ended')
  redis.call('HSET', key, 'stage', '', 'rows', 0, 'bytes', 0)
  line_up(id, at)
  park(id, redis.call('HGET', key, 'owner'), true)
  return true
end

-- A job's row as it is, with what is before it in the queue and how many workers could take it.
local function snapshot(id)
  local row = redis.call('HGETALL', job_key(id))
  if #row == 0 then
    return {}
  end
  local ahead = redis.call('ZRANK', NS .. ':queued', id)
  return { row, ahead or -1, redis.call('ZCOUNT', NS .. ':workers', stamp(now()), '+inf'),
    redis.call('GET', NS .. ':memory') or '' }
end

local function holds(id, worker, attempt)
  local job = redis.call('HMGET', job_key(id), 'lease_owner', 'attempt', 'state')
  return job[1] == worker and job[2] == attempt and job[3] == 'running'
end
