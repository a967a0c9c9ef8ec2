-- Lets parked messages be tried again: at the end of the queue, where Go sees them, or as suspects.
-- `latest`: of those whose time comes until then; `most`: so many.
local function unpark(queue, suspects, parked, latest, most)
  local found = redis.call('ZRANGEBYSCORE', parked, '-inf', latest, 'LIMIT', 0, most)
  for i = 1, #found do
    local field, start = string.match(found[i], '^([^|]*)|()')
    local body, mark = string.sub(found[i], start), string.match(field, ':s:(%d+:%d+)$')
    redis.call('ZREM', parked, found[i])
    if mark then redis.call('RPUSH', suspects, mark .. ':' .. body) else redis.call('RPUSH', queue, body) end
  end
end

-- Those whose time has come: at least so many, and more while the queue is not longer than `room`.
local function unpark_due(queue, suspects, parked, least, room)
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  unpark(queue, suspects, parked, now, math.max(least, room - redis.call('LLEN', queue)))
end
