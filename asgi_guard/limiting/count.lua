-- Counts a batch of operations, each under all limits of its bucket, all or nothing. Hits that are marked as joined are
-- judged together: one that is refused, and not a shadow, leaves all of them uncounted.
--
-- The arithmetic is that of strict.py, gcra.py, fixed.py and concurrency.py, in microseconds: numbers are doubles here,
-- which are exact up to 2^53, and so is every number below. Must never write for a refused hit, but where the clock was
-- set back, and never write a key without a time to live.
--
-- `enter` moves a state on to the time. Where the clock was set back a little, time stands still for it; where it was set
-- back by more than a tenth of a window, as by a failover to another machine, the state is moved back as it is, and
-- `enter` says so: else a client would wait until the clock has come as far again.
--
-- KEYS: one for each operation; they may repeat.
-- ARGV[1]: the time in microseconds, for tests; empty for the server's own.
-- ARGV[2]: one record for each operation: which (B; with JOINED if the next one is judged together with it, with SHADOW
-- if it refuses nothing but itself), number of the plan (B), cost (I4), time of the hit (I8).
-- ARGV[3]...: plans: algorithm (B), milliseconds to live (I8), then for each limit four numbers (I8, see below).
-- Returns the time (I8), then for each limit of each hit, peek and charge: what remains (I4), microseconds until more
-- comes back (I8), microseconds to wait (I8; NEVER if no waiting helps), what it says (B): FITS, REFUSED, or UNCOUNTED
-- where it would have admitted a hit that another one has refused.

local floor, ceil, max, min = math.floor, math.ceil, math.max, math.min
local match, concat, pack, unpack_from = string.match, table.concat, struct.pack, struct.unpack
local EXACT = 9007199254740992
local NEVER = EXACT
local HIT, PEEK, CHARGE, REFUND, RESET = 1, 2, 3, 4, 5
local SHADOW, JOINED = 16, 32
local LEASE = 4 -- of the algorithms
local FITS, REFUSED, UNCOUNTED = 0, 1, 2

-- floor(x * y / m) and the rest, exactly, for x < m < 2^45 and y < 2^49: long division, seven bits at a time.
local function muldiv(x, y, m)
  local product = x * y
  if product < EXACT then
    local whole = floor(product / m)
    return whole, product - whole * m
  end
  local quotient, rest, digit = 0, 0, 4398046511104
  repeat
    local times = floor(y / digit)
    y = y - times * digit
    product = rest * 128 + x * times
    local whole = floor(product / m)
    quotient, rest = quotient * 128 + whole, product - whole * m
    digit = digit / 128
  until digit < 1
  return quotient, rest
end

-- strict, concurrency: a = amount, b = slot in microseconds. State: the newest slot, then 11 counts, the newest first.
local Strict = {size = 50}

function Strict.load(value, at)
  if not value then return {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0} end
  return {unpack_from('>I6I4I4I4I4I4I4I4I4I4I4I4', value, at)}
end

function Strict.dump(state)
  return pack('>I6I4I4I4I4I4I4I4I4I4I4I4', unpack(state, 1, 12))
end

function Strict.enter(state, limit, now)
  local slot = floor(now / limit.b)
  local gap = slot - state[1]
  if gap <= 0 then
    local is_back = gap < -1
    if is_back then state[1] = slot end
    return is_back
  end
  for age = 12, 2, -1 do
    state[age] = age - gap >= 2 and state[age - gap] or 0
  end
  state[1] = slot
end

function Strict.look(state, limit, now, cost)
  local sum, oldest = 0, nil
  for age = 2, 12 do
    local count = state[age]
    if count > 0 then sum, oldest = sum + count, age end
  end
  local remaining = limit.a - sum
  local newest = state[1] + 13
  local reset = oldest and (newest - oldest) * limit.b - now or 0
  if cost <= remaining then return remaining, reset, 0 end
  if cost > limit.a then return remaining, reset, NEVER end
  local missing = cost - remaining - state[oldest]
  while missing > 0 do
    oldest = oldest - 1
    missing = missing - state[oldest]
  end
  return remaining, reset, (newest - oldest) * limit.b - now
end

function Strict.add(state, limit, now, cost, fits)
  state[2] = state[2] + cost
  if fits then return end
  local room = limit.a
  for age = 2, 12 do -- the newest are kept: they are those that a client has to wait for
    local kept = min(state[age], room)
    room = room - kept
    state[age] = kept
  end
end

function Strict.back(state, limit, at, cost)
  local age = state[1] - floor(at / limit.b)
  if age < 0 or age > 10 then return end
  state[age + 2] = max(state[age + 2] - cost, 0)
end

-- fixed: a = amount, b = window in microseconds. State: the end of the window, the count.
local Fixed = {size = 12}

function Fixed.load(value, at)
  if not value then return {0, 0} end
  return {unpack_from('>I8I4', value, at)}
end

function Fixed.dump(state)
  return pack('>I8I4', state[1], state[2])
end

function Fixed.enter(state, limit, now)
  if now >= state[1] then state[1], state[2] = 0, 0 end
  local is_back = state[1] > now + limit.b
  if is_back then state[1] = now + limit.b end
  return is_back
end

function Fixed.look(state, limit, now, cost)
  local remaining = limit.a - state[2]
  local reset = state[2] > 0 and state[1] - now or 0
  if cost <= remaining then return remaining, reset, 0 end
  return remaining, reset, cost <= limit.a and reset or NEVER
end

function Fixed.add(state, limit, now, cost)
  if state[1] == 0 then state[1] = now + limit.b end
  state[2] = min(state[2] + cost, limit.a)
end

function Fixed.back(state, limit, at, cost)
  local age = at - state[1] + limit.b
  if age < 0 or age >= limit.b then return end
  if cost < state[2] then
    state[2] = state[2] - cost
  else
    state[1], state[2] = 0, 0
  end
end

-- gcra: a = burst, b = ticks that a hit pours in, c = ticks that leak in a microsecond, d = microseconds in which all of
-- it leaks. State: the latest time, then the level: whole hits, and ticks of a part of one. In ticks alone it would not
-- be exact.
local Gcra = {size = 20}

local function leaked(limit, since)
  local whole = floor(since / limit.b)
  local hits, ticks = muldiv(since - whole * limit.b, limit.c, limit.b)
  return whole * limit.c + hits, ticks
end

function Gcra.load(value, at)
  if not value then return {0, 0, 0} end
  return {unpack_from('>I8I4I8', value, at)}
end

function Gcra.dump(state)
  return pack('>I8I4I8', state[1], state[2], state[3])
end

function Gcra.enter(state, limit, now)
  local since = now - state[1]
  if since <= 0 then
    local is_back = since * 10 < -limit.d
    if is_back then state[1] = now end
    return is_back
  end
  state[1] = now
  if since >= limit.d then
    state[2], state[3] = 0, 0
    return
  end
  local hits, ticks = leaked(limit, since)
  hits, ticks = state[2] - hits, state[3] - ticks
  if ticks < 0 then hits, ticks = hits - 1, ticks + limit.b end
  if hits < 0 then hits, ticks = 0, 0 end
  state[2], state[3] = hits, ticks
end

function Gcra.look(state, limit, now, cost)
  local late, hits, ticks = state[1] - now, state[2], state[3]
  local remaining = limit.a - hits - (ticks > 0 and 1 or 0)
  local reset = 0
  if hits > 0 or ticks > 0 then reset = late + ceil((ticks > 0 and ticks or limit.b) / limit.c) end
  if cost <= remaining then return remaining, reset, 0 end
  if cost > limit.a then return remaining, reset, NEVER end
  local over = hits + cost - limit.a
  local times = floor(over / limit.c)
  local whole, rest = muldiv(over - times * limit.c, limit.b, limit.c)
  return remaining, reset, late + times * limit.b + whole + ceil((rest + ticks) / limit.c)
end

function Gcra.add(state, limit, now, cost)
  state[2] = state[2] + cost
  if state[2] >= limit.a then state[2], state[3] = limit.a, 0 end
end

function Gcra.back(state, limit, at, cost)
  local since = state[1] - at
  if since < 0 or since >= limit.d then return end
  local hits, ticks = leaked(limit, since)
  hits, ticks = cost - hits, -ticks
  if ticks < 0 then hits, ticks = hits - 1, ticks + limit.b end
  if hits < 0 then return end
  hits, ticks = state[2] - hits, state[3] - ticks
  if ticks < 0 then hits, ticks = hits - 1, ticks + limit.b end
  if hits < 0 then hits, ticks = 0, 0 end
  state[2], state[3] = hits, ticks
end

local ALGORITHMS = {Strict, Gcra, Fixed, Strict}

local plans = {}
for index = 3, #ARGV do
  local text = ARGV[index]
  local plan = {algorithm = ALGORITHMS[text:byte(1)], is_lease = text:byte(1) == LEASE}
  plan.life = string.format('%.0f', (unpack_from('>I8', text, 2)))
  for at = 10, #text, 32 do
    local a, b, c, d = unpack_from('>I8I8I8I8', text, at)
    plan[#plan + 1] = {a = a, b = b, c = c, d = d}
  end
  plans[#plans + 1] = plan
end

local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end

-- Each key is read once and written once, however often it stands in the batch.
local values, lives, order = {}, {}, {}
for index, value in ipairs(redis.call('MGET', unpack(KEYS))) do
  values[KEYS[index]] = value
end

local function keep(key, value, plan)
  values[key] = value
  if not lives[key] then order[#order + 1] = key end
  lives[key] = plan.life
end

-- The hits that are judged together, up to this one; what their keys come to if nobody refuses; whether somebody does.
local group, tentative, is_refused = {}, {}, false

local function value_of(key, plan)
  local value = tentative[key] or values[key]
  return value and #value == plan.algorithm.size * #plan and value
end

-- Keep states that were moved back, whatever becomes of the hit: else the next one would find them where they were.
local function keep_back(key, plan, states)
  local parts = {}
  for index = 1, #plan do parts[index] = plan.algorithm.dump(states[index]) end
  keep(key, concat(parts), plan)
end

-- What every limit says of a hit: their states, and what they answer.
local function judge(hit)
  local plan, fits, is_back = hit.plan, true, false
  local algorithm, value = plan.algorithm, value_of(hit.key, plan)
  local states, looks = {}, {}
  for index, limit in ipairs(plan) do
    local state = algorithm.load(value, (index - 1) * algorithm.size + 1)
    is_back = algorithm.enter(state, limit, now) or is_back
    local look = {algorithm.look(state, limit, now, hit.cost)}
    look[4] = look[3] > 0 and REFUSED or FITS
    fits = fits and look[4] == FITS
    states[index], looks[index] = state, look
  end
  if is_back then keep_back(hit.key, plan, states) end
  hit.states, hit.looks, hit.fits = states, looks, fits
end

-- Add a hit to the states of all limits; return what its key comes to.
local function add(hit)
  local plan = hit.plan
  local algorithm, parts = plan.algorithm, {}
  for index, limit in ipairs(plan) do
    local state, look = hit.states[index], hit.looks[index]
    algorithm.add(state, limit, now, hit.cost, hit.fits)
    look[1], look[2], look[3] = algorithm.look(state, limit, now, hit.fits and 0 or hit.cost)
    parts[index] = algorithm.dump(state)
  end
  return concat(parts)
end

-- Say that what was refused to a key may be admitted now: on the channel of its namespace, to those who remember it. A
-- user without the right to publish goes without, and others remember a denial for a second.
local function tell(key)
  redis.pcall('PUBLISH', match(key, '^[^{]*') .. 'ended', key)
end

local function take_back(key, plan, at, cost)
  local algorithm, value, parts = plan.algorithm, value_of(key, plan), {}
  if not value then return end
  local was_full = false
  for index, limit in ipairs(plan) do
    local state = algorithm.load(value, (index - 1) * algorithm.size + 1)
    algorithm.back(state, limit, at, cost)
    parts[index] = algorithm.dump(state)
    if not plan.is_lease then -- nobody remembers a denial of those
      local before = algorithm.load(value, (index - 1) * algorithm.size + 1)
      algorithm.enter(before, limit, now)
      was_full = was_full or algorithm.look(before, limit, now, 0) < 1
    end
  end
  keep(key, concat(parts), plan)
  if was_full then tell(key) end
end

local answers = {pack('>I8', now)}

-- Count the group, or say how things stand without it.
local function settle()
  local counted = tentative
  tentative = {}
  for _, hit in ipairs(group) do
    if not is_refused and counted[hit.key] then
      keep(hit.key, counted[hit.key], hit.plan)
    elseif is_refused and hit.fits then
      judge(hit)
      for _, look in ipairs(hit.looks) do look[4] = UNCOUNTED end
    end
    for _, look in ipairs(hit.looks) do
      answers[#answers + 1] = pack('>I4I8I8B', look[1], look[2], look[3], look[4])
    end
  end
  group, is_refused = {}, false
end

-- A hit, peek or charge that stands alone, as most do: the same as a group of one, without its tables.
local states, remains, resets, waits, marks, parts = {}, {}, {}, {}, {}, {}

local function alone(operation, key, plan, cost)
  local algorithm, value, fits, is_back = plan.algorithm, values[key], true, false
  local size, enter, look = algorithm.size, algorithm.enter, algorithm.look
  if value and #value ~= size * #plan then value = false end
  for index, limit in ipairs(plan) do
    local state = algorithm.load(value, (index - 1) * size + 1)
    is_back = enter(state, limit, now) or is_back
    states[index] = state
    remains[index], resets[index], waits[index] = look(state, limit, now, cost)
    marks[index] = FITS
    if waits[index] > 0 then marks[index], fits = REFUSED, false end
  end
  if is_back then keep_back(key, plan, states) end
  if operation == CHARGE or (operation == HIT and fits) then
    for index, limit in ipairs(plan) do
      local state = states[index]
      algorithm.add(state, limit, now, cost, fits)
      if fits and resets[index] > 0 then -- what comes back first is what came back first before
        remains[index] = remains[index] - cost
      else
        remains[index], resets[index], waits[index] = look(state, limit, now, fits and 0 or cost)
      end
      parts[index] = algorithm.dump(state)
    end
    keep(key, #plan == 1 and parts[1] or concat(parts, '', 1, #plan), plan)
  end
  for index = 1, #plan do
    answers[#answers + 1] = pack('>I4I8I8B', remains[index], resets[index], waits[index], marks[index])
  end
end

local record = 1
for _, key in ipairs(KEYS) do
  local operation, number, cost, at = unpack_from('>BBI4I8', ARGV[2], record)
  record = record + 14
  local is_joined = operation >= JOINED
  operation = operation % JOINED
  local is_shadow = operation >= SHADOW
  operation = operation % SHADOW
  local plan = plans[number + 1]
  if operation == RESET then
    keep(key, false, plan)
    tell(key)
  elseif operation == REFUND then
    take_back(key, plan, at, cost)
  elseif not is_joined and #group == 0 then
    alone(operation, key, plan, cost)
  else
    local hit = {key = key, plan = plan, cost = cost, states = false, looks = false, fits = false}
    judge(hit)
    if operation == CHARGE or (operation == HIT and hit.fits) then
      tentative[key] = add(hit)
    elseif operation == HIT and not is_shadow then
      is_refused = true
    end
    group[#group + 1] = hit
    if not is_joined then settle() end
  end
end

for _, key in ipairs(order) do
  if values[key] then
    redis.call('SET', key, values[key], 'PX', lives[key])
  else
    redis.call('DEL', key)
  end
end
return concat(answers)
