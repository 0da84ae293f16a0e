-- A new scan. KEYS: the scan. ARGV: ms to keep it, field, value, … Returns 1, or 0 if there is one of that id.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
