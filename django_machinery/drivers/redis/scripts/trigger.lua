-- Claims the right to send a chord's callback. KEYS: group meta, trigger, and Go's mutex where one script may see it.
-- ARGV: the task that claims it, seconds that groups are kept. Returns 1: it is the task's; 0: it is not; 2: a Go worker
-- holds the mutex, ask again.

local meta_key, trigger_key, mutex_key = unpack(KEYS)
local holder = redis.call('GET', trigger_key)
if holder then return holder == ARGV[1] and 1 or 0 end
local meta = redis.call('GET', meta_key)
if not meta then return 0 end
if mutex_key and redis.call('EXISTS', mutex_key) == 1 then return 2 end

redis.call('EXPIRE', meta_key, ARGV[2]) -- a write that adds nothing: after it a full Redis lets the rest pass
local flag = string.find(meta, ',"ChordTriggered":true,"Lock":', 1, true)
if flag then return 0 end
local start, stop = string.find(meta, ',"ChordTriggered":false,"Lock":', 1, true)
if start then
  meta = string.sub(meta, 1, start - 1) .. ',"ChordTriggered":true,"Lock":' .. string.sub(meta, stop + 1)
  redis.call('SET', meta_key, meta, 'EX', ARGV[2])
end
redis.call('SET', trigger_key, ARGV[1], 'EX', ARGV[2])
return 1
