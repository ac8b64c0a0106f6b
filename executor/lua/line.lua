-- The waiting line, and who goes next. Jobs wait in classes of a weight (what a policy calls high, normal, low); in a
-- class owners take turns, and an owner's jobs keep their order.
--
-- Between classes: stride scheduling (C. Waldspurger, MIT 1995). Each class that waits has a turn; the lowest goes, and
-- its turn moves on by 1 / weight. So while all wait a class of weight 16 is given sixteen slots to one of weight 1,
-- and that one is never passed by for ever. A class that comes or was held up begins at the clock, the turn that was
-- taken last, so that nobody saves turns up.

local function parked_key(line, class, owner)
  return line .. ':parked:' .. class .. ':' .. owner
end

local function ring_key(line, class)
  return line .. ':ring:' .. class
end

local function class_of(id)
  return redis.call('HGET', job_key(id), 'priority')
end

local function clock(line)
  return tonumber(redis.call('GET', line .. ':clock') or '0')
end

-- Puts a queued job in its owner's line, and the owner in the ring of the class.
local function park(id, owner, front)
  local class, line = class_of(id), my_line(id)
  redis.call(front and 'LPUSH' or 'RPUSH', parked_key(line, class, owner), id)
  if not redis.call('LPOS', ring_key(line, class), owner) then
    redis.call('RPUSH', ring_key(line, class), owner)
  end
  redis.call('ZADD', line .. ':turns', 'NX', stamp(clock(line) + 1 / tonumber(class)), class)
end

local function unpark(id, owner)
  redis.call('LREM', parked_key(my_line(id), class_of(id), owner), 1, id)
end

local function goes_before(a, b)
  if a.turn ~= b.turn then
    return a.turn < b.turn
  end
  return tonumber(a.name) > tonumber(b.name)
end

-- The classes that wait, the next one first: pairs of name and turn.
local function classes(line)
  local told = redis.call('ZRANGE', line .. ':turns', 0, -1, 'WITHSCORES')
  local found = {}
  for i = 1, #told, 2 do
    found[#found + 1] = { name = told[i], turn = tonumber(told[i + 1]) }
  end
  table.sort(found, goes_before)
  return found
end

-- Sends the ticket of a class's next job that the caps let go. Every owner is asked once, in turn.
local function take(line, class, at)
  for _ = 1, redis.call('LLEN', ring_key(line, class)) do
    local owner = redis.call('LPOP', ring_key(line, class))
    local parked = parked_key(line, class, owner)
    local sent = false
    for _, id in ipairs(redis.call('LRANGE', parked, 0, CONF.scan - 1)) do
      local job = redis.call('HMGET', job_key(id), 'source', 'owner_cap', 'source_cap', 'state', 'attempt', 'queue')
      if job[4] ~= 'queued' then
        redis.call('LREM', parked, 1, id)
      elseif not is_under(line, 'owner', owner, job[2]) then
        break
      elseif is_under(line, 'source', job[1], job[3]) then
        redis.call('LREM', parked, 1, id)
        occupy(id, owner, job[1])
        send(id, at, job[5], job[6])
        sent = true
        break
      end
    end
    if redis.call('LLEN', parked) > 0 then
      redis.call('RPUSH', ring_key(line, class), owner)
    end
    if sent then
      return true
    end
  end
  return false
end

-- How many, and how many tickets are on their way.
local function free_slots(line, at)
  local sent = redis.call('ZCARD', line .. ':dispatched')
  return slots(line, at) - sent - redis.call('ZCARD', line .. ':running'), sent
end

-- Sends a new job's ticket at once where nobody waits and the caps let it go: what `park` and `dispatch` would come to.
-- Its place among the tickets, or nothing.
local function goes_straight(id, at, owner, source, owner_cap, source_cap, queue)
  local line = my_line(id)
  if redis.call('EXISTS', line .. ':turns') == 1 then
    return nil
  end
  local free, sent = free_slots(line, at)
  if free <= 0 or not is_under(line, 'owner', owner, owner_cap) or not is_under(line, 'source', source, source_cap) then
    return nil
  end
  occupy(id, owner, source)
  send(id, at, '1', queue)
  return sent + 1
end

-- Sends tickets for a line's parked jobs while its slots are free.
local function dispatch(line, at)
  if redis.call('EXISTS', line .. ':turns') == 0 then
    return
  end
  local free = free_slots(line, at)
  local sent = true
  while free > 0 and sent do
    sent = false
    for _, class in ipairs(classes(line)) do
      sent = take(line, class.name, at)
      if sent then
        local turn = math.max(class.turn, clock(line))
        redis.call('SET', line .. ':clock', stamp(turn))
        redis.call('ZADD', line .. ':turns', stamp(turn + 1 / tonumber(class.name)), class.name)
        free = free - 1
      end
      if redis.call('LLEN', ring_key(line, class.name)) == 0 then
        redis.call('ZREM', line .. ':turns', class.name)
      end
      if sent then
        break
      end
    end
  end
  if redis.call('ZCARD', line .. ':turns') == 0 then
    redis.call('DEL', line .. ':clock')
  end
end

-- Why a worker that reads records up to a version, with these sources, has to leave a job to another; nil if it has not.
-- A job whose source the servers know otherwise by now is nobody's to wait for: whoever takes it fails it.
local function misfit(record, source, print, reads, sources)
  if tonumber(record or '1') > tonumber(reads) then
    return 'record'
  end
  if print and cjson.decode(sources)[source] ~= print and redis.call('HGET', NS .. ':sources', source) == print then
    return 'source'
  end
end

-- A queued job waits a moment, each time longer, for a worker that can run it.
local function set_aside(id, at, why)
  local key = job_key(id)
  local times = redis.call('HINCRBY', key, 'set_aside', 1)
  redis.call('HSET', key, 'waits_for', why)
  release(id)
  redis.call('ZADD', NS .. ':aside', stamp(at + (why == 'worker' and 0.1 or math.min(0.25 * 2 ^ times, 10))), id)
  redis.call('PUBLISH', NS .. ':changed', id)
end
