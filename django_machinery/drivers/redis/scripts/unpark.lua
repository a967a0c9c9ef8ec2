-- Lets parked messages of a queue be tried again. KEYS: queue, suspects, parked. ARGV: how many at least, and while the
-- queue is not longer than what; none: all, whether their time has come or not.

local queue, suspects, parked = unpack(KEYS)
if #ARGV == 0 then
  unpark(queue, suspects, parked, '+inf', -1)
else
  unpark_due(queue, suspects, parked, tonumber(ARGV[1]), tonumber(ARGV[2]))
end
