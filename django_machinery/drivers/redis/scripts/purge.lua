-- Deletes what is ready on a queue. KEYS: queue, urgent, parked, suspects, bell. Returns how many messages that were.

local queue, urgent, parked, suspects = unpack(KEYS)
local count = redis.call('LLEN', queue) + redis.call('ZCARD', urgent)
count = count + redis.call('ZCARD', parked) + redis.call('LLEN', suspects)
redis.call('DEL', unpack(KEYS))
return count
