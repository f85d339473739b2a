"""What must happen in Redis at one instant, as Lua. Each runs in one round trip and is safe to run twice."""

from __future__ import annotations

# KEYS: per slate, its hash and the user's sorted set of screens. ARGV: ttl of that set in s, "1" to publish, how many
# slates a user has at most, prefix of the hashes, and per slate: epoch, version, screen, message, channel, user, ttl in
# s. An older slate of the same epoch changes nothing and is not published. Of too many, those go that would expire
# first; their names are quoted as wire.Names does. The clock is Redis's own.
STORE_SLATES = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function quoted(screen)
  return (string.gsub(screen, '[^A-Za-z0-9_.~/-]', function(c) return string.format('%%%02X', string.byte(c)) end))
end
for i = 1, #KEYS, 2 do
  local a = 5 + (i - 1) / 2 * 7
  local kept = redis.call('HMGET', KEYS[i], 'epoch', 'version')
  if kept[1] ~= ARGV[a] or tonumber(kept[2]) < tonumber(ARGV[a + 1]) then
    redis.call('HSET', KEYS[i], 'epoch', ARGV[a], 'version', ARGV[a + 1], 'message', ARGV[a + 3])
    redis.call('EXPIRE', KEYS[i], ARGV[a + 6])
    redis.call('ZADD', KEYS[i + 1], now + ARGV[a + 6] * 1000, ARGV[a + 2])
    redis.call('ZREMRANGEBYSCORE', KEYS[i + 1], '-inf', now)
    local beyond = redis.call('ZCARD', KEYS[i + 1]) - ARGV[3]
    if beyond > 0 then
      for _, screen in ipairs(redis.call('ZRANGE', KEYS[i + 1], 0, beyond - 1)) do
        redis.call('DEL', ARGV[4] .. quoted(screen) .. ':' .. ARGV[a + 5])
        redis.call('ZREM', KEYS[i + 1], screen)
      end
    end
    redis.call('EXPIRE', KEYS[i + 1], ARGV[1])
    if ARGV[2] == '1' then redis.call('PUBLISH', ARGV[a + 4], ARGV[a + 3]) end
  end
end
"""

# KEYS: the sorted set of nodes, the node's hash. ARGV: ttl in ms, node, user, announcement ('' for gone), channel,
# prefix of the nodes' hashes, how many screens a user has at most. Publishes the user's announcements at all nodes and
# returns 1; returns 0 and changes nothing if that were too many screens and more than before (presence.crowded). The
# clock is Redis's own.
ANNOUNCE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local others = {}
for _, node in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if node ~= ARGV[2] then
    local announcement = redis.call('HGET', ARGV[6] .. node, ARGV[3])
    if announcement then others[#others + 1] = announcement end
  end
end
local function count(mine)
  local seen, n = {}, 0
  local function add(announcement)
    for screen in pairs(cjson.decode(announcement)) do
      if not seen[screen] then seen[screen], n = true, n + 1 end
    end
  end
  for _, announcement in ipairs(others) do add(announcement) end
  if mine and mine ~= '' then add(mine) end
  return n
end
local wanted = count(ARGV[4])
if wanted > tonumber(ARGV[7]) and wanted > count(redis.call('HGET', KEYS[2], ARGV[3])) then return 0 end
if ARGV[4] == '' then redis.call('HDEL', KEYS[2], ARGV[3]) else redis.call('HSET', KEYS[2], ARGV[3], ARGV[4]) end
redis.call('PEXPIRE', KEYS[2], ARGV[1])
redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[2])
if ARGV[4] ~= '' then others[#others + 1] = ARGV[4] end
redis.call('PUBLISH', ARGV[5], cmsgpack.pack({ARGV[3], others}))
return 1
"""

# KEYS as above. ARGV: ttl in ms, node. Returns 1 if there were announcements to keep alive.
TEND = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
return redis.call('PEXPIRE', KEYS[2], ARGV[1])
"""

# KEYS: the lease. ARGV: holder, ttl in ms. Returns 1 to the one who holds it now.
LEASE = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

# KEYS: the sorted set of those who talk, what this one says. ARGV: ttl in ms, who, what.
SET_WORKER = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[1])
redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
"""
