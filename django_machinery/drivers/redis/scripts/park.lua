-- Puts messages aside for a while. KEYS: held, parked. ARGV: milliseconds, fields.

local time = redis.call('TIME')
local due = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1]
for i = 2, #ARGV do
  local body = redis.call('HGET', KEYS[1], ARGV[i])
  if body then
    redis.call('HDEL', KEYS[1], ARGV[i])
    redis.call('ZADD', KEYS[2], due, ARGV[i] .. '|' .. body)
  end
end
