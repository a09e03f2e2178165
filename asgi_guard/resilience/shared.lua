-- What the replicas of one circuit know together: its state, how their windows stand, and who probes.
--
-- What a replica says counts in the version that it has heard of and in no other, as with generations in circuit.py.
-- Times are the server's, in microseconds. Must never write a key without a time to live.
--
-- KEYS[1]: of the circuit; what changes is published on a channel of the same name.
-- ARGV[1]: the time, for tests; empty for the server's own.
-- ARGV[2]: who speaks, ARGV[3]: what it says, ARGV[4]: the version that it knows, ARGV[5] and ARGV[6]: as below.
--   look                      how do things stand?
--   fail    window            a call failed or was slow; its window has so many calls, failures and slow calls: '9 5 0'
--   trip                      the same, and that has opened its own circuit
--   mend                      its window is free of failures again
--   count   window            it was asked how its window stands
--   judge   window            the same; and all have had the time to say so
--   claim   number  name      may so many be probes? Their leases are called name:1, name:2 and so on
--   done    lease   outcome   a probe is over: success, failure or neutral
--   set     state             somebody commands it
-- ARGV[7]...: the settings: failures that open, the share of failures, the share of slow calls, how long a window is
-- remembered, the recovery timeout, its growth, its bound, the life of a lease, probes at a time, successes that close.
-- Returns, and publishes: the version (I8), the state (B), for how long there is no use in asking again (I8), for how
-- long it opened (I8), how many probes were admitted (I4), and what is wanted (B): of those who hear it to say `count`, or
-- of the one who has asked to say `judge` in a while.

local CLOSED, OPEN, HALF_OPEN = 0, 1, 2
local HOUR_US = 3600000000
local MONTH_US = 720 * HOUR_US
local WHILE_OTHERS_PROBE = 1000000
local WITH_WINDOW = {fail = true, trip = true, count = true, judge = true}
local BETWEEN_COUNTS = 1000000
local NOTHING, COUNT, JUDGE = 0, 1, 2 -- what is wanted
local PARTS = {
  version = 'number', state = 'number', due = 'number', open = 'number', wins = 'number', counted = 'number',
  calm = 'number', leases = 'table', windows = 'table',
}

local who, said, known, first, second = ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6]
local threshold, failure_rate, slow_rate = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local memory, recovery, growth, longest = tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13])
local lease_life, most, wanted = tonumber(ARGV[14]), tonumber(ARGV[15]), tonumber(ARGV[16])

local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end

-- due: when it may be probed; open: for how long it opened; wins: probes that succeeded; leases: when each ends;
-- windows: of each replica that has failures, when it was told, its calls, failures and slow calls; counted: when all were
-- asked for them, calm: the calls that the others had then.
local packed = redis.pcall('GET', KEYS[1])
local is_there, circuit = pcall(cmsgpack.unpack, packed)
is_there = is_there and type(circuit) == 'table'
for name, kind in pairs(PARTS) do -- what somebody else has put there is nobody's circuit
  is_there = is_there and type(circuit[name]) == kind
end
if not is_there then
  local state = said == 'claim' and OPEN or CLOSED -- who claims has seen it open
  local version = math.min(known, now) -- no circuit has ever had a later one, whatever was published
  circuit = {
    version = version, state = state, due = 0, open = recovery, wins = 0, counted = 0, calm = 0, leases = {}, windows = {},
  }
end

local function go(state)
  circuit.version = math.max(circuit.version + 1, now)
  circuit.state, circuit.wins, circuit.leases, circuit.windows = state, 0, {}, {}
  circuit.counted, circuit.calm = 0, 0
end

local function trip()
  local grown = math.min(math.floor(circuit.open * growth + 0.5), longest)
  circuit.open = circuit.state == HALF_OPEN and grown or recovery
  circuit.due = now + circuit.open
  go(OPEN)
end

-- Tell whether the windows of all replicas together have too many failures, and so many calls that were free of them.
local function trips(calm)
  local kept, calls, failures, slow = {}, calm, 0, 0
  for name, window in pairs(circuit.windows) do
    if window[1] > now - memory then
      kept[name] = window
      calls, failures, slow = calls + window[2], failures + window[3], slow + window[4]
    end
  end
  circuit.windows = kept
  return (failures >= threshold and failures >= failure_rate * calls)
    or (slow >= threshold and slow >= slow_rate * calls)
end

-- Forget leases that have ended; return how many are held, and when the next one ends.
local function held()
  local kept, number, soonest = {}, 0, nil
  for name, ends in pairs(circuit.leases) do
    if ends > now then
      kept[name], number, soonest = ends, number + 1, math.min(soonest or ends, ends)
    end
  end
  circuit.leases = kept
  return number, soonest
end

local has_changed, is_told, admitted, wanted_of_others, wanted_here = false, false, 0, NOTHING, NOTHING

-- Where the clock of the server was set back, nobody waits for longer than ever.
if circuit.due > now + circuit.open then
  circuit.due, has_changed = now + circuit.open, true
end
for name, ends in pairs(circuit.leases) do
  if ends > now + lease_life then
    circuit.leases[name], has_changed = now + lease_life, true
  end
end

local is_current = known == circuit.version

if WITH_WINDOW[said] and circuit.state == CLOSED and is_current then
  local calls, failures, slow = first:match('(%d+) (%d+) (%d+)')
  local window = {now, tonumber(calls), tonumber(failures), tonumber(slow)}
  if window[3] + window[4] > 0 then
    circuit.windows[who] = window
  else
    circuit.windows[who], circuit.calm = nil, circuit.calm + window[2]
  end
  if said == 'trip' or (said == 'judge' and trips(circuit.calm)) then
    trip()
    is_told = true
  elseif said == 'fail' and trips(0) and math.abs(now - circuit.counted) >= BETWEEN_COUNTS then
    -- So they stood when each was last told; since then others may have gone well, or have ended.
    circuit.counted, circuit.calm, circuit.windows = now, 0, {[who] = window}
    is_told, wanted_of_others, wanted_here = true, COUNT, JUDGE
  end
  has_changed = true
elseif said == 'mend' and circuit.state == CLOSED and is_current then
  circuit.windows[who] = nil
  has_changed = true
elseif said == 'claim' and (circuit.state == HALF_OPEN or (circuit.state == OPEN and now >= circuit.due)) then
  if circuit.state == OPEN then go(HALF_OPEN) end
  admitted = math.min(tonumber(first), math.max(most - held(), 0))
  for number = 1, admitted do
    circuit.leases[second .. ':' .. number] = now + lease_life
  end
  has_changed = true
elseif said == 'done' and circuit.state == HALF_OPEN and is_current then
  circuit.leases[first] = nil
  if second == 'failure' then
    trip()
  elseif second == 'success' then
    circuit.wins = circuit.wins + 1
    if circuit.wins >= wanted then go(CLOSED) end
  end
  has_changed, is_told = true, true
elseif said == 'set' then
  go(tonumber(first))
  has_changed, is_told = true, true
end

local wait = 0
if circuit.state == OPEN then
  wait = math.max(circuit.due - now, 0)
elseif circuit.state == HALF_OPEN then
  local number, soonest = held()
  if number >= most then wait = math.min(soonest - now, WHILE_OTHERS_PROBE) end
end

if has_changed then
  local life = circuit.state > HALF_OPEN and MONTH_US
    or HOUR_US + memory + 2 * (longest + lease_life)
  redis.call('SET', KEYS[1], cmsgpack.pack(circuit), 'PX', string.format('%.0f', life / 1000))
end
local version = (is_there or has_changed) and circuit.version or 0
local told = struct.pack('>I8BI8I8I4', version, circuit.state, wait, circuit.open, admitted)
if is_told then redis.pcall('PUBLISH', KEYS[1], told .. string.char(wanted_of_others)) end
return told .. string.char(wanted_here)
