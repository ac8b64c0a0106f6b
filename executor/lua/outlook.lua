-- Where queued jobs stand and about when they start: plays on what `dispatch` would do, with the caps, the turns and the
-- slots of now, each job taking as long as its source's jobs took lately.

local FAR = 200 -- jobs that are looked at
local FEW = 50 -- of so few the outlook is made anew for everyone who asks; else it is half a second old at most

-- A source's run time: a mean in which each job counts for a fifth more than the one before.
local function keep_pace(line, source, took)
  local key = line .. ':pace'
  local before = tonumber(redis.call('HGET', key, source) or took)
  redis.call('HSET', key, source, stamp(before + (took - before) / 5))
end

local function counts(line, name)
  local told = redis.call('HGETALL', line .. ':busy:' .. name)
  local found = {}
  for i = 1, #told, 2 do
    found[told[i]] = tonumber(told[i + 1])
  end
  return found
end

-- The line as it stands: classes with their turns, rings and jobs; of each owner the first few jobs.
local function waiting(line)
  local found = classes(line)
  local owners = 0
  for _, class in ipairs(found) do
    class.ring = redis.call('LRANGE', ring_key(line, class.name), 0, FAR - 1)
    owners = owners + #class.ring
  end
  local each = math.max(1, math.floor(FAR / math.max(owners, 1)))
  for _, class in ipairs(found) do
    class.jobs = {}
    for _, owner in ipairs(class.ring) do
      local parked = parked_key(line, class.name, owner)
      local first = { is_cut = redis.call('LLEN', parked) > each }
      for _, id in ipairs(redis.call('LRANGE', parked, 0, each - 1)) do
        local job = redis.call('HMGET', job_key(id), 'source', 'owner_cap', 'source_cap', 'state')
        if job[4] == 'queued' then
          first[#first + 1] = { id = id, source = job[1], owner_cap = tonumber(job[2]), source_cap = tonumber(job[3]) }
        end
      end
      class.jobs[owner] = first
    end
  end
  return found
end

-- The next job that caps let go, taken out of the line; or nothing, and whether that is because we do not see far enough.
local function next_of(queue, time, busy)
  table.sort(queue, goes_before)
  for _, class in ipairs(queue) do
    for _ = 1, #class.ring do
      local owner = table.remove(class.ring, 1)
      local jobs = class.jobs[owner]
      local found
      for place, job in ipairs(jobs) do
        if (busy.owner[owner] or 0) >= job.owner_cap then
          break
        elseif (busy.source[job.source] or 0) < job.source_cap then
          found = table.remove(jobs, place)
          break
        end
      end
      if #jobs == 0 and jobs.is_cut then
        return found, true, owner
      end
      if #jobs > 0 then
        table.insert(class.ring, owner)
      end
      if found then
        time.clock = math.max(class.turn, time.clock)
        class.turn = tonumber(stamp(time.clock + 1 / tonumber(class.name)))
        return found, false, owner
      end
    end
  end
end

-- By job: its place from 1 on, and the seconds until it starts, or -1 where they cannot be told.
local function play(line, at)
  local pace = {}
  local told = redis.call('HGETALL', line .. ':pace')
  for i = 1, #told, 2 do
    pace[told[i]] = tonumber(told[i + 1])
  end
  local busy = { owner = counts(line, 'owner'), source = counts(line, 'source') }
  local found, running, place = {}, {}, 0
  for _, set in ipairs({ ':running', ':dispatched' }) do
    for _, id in ipairs(redis.call('ZRANGE', line .. set, 0, -1)) do
      local job = redis.call('HMGET', job_key(id), 'owner', 'source', 'claimed_at')
      if set == ':dispatched' then
        place = place + 1
        found[id] = { place, 0 }
      end
      local took = set == ':running' and at - tonumber(job[3] or at) or 0
      -- one that is late already is taken to be half way
      local left = pace[job[2]] and math.abs(pace[job[2]] - took)
      running[#running + 1] = { ends = left or math.huge, owner = job[1], source = job[2] }
    end
  end
  local total = slots(line, at)
  local free = math.max(total, 1) - #running
  local time = { now = 0, clock = clock(line) }
  local is_known = total > 0
  local queue = waiting(line)
  while place < FAR do
    local job, is_far, owner
    if free > 0 then
      job, is_far, owner = next_of(queue, time, busy)
    end
    if job then
      place = place + 1
      found[job.id] = { place, is_known and time.now or -1 }
      busy.owner[owner] = (busy.owner[owner] or 0) + 1
      busy.source[job.source] = (busy.source[job.source] or 0) + 1
      local takes = pace[job.source]
      running[#running + 1] = { ends = takes and time.now + takes or math.huge, owner = owner, source = job.source }
      free = free - 1
    end
    if is_far then
      break
    end
    if not job then
      local first
      for i, one in ipairs(running) do
        if not first or one.ends < running[first].ends then
          first = i
        end
      end
      if not first then
        break
      end
      local ended = table.remove(running, first)
      is_known = is_known and ended.ends < math.huge
      time.now = is_known and ended.ends or time.now
      busy.owner[ended.owner] = (busy.owner[ended.owner] or 1) - 1
      busy.source[ended.source] = (busy.source[ended.source] or 1) - 1
      free = free + 1
    end
  end
  return found
end

-- A queued job's place and seconds; { -1, -1 } where it is not in line, or too far back.
local function outlook(id)
  local at, line = now(), my_line(id)
  local rank = redis.call('ZRANK', line .. ':dispatched', id)
  if rank then
    return { rank + 1, 0 }
  end
  local key = line .. ':outlook'
  if redis.call('ZCARD', line .. ':queued') <= FEW then
    return play(line, at)[id] or { -1, -1 }
  end
  if redis.call('EXISTS', key) == 0 then
    local kept = { 'made', stamp(at) }
    for job, told in pairs(play(line, at)) do
      kept[#kept + 1] = job
      kept[#kept + 1] = told[1] .. ' ' .. stamp(told[2])
    end
    redis.call('HSET', key, unpack(kept))
    redis.call('PEXPIRE', key, 500)
  end
  local place, seconds = (redis.call('HGET', key, id) or '-1 -1'):match('(%S+) (%S+)')
  return { tonumber(place), tonumber(seconds) }
end

-- Where a job stands that is not over: its place in the queue, when it may start, how many workers could take it, how
-- full the broker's memory is if it nearly is, and the time. Of one whose ticket was sent now the place is known.
local function outlook_of(id, state, leader, sent)
  local told, at = { -1, -1 }, now()
  if sent then
    told = { sent, 0 }
  elseif state == 'queued' then
    told = outlook(leader or id)
  end
  local alive = next(MOVES[state]) and takers(my_line(id), at)
  return told[1], stamp(told[2]), alive or false, redis.call('GET', NS .. ':memory') or '', stamp(at)
end

-- A job's row as it is, and the same of it.
local function snapshot(id)
  local row = redis.call('HGETALL', job_key(id))
  if #row == 0 then
    return {}
  end
  local job = redis.call('HMGET', job_key(id), 'state', 'leader')
  return { row, outlook_of(id, job[1], job[2]) }
end
