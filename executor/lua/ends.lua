-- How an attempt and a job end.

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
  -- whoever cancelled the job that had submitted it asks for the proof there
  local parent = redis.call('HGET', key, 'parent')
  if parent and redis.call('HEXISTS', job_key(parent), 'cancel_requested_at') == 1 then
    tell_stop(parent, at, how)
  end
end

-- Some live worker is to stop what still runs on a server under that id, and to look whether it has ended.
local function ask_stop(id, source, query_id, at)
  redis.call('ZADD', NS .. ':stops', stamp(at),
    cjson.encode({ source = source, query_id = query_id, job_id = id, at = at,
      source_print = redis.call('HGET', job_key(id), 'source_print') or '' }))
  redis.call('PUBLISH', NS .. ':cancel', 'stops')
end

-- The end of a job: final state, time, and how long its row is kept. More fields may follow, as in `move`.
local function settle(id, to, at, reason, ...)
  local from, kind = move(id, to, at, reason, 'stage', '', 'finished_at', stamp(at),
    'expires_at', stamp(at + CONF.ttl), ...)
  if not from then
    return false
  end
  tally('ended', kind, to, to == 'failed' and reason or '')
  release(id)
  if from == 'queued' then
    leave_line(id)
  elseif from == 'waiting' then
    redis.call('ZREM', NS .. ':waiting', id)
  end
  redis.call('PEXPIRE', job_key(id), math.floor(CONF.ttl * 1000))
  return true
end

-- The end of a run: of its job and of all that joined it. Rows of one that succeeded may be given to others for a while.
local function settle_all(id, to, at, reason)
  local own = redis.call('HMGET', job_key(id), 'share', 'rows_of')
  local share = own[1]
  if share and redis.call('GET', NS .. ':share:' .. share) == id then
    if to == 'succeeded' then
      redis.call('PEXPIRE', NS .. ':share:' .. share, math.floor(CONF.cache * 1000))
    else
      redis.call('DEL', NS .. ':share:' .. share)
    end
  end
  local all = everyone(id)
  if #all > 1 then
    redis.call('DEL', joined_key(id))
  end
  for _, one in ipairs(all) do
    if one ~= id then
      copy(id, one, OUTCOME)
    end
    if to == 'succeeded' then
      hold_rows(one, at, one == id and own[2] or redis.call('HGET', job_key(one), 'rows_of'))
    end
    settle(one, to, at, reason, 'rows_at', stamp(at))
  end
end

-- Back to the queue with the next fencing number, and those that joined with it.
local function requeue(id, at, reason)
  local attempt = redis.call('HINCRBY', job_key(id), 'attempt', 1)
  for _, one in ipairs(everyone(id)) do
    move(one, 'queued', at, reason)
    local key = job_key(one)
    redis.call('HDEL', key, 'lease_owner', 'query_id', 'process_ended', 'rows_of', 'rows_payload', 'rows_signature')
    redis.call('HSET', key, 'stage', '', 'rows', 0, 'bytes', 0, 'attempt', attempt)
    line_up(one, at)
  end
  release(id)
  park(id, redis.call('HGET', job_key(id), 'owner'), true)
end

-- A caller wants the job no more. Where others want the rows, too, only this caller leaves, and the statement goes on
-- for them.
local function end_by_wish(id, at)
  local key = job_key(id)
  local job = redis.call('HMGET', key, 'state', 'owner')
  if not job[1] or not MOVES[job[1]].cancelled then
    return
  end
  redis.call('HSETNX', key, 'cancel_requested_at', stamp(at))
  if leave(id) then
    redis.call('HSET', key, 'left', '1')
    settle(id, 'cancelled', at, 'left')
  elseif hand_over(id, at) then
    unpark(id, job[2])
    redis.call('HSET', key, 'left', '1')
    settle(id, 'cancelled', at, 'left')
    dispatch(my_line(id), at)
  elseif job[1] == 'running' then
    redis.call('PUBLISH', NS .. ':cancel', redis.call('HGET', key, 'rows_of') or id)
  else
    unpark(id, job[2])
    settle_all(id, 'cancelled', at, 'asked')
    if job[1] == 'waiting' then
      -- the attempt that asked had let go of the database before it did
      tell_stop(id, at, 'call')
    end
    dispatch(my_line(id), at)
  end
end

-- What a job has submitted ends with it, and does not wait until the job's own worker has heard.
local function end_children(id, at)
  for _, child in ipairs(redis.call('LRANGE', children_key(id), 0, -1)) do
    end_by_wish(child, at)
  end
end

local function holds(id, worker, attempt)
  local job = redis.call('HMGET', job_key(id), 'lease_owner', 'attempt', 'state')
  return job[1] == worker and job[2] == attempt and job[3] == 'running'
end
