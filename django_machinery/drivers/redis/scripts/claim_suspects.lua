-- Claims messages that were in a crash. KEYS for each queue: suspects, held, counter, holders.
-- ARGV: limit, nonce, token. Returns for each message: the number of its queue from 1, its field, its body.

local limit, nonce, token = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local claimed = {}
for q = 1, #KEYS, 4 do
  local found = limit > 0 and redis.call('LPOP', KEYS[q], limit) or {}
  for i = 1, #found do
    local mark, start = string.match(found[i], '^(%d+:%d+):()')
    local field = redis.call('INCR', KEYS[q + 2]) .. ':' .. nonce .. ':s:' .. mark
    local body = string.sub(found[i], start)
    redis.call('HSET', KEYS[q + 1], field, body)
    claimed[#claimed + 1] = (q + 3) / 4
    claimed[#claimed + 1] = field
    claimed[#claimed + 1] = body
  end
  if #found > 0 then redis.call('SADD', KEYS[q + 3], token) end
  limit = limit - #found
end
return claimed
