-- Mends what death leaves behind: jobs whose lease ran out, tickets nobody claimed, jobs that waited too long, in line or
-- for an answer.
-- ARGV: attempts, claim_timeout_s
-- Answers the ids it moved. Statements a dead worker left on a server go to the set `stops`, for a live worker.
local at = now()
local moved = {}

local function fail(ends, id, code, message, hint)
  redis.call('HSET', job_key(id), 'error', cjson.encode({ code = code, message = message, hint = hint }))
  ends(id, 'failed', at, code)
  end_children(id, at)
end

for name in pairs(QUEUES) do
  local line = line_of(name)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', line .. ':running', '-inf', stamp(at))) do
    local key = job_key(id)
    local job = redis.call('HMGET', key, 'source', 'query_id', 'cancel_requested_at', 'deadline_at', 'state',
      'process_ended')
    if job[5] ~= 'running' then
      release(id)
    else
      tally('lease_lost', name)
      if job[2] and job[2] ~= '' then
        ask_stop(id, job[1], job[2], at)
      end
      if job[3] then
        settle_all(id, 'cancelled', at, 'asked')
        end_children(id, at)
        if job[6] and (not job[2] or job[2] == '') then
          -- it ran in the worker's own process, if it had begun at all
          tell_stop(id, at, 'process')
        end
      elseif redis.call('HINCRBY', key, 'losses', 1) >= tonumber(ARGV[1]) then
        fail(settle_all, id, 'worker_lost', 'The worker that ran this job died, and so did the ones that tried it again ('
          .. ARGV[1] .. ' attempts).', 'Run a smaller statement, or look at the workers\' log; then submit again.')
      elseif tonumber(job[4]) <= at then
        fail(settle_all, id, 'statement_timeout', 'The job ran out of its time after its worker was lost.',
          'Submit it again, or ask for less.')
      else
        requeue(id, at, 'lease lost')
      end
      moved[#moved + 1] = id
    end
  end
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', NS .. ':impatient', '-inf', stamp(at))) do
  local job = redis.call('HMGET', job_key(id), 'queue_timeout_s', 'owner', 'state')
  if job[3] ~= 'queued' then
    leave_line(id)
  else
    -- others may have come later, and wait on
    local ends = (leave(id) or hand_over(id, at)) and settle or settle_all
    unpark(id, job[2])
    redis.call('ZREM', NS .. ':aside', id)
    if job[4] then
      fail(ends, id, 'no_workers', 'No worker that can run this job took it in ' .. job[1] .. ' s: '
        .. (job[4] == 'record' and 'those that are there run an older version.'
        or 'those that are there have another configuration of its source.'),
        job[4] == 'record' and 'Upgrade the workers (awaitsql workers lists them); then submit again.'
        or 'Let the workers read their configuration again: awaitsql reload; then submit again.')
    elseif takers(my_line(id), at) == 0 then
      local queue = redis.call('HGET', job_key(id), 'queue')
      fail(ends, id, 'no_workers', 'No worker was there to take this job in ' .. job[1] .. ' s.',
        'Start one with: awaitsql worker' .. (queue and ' --queue ' .. queue or '') .. '; then submit again.')
    else
      fail(ends, id, 'statement_expired', 'The job waited longer in the queue than it may (' .. job[1] .. ' s).',
        'Submit it again when there is less before it; list_jobs shows yours.')
    end
    moved[#moved + 1] = id
  end
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', NS .. ':aside', '-inf', stamp(at))) do
  redis.call('ZREM', NS .. ':aside', id)
  local job = redis.call('HMGET', job_key(id), 'state', 'owner')
  if job[1] == 'queued' then
    park(id, job[2], true)
  end
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', NS .. ':waiting', '-inf', stamp(at))) do
  if redis.call('HGET', job_key(id), 'state') ~= 'waiting' then
    redis.call('ZREM', NS .. ':waiting', id)
  else
    fail(settle_all, id, 'input_timeout', 'Nobody answered the job\'s question in time.',
      'Submit it again when somebody is there to answer.')
    moved[#moved + 1] = id
  end
end

for name in pairs(QUEUES) do
  local line = line_of(name)
  -- A ticket may have been lost with the worker that fetched it. One new one an interval, and only while slots are
  -- free: else every job behind a slow one would collect duplicates.
  local spare = slots(line, at) - redis.call('ZCARD', line .. ':running')
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', line .. ':dispatched', '-inf', stamp(at - tonumber(ARGV[2])))) do
    if redis.call('HGET', job_key(id), 'state') ~= 'queued' then
      release(id)
    elseif spare > 0 then
      local job = redis.call('HMGET', job_key(id), 'attempt', 'queue')
      send(id, at, job[1], job[2])
      spare = spare - 1
      moved[#moved + 1] = id
    end
  end

  -- The counters are a cache of the two sets.
  redis.call('DEL', line .. ':busy:owner', line .. ':busy:source')
  for _, set in ipairs({ ':running', ':dispatched' }) do
    for _, id in ipairs(redis.call('ZRANGE', line .. set, 0, -1)) do
      local who = redis.call('HMGET', job_key(id), 'owner', 'source')
      if who[1] then
        occupy(id, who[1], who[2])
      else
        redis.call('ZREM', line .. set, id)
      end
    end
  end
  dispatch(line, at)
end
return moved
