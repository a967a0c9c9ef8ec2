-- Lists the members of a group beside it, unless somebody has: then the list lives on. KEYS: members.
-- ARGV: seconds that it is kept, UUIDs.

if redis.call('EXPIRE', KEYS[1], ARGV[1]) == 1 then return end
for i = 2, #ARGV, 4000 do
  redis.call('RPUSH', KEYS[1], unpack(ARGV, i, math.min(i + 3999, #ARGV)))
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
