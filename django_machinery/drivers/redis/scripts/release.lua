-- Deletes a key that still has the value that was given to it. KEYS: key. ARGV: value. Returns 1 if it did.

if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
