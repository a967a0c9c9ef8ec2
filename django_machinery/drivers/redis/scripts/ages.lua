-- Ends the leases that have run out, and forgets those that ended long ago. KEYS: leases.
-- ARGV: milliseconds after which they are forgotten, tokens.
-- Returns for each token: -1 while it is held, else for how many milliseconds it is not; -2 if that is not known.

redis.call('ZREMRANGEBYSCORE', KEYS[1], 1, 0) -- a write that adds nothing: after it a full Redis lets the rest pass
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local expired = redis.call('ZRANGEBYSCORE', KEYS[1], '(0', now)
for i = 1, #expired do redis.call('ZADD', KEYS[1], -now, expired[i]) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], ARGV[1] - now, '(0')

local ages = {}
for i = 2, #ARGV do
  local score = redis.call('ZSCORE', KEYS[1], ARGV[i])
  local ends = tonumber(score or 0)
  if not score then ages[i - 1] = -2 elseif ends > 0 then ages[i - 1] = -1 else ages[i - 1] = now + ends end
end
return ages
