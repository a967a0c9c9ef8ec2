-- Takes from a process that is known to be dead: what it had claimed becomes suspect, what it had not goes back.
-- KEYS: held, landing, queue, suspects, holders. ARGV: token; "1" if it held one message of all queues, which is then to
-- blame if it was suspect already; "1" if the process is dead for so long that nothing of it can be on its way.
-- Returns how many messages it had claimed.

local held, landing, queue, suspects, holders = unpack(KEYS)
local token, sole, forget = ARGV[1], ARGV[2] == '1', ARGV[3] == '1'
redis.call('LLEN', queue) -- an error, if it is no list any more, before anything is taken off

local fields = by_number(redis.call('HKEYS', held))
for i = 1, #fields do
  local claims, crashes = string.match(fields[i], ':s:(%d+):(%d+)$')
  local mark = '1:0:'
  if claims then mark = (claims + 1) .. ':' .. (sole and crashes + 1 or crashes) .. ':' end
  local body = redis.call('HGET', held, fields[i])
  redis.call('HDEL', held, fields[i])
  redis.call('RPUSH', suspects, mark .. body)
end
return_landed(landing, queue)
if forget then redis.call('SREM', holders, token) end
return #fields
