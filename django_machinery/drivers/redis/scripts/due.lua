-- The delayed messages whose time has come, oldest first. KEYS: delayed. ARGV: most; nanoseconds for which they are put
-- off while the caller moves them, 0: they are not.

local time = redis.call('TIME')
local now = time[1] * 1000000000 + time[2] * 1000
local found = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now), 'LIMIT', 0, ARGV[1])
if ARGV[2] ~= '0' then
  redis.call('ZREMRANGEBYSCORE', KEYS[1], 1, 0) -- a write that adds nothing: after it a full Redis lets the rest pass
  for i = 1, #found do redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[2]), found[i]) end
end
return found
