"""What must happen in Redis at one instant, as Lua. Each runs in one round trip and is safe to run twice."""

from __future__ import annotations

# KEYS: per slate, its hash and the user's sorted set of screens. ARGV: ttl of that set in s, "1" to publish, and per
# slate: epoch, version, screen, message, channel, ttl in s. An older slate of the same epoch changes nothing and is
# not published. The clock is Redis's own.
STORE_SLATES = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for i = 1, #KEYS, 2 do
  local a = 3 + (i - 1) / 2 * 6
  local kept = redis.call('HMGET', KEYS[i], 'epoch', 'version')
  if kept[1] ~= ARGV[a] or tonumber(kept[2]) < tonumber(ARGV[a + 1]) then
    redis.call('HSET', KEYS[i], 'epoch', ARGV[a], 'version', ARGV[a + 1], 'message', ARGV[a + 3])
    redis.call('EXPIRE', KEYS[i], ARGV[a + 5])
    redis.call('ZADD', KEYS[i + 1], now + ARGV[a + 5] * 1000, ARGV[a + 2])
    redis.call('ZREMRANGEBYSCORE', KEYS[i + 1], '-inf', now)
    redis.call('EXPIRE', KEYS[i + 1], ARGV[1])
    if ARGV[2] == '1' then redis.call('PUBLISH', ARGV[a + 4], ARGV[a + 3]) end
  end
end
"""

# KEYS: the sorted set of nodes, the node's hash. ARGV: ttl in ms, node, user, announcement ('' for gone), channel,
# prefix of the nodes' hashes. Publishes the user's announcements at all nodes. The clock is Redis's own.
ANNOUNCE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[4] == '' then redis.call('HDEL', KEYS[2], ARGV[3]) else redis.call('HSET', KEYS[2], ARGV[3], ARGV[4]) end
redis.call('PEXPIRE', KEYS[2], ARGV[1])
redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local found = {}
for _, node in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local announcement = redis.call('HGET', ARGV[6] .. node, ARGV[3])
  if announcement then found[#found + 1] = announcement end
end
redis.call('PUBLISH', ARGV[5], cmsgpack.pack({ARGV[3], found}))
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

# KEYS: the sorted set of workers, the worker's state. ARGV: ttl in ms, worker, state.
SET_WORKER = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[1])
redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
"""
