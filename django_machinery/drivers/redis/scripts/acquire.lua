-- Takes a key that nobody holds. KEYS: key. ARGV: the last nanosecond in which it is to be held, its expiry in
-- milliseconds. Returns 1 if it did.
--
-- A value without meaning is never taken away, nor is 0, as in Go (locks/redis/redis.go:91).

local held = redis.call('GET', KEYS[1])
if held then
    local time = redis.call('TIME')
    local now = time[1] .. string.format('%06d', time[2]) .. '000'
    local is_past = string.match(held, '^[1-9]%d*$') and (#held < #now or (#held == #now and held < now))
    if not is_past then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1], 'PXAT', ARGV[2])
return 1
