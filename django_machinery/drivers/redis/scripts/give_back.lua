-- Gives messages back, uncounted and in their old order.
-- KEYS: held, landing, queue, suspects, urgent, bell. ARGV: fields; none: all that the process has, claimed or not.

local held, landing, queue, suspects, urgent, bell = unpack(KEYS)
redis.call('LLEN', queue) -- an error, if it is no list any more, before anything is taken off

local fields = ARGV
if #ARGV == 0 then
  fields = redis.call('HKEYS', held)
  return_landed(landing, queue)
end
by_number(fields)
for i = #fields, 1, -1 do
  local body = redis.call('HGET', held, fields[i])
  if body then
    redis.call('HDEL', held, fields[i])
    put_back(fields[i], body, queue, suspects, urgent, bell)
  end
end
