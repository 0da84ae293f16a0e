-- Gives a lock back if it is still the caller's. KEYS: lock. ARGV: owner. Returns 1 or 0.
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
