-- One step of a scan: compare, set, version + 1, publish; or the word why not. A scan whose time is over expires.
-- KEYS: the scan. ARGV: now ms, channel, id, ms to keep it beyond its end, states it may leave, next state,
-- by whom ('' for whoever), match code ('' if none is asked), attempts with wrong ones, its new end ms, the rest of
-- the frame that browsers get, field, value, …
-- Returns {'moved' | 'refused' | 'other' | 'mismatch' | 'gone', its state then, attempts left}.
local now, channel, id, keep = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local leaves, to, by, match, attempts = ARGV[5], ARGV[6], ARGV[7], ARGV[8], tonumber(ARGV[9])
local row = redis.call('HMGET', KEYS[1], 'state', 'version', 'ends_at', 'by', 'match_code')
local state, ends_at = row[1], row[3]
if not state then
  return {'gone', '', 0}
end

local function move(next_state, new_end, rest)
  local version = tostring(tonumber(row[2]) + 1)
  redis.call('HSET', KEYS[1], 'state', next_state, 'version', version, 'ends_at', new_end)
  redis.call('PEXPIRE', KEYS[1], math.max(tonumber(new_end) - tonumber(now), 0) + keep)
  redis.call('PUBLISH', channel, table.concat({id, version, next_state, now, new_end, '{"version":' .. version .. ',' .. rest}, ' '))
end

local is_open = state == 'pending' or state == 'scanned' or state == 'confirmed'
if is_open and tonumber(now) >= tonumber(ends_at) then
  move('expired', ends_at, '"type":"EXPIRED","state":"expired","expiresIn":0}')
  return {'refused', 'expired', 0}
end
if is_open and by ~= '' and row[4] ~= '' and row[4] ~= by then
  return {'other', state, 0}
end
if not string.find(leaves, state, 1, true) then
  return {'refused', state, 0}
end
if match ~= '' and match ~= row[5] then
  local left = attempts - redis.call('HINCRBY', KEYS[1], 'attempts', 1)
  if left <= 0 then
    move('cancelled', now, '"type":"CANCELLED","state":"cancelled","expiresIn":0}')
  end
  return {'mismatch', state, left}
end
move(to, ARGV[10], ARGV[11])
if ARGV[12] then
  redis.call('HSET', KEYS[1], unpack(ARGV, 12))
end
return {'moved', to, 0}
