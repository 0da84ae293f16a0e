-- Stores a fetched access_token and gives the lock back, if the lock is still the caller's and nothing newer is there.
-- KEYS: token hash, lock. ARGV: owner, version, sealed, expires_at, renew_from, keep ms. Returns 1 or 0.
if redis.call('GET', KEYS[2]) ~= ARGV[1] then
  return 0
end
redis.call('DEL', KEYS[2])
if tonumber(redis.call('HGET', KEYS[1], 'version') or '0') >= tonumber(ARGV[2]) then
  return 0
end
redis.call('HSET', KEYS[1], 'sealed', ARGV[3], 'expires_at', ARGV[4], 'renew_from', ARGV[5], 'version', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[6])
return 1
