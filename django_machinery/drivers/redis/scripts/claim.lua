-- Claims messages: off their queues and into the hash of the process, in one step.
-- KEYS for each queue: queue, urgent, landing, held, counter, holders. ARGV: limit, nonce, token, "1" with priorities.
-- Returns for each queue: the number before its first message, the marks of those that were urgent, all bodies.

local limit, nonce, token, has_urgent = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4] == '1'

local function take_urgent(key, marks, bodies)
  local found = redis.call('ZPOPMIN', key, limit)
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

local claimed = {}
for q = 1, #KEYS, 6 do
  local marks, bodies, base = {}, {}, 0
  if limit > 0 then
    if has_urgent then take_urgent(KEYS[q + 1], marks, bodies) end
    take(KEYS[q + 2], bodies)
    take(KEYS[q], bodies)
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
  claimed[#claimed + 1] = { base, marks, bodies }
end
return claimed
