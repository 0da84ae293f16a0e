-- A sliding window: a sorted set with one member for each thing counted, scored by its time.
-- KEYS: the set. ARGV: now ms, window ms, count, member to add ('' only looks).
-- Returns 0 when there is room (and the member was added), else the ms until there is.
local now, window, count = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - window)
local held = redis.call('ZCARD', KEYS[1])
if held >= count then
  local oldest = redis.call('ZRANGE', KEYS[1], held - count, held - count, 'WITHSCORES')
  return math.max(1, tonumber(oldest[2]) + window - now)
end
if ARGV[4] ~= '' then
  redis.call('ZADD', KEYS[1], now, ARGV[4])
  redis.call('PEXPIRE', KEYS[1], window)
end
return 0
