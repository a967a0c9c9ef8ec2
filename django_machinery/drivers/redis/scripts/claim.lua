-- Claims messages: off their queues and into the hash of the process, in one step.
-- KEYS for each queue: queue, urgent, landing, held, counter, holders, parked, bell. ARGV: limit, nonce, token, "1" with
-- priorities, how many messages are left at the head of a queue, the names of tasks of which they are left.
-- Returns for each queue: the number before its first message, the marks of those that were urgent, all bodies, how many
-- messages were left.

local limit, nonce, token, has_urgent = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4] == '1'
local shown, shunned = tonumber(ARGV[5]), {}
for i = 6, #ARGV do shunned[ARGV[i]] = true end

for q = 1, #KEYS, 8 do redis.call('LLEN', KEYS[q]) end -- an error, if it is no list, before anything is taken off

local function take_urgent(key, bell, marks, bodies)
  local found = redis.call('ZPOPMIN', key, limit)
  if #found < 2 * limit then redis.call('DEL', bell) end -- nothing is left that it would ring for
  for i = 1, #found, 2 do
    marks[#marks + 1] = ':u:' .. -found[i + 1] .. ':' .. string.sub(found[i], 1, 16)
    bodies[#bodies + 1] = string.sub(found[i], 17)
  end
end

local function take(key, bodies)
  if #bodies < limit then
    local found = redis.call('LPOP', key, limit - #bodies) or {}
    for i = 1, #found do bodies[#bodies + 1] = found[i] end
  end
end

-- Whether it is of a task that this process found out not to know. One that is to be dropped then is taken.
local function is_shunned(body)
  local name = string.match(body, '^{"UUID":"[^"\\]*","Name":"([^"\\]*)"')
  return shunned[name or ''] and not string.find(body, '"IgnoreWhenTaskNotRegistered":true', 1, true)
end

-- Parks a crowd of messages that are in the way of others.
local function park(key, counter, bodies)
  local time = redis.call('TIME')
  local due = time[1] * 1000 + math.floor(time[2] / 1000)
  local last = redis.call('INCRBY', counter, #bodies)
  for i = 1, #bodies do redis.call('ZADD', key, due, (last - #bodies + i) .. ':' .. nonce .. '|' .. bodies[i]) end
end

-- Takes what is not shunned. What is stays at the head of the queue, where Go takes it; a crowd of it is parked, so that
-- what is behind it is reached. Returns how many messages were left.
local function take_others(key, parked, counter, bodies)
  local left, looks = {}, 5 * shown
  while #bodies < limit and looks > 0 do
    local found = redis.call('LPOP', key, math.max(limit - #bodies, 50))
    if not found then break end
    for i = 1, #found do
      if #bodies == limit or is_shunned(found[i]) then left[#left + 1] = found[i] else bodies[#bodies + 1] = found[i] end
    end
    looks = looks - #found
    if #left > shown then
      park(parked, counter, left)
      left = {}
    end
  end
  for i = #left, 1, -1 do redis.call('LPUSH', key, left[i]) end
  return looks > 0 and #left or 1
end

local claimed = {}
for q = 1, #KEYS, 8 do
  local marks, bodies, base, left = {}, {}, 0, 0
  if limit > 0 then
    if has_urgent then take_urgent(KEYS[q + 1], KEYS[q + 7], marks, bodies) end
    take(KEYS[q + 2], bodies)
    if #ARGV > 5 then left = take_others(KEYS[q], KEYS[q + 6], KEYS[q + 4], bodies) else take(KEYS[q], bodies) end
  end
  if #bodies > 0 then
    base = redis.call('INCRBY', KEYS[q + 4], #bodies) - #bodies
    local fields = {}
    for i = 1, #bodies do
      fields[2 * i - 1] = (base + i) .. ':' .. nonce .. (marks[i] or '')
      fields[2 * i] = bodies[i]
    end
    redis.call('HSET', KEYS[q + 3], unpack(fields))
    redis.call('SADD', KEYS[q + 5], token)
    limit = limit - #bodies
  end
  claimed[#claimed + 1] = { base, marks, bodies, left }
end
return claimed
