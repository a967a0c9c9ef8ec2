-- Nanoseconds until the time of the next delayed message has come, as text, 0 or less when it has; false: there is none.
-- KEYS: delayed.

local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if #first == 0 then return false end
local time = redis.call('TIME')
return string.format('%.0f', tonumber(first[2]) - (time[1] * 1000000000 + time[2] * 1000))
