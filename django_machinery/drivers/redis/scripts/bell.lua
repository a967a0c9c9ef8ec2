-- Wakes one more of those who wait, unless there are rings for all messages already: who is busy hears none.
local function ring(bell, urgent)
  if redis.call('LLEN', bell) < redis.call('ZCARD', urgent) then redis.call('RPUSH', bell, '') end
end
