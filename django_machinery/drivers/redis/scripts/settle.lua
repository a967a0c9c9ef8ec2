-- Takes messages off for good. KEYS: held. ARGV: fields. Returns for each: 1 if it was there.

local settled = {}
for i = 1, #ARGV do settled[i] = redis.call('HDEL', KEYS[1], ARGV[i]) end
return settled
