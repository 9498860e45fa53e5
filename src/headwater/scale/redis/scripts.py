"""What is done in Redis at once, by scripts, which no other client sees half done.

``CLAIM`` makes somebody the owner, ``WRITE`` and ``FLIP`` are an owner's and look first whether it still is,
``READ`` is that of whoever decides. The owner is the one with the greatest epoch: Redis' clock when it
began, or one more than the epoch before. It keeps its epoch for life, so that an older owner cannot come
back after Redis was emptied: the younger one, whose epoch is greater, takes the marker again and the older is
refused. Used by ``writing`` and ``source``.
"""

from __future__ import annotations

# KEYS: marker, layout, the marker of a store that is one part. ARGV: id, epoch or "0" for a new one, the
# layout that the owner is of, "" for one part; "again" for a new epoch of an owner whose others are to be
# refused, "" otherwise. Returns the epoch, what was whole, its definitions and
# positions; -1 and the owner's epoch; or -2 and the layout that there is.
CLAIM = """
local layout = redis.call('GET', KEYS[2]) or ''
if layout ~= ARGV[3] and (layout ~= '' or redis.call('EXISTS', KEYS[3]) == 1) then
  return {-2, layout}
end
local marker = redis.call('HMGET', KEYS[1], 'epoch', 'id', 'positions')
local stored = tonumber(marker[1] or '0')
local epoch = tonumber(ARGV[2])
if epoch == 0 then
  local time = redis.call('TIME')
  epoch = math.max(tonumber(time[1]) * 1000000 + tonumber(time[2]), stored + 1)
elseif ARGV[4] ~= '' and (stored < epoch or marker[2] == ARGV[1]) then
  epoch = math.max(epoch, stored) + 1
elseif stored > epoch or (stored == epoch and marker[2] ~= ARGV[1]) then
  return {-1, string.format('%.0f', stored)}
end
redis.call('HSET', KEYS[1], 'epoch', string.format('%.0f', epoch), 'id', ARGV[1])
if ARGV[3] ~= '' then
  redis.call('SET', KEYS[2], ARGV[3])
end
return {1, string.format('%.0f', epoch), marker[3] or ''}
"""

_OWNED = """
local marker = redis.call('HMGET', KEYS[1], 'epoch', 'id', 'whole')
local stored = tonumber(marker[1] or '0')
local epoch = tonumber(ARGV[1])
if stored > epoch or (stored == epoch and marker[2] ~= ARGV[2]) then
  return {-1, string.format('%.0f', stored)}
end
if stored < epoch then
  return {0, 'owner'}
end
"""

# KEYS: marker, then the buckets and lists that are written to.
# ARGV: epoch, id, the whole generation that must still be there or "", offset or "", now, "moving" or "",
#   positions or "", the offset that was written last or "", how many lists; for each its key's number, its
#   length, how many texts, the texts; then for each bucket's field the key's number, the field, the value.
# Returns {1}; {0, what} if something was lost (as after a start from an older copy of Redis), or it would go
# back; or {-1, epoch} if another owns it: then nothing was written.
WRITE = (
    _OWNED
    + """
if ARGV[3] ~= '' and marker[3] ~= ARGV[3] then
  return {0, 'marker'}
end
if ARGV[7] ~= '' and tonumber(redis.call('HGET', KEYS[1], 'offset') or '-1') > tonumber(ARGV[4]) then
  return {0, 'ahead'}
end
if ARGV[8] ~= '' and tonumber(redis.call('HGET', KEYS[1], 'offset') or '-1') < tonumber(ARGV[8]) then
  return {0, 'back'}
end
local lists = tonumber(ARGV[9])
local at = 10
for _ = 1, lists do
  if redis.call('LLEN', KEYS[tonumber(ARGV[at])]) < tonumber(ARGV[at + 1]) then
    return {0, 'texts'}
  end
  at = at + 3 + tonumber(ARGV[at + 2])
end
local seen = {}
for i = at, #ARGV, 3 do
  local key = KEYS[tonumber(ARGV[i])]
  if ARGV[3] ~= '' and not seen[key] then
    seen[key] = true
    if redis.call('HEXISTS', key, '!') == 0 then
      return {0, 'bucket'}
    end
  end
end
local first = 10
for _ = 1, lists do
  local key = KEYS[tonumber(ARGV[first])]
  local known = redis.call('LLEN', key) - tonumber(ARGV[first + 1])
  for i = first + 3 + known, first + 2 + tonumber(ARGV[first + 2]) do
    redis.call('RPUSH', key, ARGV[i])
  end
  first = first + 3 + tonumber(ARGV[first + 2])
end
for i = at, #ARGV, 3 do
  redis.call('HSET', KEYS[tonumber(ARGV[i])], ARGV[i + 1], ARGV[i + 2])
end
if ARGV[6] ~= '' then
  redis.call('HSET', KEYS[1], 'moving', ARGV[6])
elseif ARGV[4] ~= '' then
  redis.call('HDEL', KEYS[1], 'moving')
  redis.call('HSET', KEYS[1], 'offset', ARGV[4], 'at', ARGV[5])
  if ARGV[7] ~= '' then
    redis.call('HSET', KEYS[1], 'positions', ARGV[7])
  end
end
return {1, ''}
"""
)

# KEYS: marker. ARGV: epoch, id, generation, definitions, offset, now, positions or "".
# From now on this generation is the one.
FLIP = (
    _OWNED
    + """
redis.call('HDEL', KEYS[1], 'moving')
redis.call('HSET', KEYS[1], 'whole', ARGV[3], 'definitions', ARGV[4], 'offset', ARGV[5], 'at', ARGV[6])
if ARGV[7] ~= '' then
  redis.call('HSET', KEYS[1], 'positions', ARGV[7])
end
return {1, marker[3] or ''}
"""
)

# KEYS: the markers of some parts, the bucket of each key, the lists of texts; of a store in parts also the
# strays. ARGV: how many markers, how many keys, their fields, how many texts of each list are known. Returns
# the markers, then for each key what says that its bucket is there and its state, then the texts that are not
# known, then which of the keys are strays.
READ = """
local found = {}
local parts = tonumber(ARGV[1])
local keys = tonumber(ARGV[2])
local lists = #ARGV - 2 - keys
for i = 1, parts do
  found[i] = redis.call('HMGET', KEYS[i], 'whole', 'offset', 'at', 'moving', 'positions')
end
for i = 1, keys do
  found[parts + i] = redis.call('HMGET', KEYS[parts + i], '!', ARGV[i + 2])
end
for i = 1, lists do
  found[parts + keys + i] = redis.call('LRANGE', KEYS[parts + keys + i], ARGV[keys + 2 + i], -1)
end
if #KEYS > parts + keys + lists then
  local strays = {}
  for i = 1, keys do
    strays[i] = redis.call('SISMEMBER', KEYS[#KEYS], ARGV[i + 2])
  end
  found[#found + 1] = strays
end
return found
"""

# KEYS: buckets. Whether all are there.
THERE = """
for _, key in ipairs(KEYS) do
  if redis.call('HEXISTS', key, '!') == 0 then
    return 0
  end
end
return 1
"""
