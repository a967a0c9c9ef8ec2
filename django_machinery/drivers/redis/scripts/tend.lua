-- What a process does for a queue from time to time. KEYS: queue, suspects, parked, holders, held.
-- ARGV: token; of the parked messages at least so many go back, and more while the queue is not longer than that.
-- Returns how many messages the process holds.

local queue, suspects, parked, holders, held = unpack(KEYS)
redis.call('SREM', holders, '') -- a write that adds nothing: after it a full Redis lets the rest pass
redis.call('SADD', holders, ARGV[1])
unpark_due(queue, suspects, parked, tonumber(ARGV[2]), tonumber(ARGV[3]))
return redis.call('HLEN', held)
