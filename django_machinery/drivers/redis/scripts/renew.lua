-- Prolongs leases. KEYS: leases. ARGV: milliseconds, tokens. Returns for each token: 1 if it is held.

redis.call('ZREMRANGEBYSCORE', KEYS[1], 1, 0) -- a write that adds nothing: after it a full Redis lets the rest pass
local time = redis.call('TIME')
local ends = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1]
local held = {}
for i = 2, #ARGV do
  local old = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if old and tonumber(old) < 0 then
    held[#held + 1] = 0
  else
    redis.call('ZADD', KEYS[1], ends, ARGV[i])
    held[#held + 1] = 1
  end
end
return held
