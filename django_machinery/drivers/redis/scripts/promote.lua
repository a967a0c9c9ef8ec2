-- Moves delayed messages to their queues. KEYS: delayed, suspects of the default queue, then lists and sorted sets, which
-- ARGV names by their index. ARGV for each message: as it is delayed; kind "L" or "U", index, score and body as in
-- commit.lua. One whose key is of another type goes to the suspects. Returns how many were still there to be moved.

local TYPES = { L = 'list', U = 'zset' }
local delayed, suspects = KEYS[1], KEYS[2]
redis.call('LLEN', suspects) -- an error, if it is no list, before anything is taken off

local function can_take(key, kind)
  local is = redis.call('TYPE', key).ok
  return is == 'none' or is == TYPES[kind]
end

local moved = 0
for i = 1, #ARGV, 5 do
  local member, kind, index, score, body = unpack(ARGV, i, i + 4)
  local key = KEYS[tonumber(index)]
  if redis.call('ZREM', delayed, member) == 1 then
    if not can_take(key, kind) then
      redis.call('RPUSH', suspects, '0:0:' .. member)
    elseif kind == 'L' then
      redis.call('RPUSH', key, body)
    else
      redis.call('ZADD', key, score, string.format('%016d', redis.call('INCR', KEYS[index + 1])) .. body)
      ring(KEYS[index + 2], key)
    end
    moved = moved + 1
  end
end
return moved
