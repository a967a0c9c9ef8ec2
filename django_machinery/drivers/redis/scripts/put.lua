-- Writes a string, also where Redis is full. KEYS: key. ARGV: value, milliseconds that it is kept, "NX": only where there
-- is none. Returns 1 if it did.

if ARGV[3] == 'NX' and redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('DEL', KEYS[1]) -- takes off nothing that would stay, and after it a full Redis lets the rest pass
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
