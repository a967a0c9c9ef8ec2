-- Moves delayed messages to their queues. KEYS: delayed, then lists and sorted sets, which ARGV names by their index.
-- ARGV for each message: as it is delayed; kind "L" or "U", index, score and body as in commit.lua.
-- Returns how many were still there to be moved.

local moved = 0
for i = 1, #ARGV, 5 do
  if redis.call('ZREM', KEYS[1], ARGV[i]) == 1 then
    local key, score, body = KEYS[tonumber(ARGV[i + 2])], ARGV[i + 3], ARGV[i + 4]
    if ARGV[i + 1] == 'L' then
      redis.call('RPUSH', key, body)
    else
      local index = tonumber(ARGV[i + 2])
      redis.call('ZADD', key, score, string.format('%016d', redis.call('INCR', KEYS[index + 1])) .. body)
      redis.call('RPUSH', KEYS[index + 2], '')
    end
    moved = moved + 1
  end
end
return moved
