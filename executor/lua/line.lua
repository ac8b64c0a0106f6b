-- The waiting line, and who goes next. Jobs wait in classes of a weight (what a policy calls high, normal, low); in a
-- class owners take turns, and an owner's jobs keep their order.
--
-- Between classes: stride scheduling (C. Waldspurger, MIT 1995). Each class that waits has a turn; the lowest goes, and
-- its turn moves on by 1 / weight. So while all wait a class of weight 16 is given sixteen slots to one of weight 1,
-- and that one is never passed by for ever. A class that comes or was held up begins at the clock, the turn that was
-- taken last, so that nobody saves turns up.

local function line_key(class, owner)
  return NS .. ':parked:' .. class .. ':' .. owner
end

local function ring_key(class)
  return NS .. ':ring:' .. class
end

local function class_of(id)
  return redis.call('HGET', job_key(id), 'priority')
end

local function clock()
  return tonumber(redis.call('GET', NS .. ':clock') or '0')
end

-- Puts a queued job in its owner's line, and the owner in the ring of the class.
local function park(id, owner, front)
  local class = class_of(id)
  redis.call(front and 'LPUSH' or 'RPUSH', line_key(class, owner), id)
  if not redis.call('LPOS', ring_key(class), owner) then
    redis.call('RPUSH', ring_key(class), owner)
  end
  redis.call('ZADD', NS .. ':turns', 'NX', stamp(clock() + 1 / tonumber(class)), class)
end

local function unpark(id, owner)
  redis.call('LREM', line_key(class_of(id), owner), 1, id)
end

local function goes_before(a, b)
  if a.turn ~= b.turn then
    return a.turn < b.turn
  end
  return tonumber(a.name) > tonumber(b.name)
end

-- The classes that wait, the next one first: pairs of name and turn.
local function classes()
  local told = redis.call('ZRANGE', NS .. ':turns', 0, -1, 'WITHSCORES')
  local found = {}
  for i = 1, #told, 2 do
    found[#found + 1] = { name = told[i], turn = tonumber(told[i + 1]) }
  end
  table.sort(found, goes_before)
  return found
end

-- Sends the ticket of a class's next job that the caps let go. Every owner is asked once, in turn.
local function take(class, at)
  for _ = 1, redis.call('LLEN', ring_key(class)) do
    local owner = redis.call('LPOP', ring_key(class))
    local line = line_key(class, owner)
    local sent = false
    for _, id in ipairs(redis.call('LRANGE', line, 0, CONF.scan - 1)) do
      local job = redis.call('HMGET', job_key(id), 'source', 'owner_cap', 'source_cap', 'state')
      if job[4] ~= 'queued' then
        redis.call('LREM', line, 1, id)
      elseif not is_under('owner', owner, job[2]) then
        break
      elseif is_under('source', job[1], job[3]) then
        redis.call('LREM', line, 1, id)
        occupy(id, owner, job[1])
        send(id, at)
        sent = true
        break
      end
    end
    if redis.call('LLEN', line) > 0 then
      redis.call('RPUSH', ring_key(class), owner)
    end
    if sent then
      return true
    end
  end
  return false
end

local function free_slots(at)
  return slots(at) - redis.call('ZCARD', NS .. ':dispatched') - redis.call('ZCARD', NS .. ':running')
end

-- Sends a new job's ticket at once where nobody waits and the caps let it go: what `park` and `dispatch` would come to.
local function goes_straight(id, at, owner, source, owner_cap, source_cap)
  if redis.call('EXISTS', NS .. ':turns') == 1 or free_slots(at) <= 0 or not is_under('owner', owner, owner_cap)
    or not is_under('source', source, source_cap) then
    return false
  end
  occupy(id, owner, source)
  send(id, at)
  return true
end

-- Sends tickets for parked jobs while slots are free.
local function dispatch(at)
  if redis.call('EXISTS', NS .. ':turns') == 0 then
    return
  end
  local free = free_slots(at)
  local sent = true
  while free > 0 and sent do
    sent = false
    for _, class in ipairs(classes()) do
      sent = take(class.name, at)
      if sent then
        local turn = math.max(class.turn, clock())
        redis.call('SET', NS .. ':clock', stamp(turn))
        redis.call('ZADD', NS .. ':turns', stamp(turn + 1 / tonumber(class.name)), class.name)
        free = free - 1
      end
      if redis.call('LLEN', ring_key(class.name)) == 0 then
        redis.call('ZREM', NS .. ':turns', class.name)
      end
      if sent then
        break
      end
    end
  end
  if redis.call('ZCARD', NS .. ':turns') == 0 then
    redis.call('DEL', NS .. ':clock')
  end
end
