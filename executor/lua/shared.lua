-- One run of a statement for several jobs. The job that was there first leads: it has the place in line, the lease and
-- the slot. Jobs that joined it are in the list joined:<leader>, and each ends by itself. Rows lie in the folder of the
-- job under whose id the worker runs (field rows_of, where that is not the job's own); refs:<that id> says until when
-- which other jobs need them. share:<key> names the job that others may join, or whose rows they may have.

local function joined_key(id)
  return NS .. ':joined:' .. id
end

-- The job and those that joined it.
local function everyone(id)
  local found = redis.call('LRANGE', joined_key(id), 0, -1)
  table.insert(found, 1, id)
  return found
end

-- The job that goes on with what a worker runs under this id: its own, unless its caller left it to another. With it
-- `left_to`, which it has not, and the other fields that are asked for.
local function runs(id, ...)
  local told = redis.call('HMGET', job_key(id), 'left_to', ...)
  while told[1] do
    id = told[1]
    told = redis.call('HMGET', job_key(id), 'left_to', ...)
  end
  return id, told
end

local function copy(from, to, names)
  local told = redis.call('HMGET', job_key(from), unpack(names))
  for i, name in ipairs(names) do
    if told[i] then
      redis.call('HSET', job_key(to), name, told[i])
    end
  end
end

local OUTCOME = { 'attempt', 'rows', 'bytes', 'summary', 'preview', 'error', 'estimate', 'plan', 'expensive',
  'confirmation', 'confirm_by', 'slow_store', 'stop_seen', 'stopped_after_ms' }

-- From now on the job's rows are those of another; the signed statement they were read by goes with them as the proof.
local function refer(id, other)
  copy(other, id, { 'attempt' })
  local told = redis.call('HMGET', job_key(other), 'rows_of', 'rows_payload', 'rows_signature', 'payload', 'signature')
  redis.call('HSET', job_key(id), 'rows_of', told[1] or other, 'rows_payload', told[2] or told[4],
    'rows_signature', told[3] or told[5])
end

-- The rows of a job are those of one that it has submitted: with them its text, and what was signed of it as the proof.
local function answer_by(id, child)
  refer(id, child)
  copy(child, id, OUTCOME)
  copy(child, id, { 'shown_sql' })
  local told = redis.call('HMGET', job_key(child), 'payload', 'signature')
  redis.call('HSET', job_key(id), 'answer_payload', told[1], 'answer_signature', told[2])
end

-- Rows of another job are needed as long as this one's row is kept.
local function hold_rows(id, at, of)
  if of then
    redis.call('ZADD', NS .. ':refs:' .. of, stamp(at + CONF.ttl), id)
    redis.call('PEXPIRE', NS .. ':refs:' .. of, math.floor(CONF.ttl * 1000))
  end
end

-- The leader's caller leaves: the first that joined takes its place in line, or its lease. That job, or nothing.
local function hand_over(id, at)
  local heir = redis.call('LPOP', joined_key(id))
  if not heir then
    return nil
  end
  for _, other in ipairs(redis.call('LRANGE', joined_key(id), 0, -1)) do
    redis.call('HSET', job_key(other), 'leader', heir)
    redis.call('RPUSH', joined_key(heir), other)
  end
  redis.call('DEL', joined_key(id))
  redis.call('HDEL', job_key(heir), 'leader')
  copy(id, heir, { 'attempt', 'losses', 'share' })
  local old = redis.call('HMGET', job_key(id), 'state', 'share')
  if redis.call('GET', NS .. ':share:' .. old[2]) == id then
    redis.call('SET', NS .. ':share:' .. old[2], heir)
  end
  local who = redis.call('HMGET', job_key(heir), 'owner', 'source')
  if old[1] == 'running' then
    copy(id, heir, { 'lease_owner', 'claim_nonce', 'claimed_at', 'query_id' })
    redis.call('HSET', job_key(id), 'left_to', heir)
    local set = my_line(id) .. ':running'
    redis.call('ZADD', set, redis.call('ZSCORE', set, id) or stamp(at), heir)
    occupy(heir, who[1], who[2])
  else
    park(heir, who[1], true)
  end
  return heir
end

-- A job that joined another is no longer of it.
local function leave(id)
  local leader = redis.call('HGET', job_key(id), 'leader')
  if leader then
    redis.call('LREM', joined_key(leader), 1, id)
    redis.call('HDEL', job_key(id), 'leader')
  end
  return leader
end

-- What a new job can have of the one that its key names: 'stored' rows, a run to be 'joined', or nothing.
local function offer(share, at, priority)
  local lead = redis.call('GET', NS .. ':share:' .. share)
  if not lead then
    return nil
  end
  local told = redis.call('HMGET', job_key(lead), 'state', 'cancel_requested_at', 'priority', 'finished_at', 'evicted')
  if told[1] == 'succeeded' and not told[5] and at - tonumber(told[4]) < CONF.cache then
    return lead, 'stored'
  end
  -- a job of a higher class does not wait behind one of a lower
  local is_early = told[1] == 'queued' and tonumber(told[3]) >= tonumber(priority)
  if (is_early or told[1] == 'running') and not told[2] then
    return lead, 'joined'
  end
end
