-- The stored access_token if it is newer than the caller's and not yet due, else the right to fetch one.
-- KEYS: token hash, lock. ARGV: owner, lock ms, now ms, known version, share of the renewal window, keep ms.
-- Returns {'token', sealed, expires_at, renew_from, version}, {'lease', version for the new one} or {'wait'}.
local row = redis.call('HMGET', KEYS[1], 'sealed', 'expires_at', 'renew_from', 'version', 'fence')
local now = tonumber(ARGV[3])
local version = tonumber(row[4] or '0')
if row[1] and version > tonumber(ARGV[4]) then
  local expires_at, renew_from = tonumber(row[2]), tonumber(row[3])
  if now < expires_at - tonumber(ARGV[5]) * (expires_at - renew_from) then
    return {'token', row[1], row[2], row[3], row[4]}
  end
end
if not redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then
  return {'wait'}
end
-- Not below the time: numbers go on ascending when Redis comes back empty.
local fence = string.format('%.0f', math.max(tonumber(row[5] or '0') + 1, version + 1, now))
redis.call('HSET', KEYS[1], 'fence', fence)
redis.call('PEXPIRE', KEYS[1], ARGV[6])
return {'lease', fence}
