-- Gives back what landed with a process and is not claimed. KEYS: landing, queue.

redis.call('LLEN', KEYS[2]) -- an error, if it is no list any more, before anything is taken off
return_landed(KEYS[1], KEYS[2])
