-- What a process does for a queue from time to time. KEYS: queue, suspects, parked, holders, held.
-- ARGV: token; of the parked messages whose time has come, at least so many are put at the end of the queue, and more
-- while the queue is not longer than that. Returns how many messages the process holds.

local queue, suspects, parked, holders, held = unpack(KEYS)
local token, least, room = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('SADD', holders, token)

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local most = math.max(least, room - redis.call('LLEN', queue))
local found = redis.call('ZRANGEBYSCORE', parked, '-inf', now, 'LIMIT', 0, most)
for i = 1, #found do
  local field, start = string.match(found[i], '^([^|]*)|()')
  local body, mark = string.sub(found[i], start), string.match(field, ':s:(%d+:%d+)$')
  if mark then redis.call('RPUSH', suspects, mark .. ':' .. body) else redis.call('RPUSH', queue, body) end
  redis.call('ZREM', parked, found[i])
end
return redis.call('HLEN', held)
