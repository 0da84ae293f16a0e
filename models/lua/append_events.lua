-- Appends events to a stream of about so many entries. KEYS: the stream. ARGV: its length, then for each event id,
-- seq, type, occurredAt, subject, data. All of them or, when Redis refuses writes, none.
for at = 2, #ARGV, 6 do
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*',
    'id', ARGV[at], 'seq', ARGV[at + 1], 'type', ARGV[at + 2],
    'occurredAt', ARGV[at + 3], 'subject', ARGV[at + 4], 'data', ARGV[at + 5])
end
return (#ARGV - 1) / 6
