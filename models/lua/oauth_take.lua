-- Takes an OAuth state for one code; the same code again, before the state is forgotten, is the same callback.
-- KEYS: the state's hash. ARGV: appid, hash of the browser's secret, hash of the code, ms until it is forgotten.
-- Returns {'taken', return address, scope, mode}, or {'unknown'}, {'foreign'} (and it stays), {'used'}.
local row = redis.call('HMGET', KEYS[1], 'appid', 'browser', 'return_to', 'scope', 'mode', 'code')
if not row[1] then
  return {'unknown'}
end
if row[1] ~= ARGV[1] or row[2] ~= ARGV[2] then
  return {'foreign'}
end
if not row[6] then
  redis.call('HSET', KEYS[1], 'code', ARGV[3])
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
elseif row[6] ~= ARGV[3] then
  return {'used'}
end
return {'taken', row[3], row[4], row[5]}
