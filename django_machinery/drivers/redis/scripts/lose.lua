-- Ends the leases of tokens, for ever. KEYS: leases. ARGV: tokens.

redis.call('ZREMRANGEBYSCORE', KEYS[1], 1, 0) -- a write that adds nothing: after it a full Redis lets the rest pass
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for i = 1, #ARGV do
  local old = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if not old or tonumber(old) > 0 then redis.call('ZADD', KEYS[1], -now, ARGV[i]) end
end
