"""The state machine of a job as Lua: every move is one script, so it happens whole or not at all.

KEYS[1] is the key prefix, ARGV[1] the job's id. A move out of ``running`` needs the token of the newest claim; whoever
holds an older one is answered ``stale``. Scripts may be sent twice (a client that lost the answer repeats them): the
second run answers like the first. Times are Redis's own, in microseconds, so no worker's clock matters.
"""

from __future__ import annotations

IDEMPOTENCY_SECONDS = 24 * 3600
EVENTS_KEPT = 1000
EVENTS_TTL_SECONDS = 30 * 24 * 3600

PRELUDE = f"""
local prefix, id = KEYS[1], ARGV[1]
local record = prefix .. 'job:' .. id
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local function text(number) return string.format('%.0f', number) end
local function get(field) return redis.call('HGET', record, field) end
local function event(level, message, kind, data)
  redis.call('XADD', record .. ':events', 'MAXLEN', '~', {EVENTS_KEPT}, '*', 'at', text(now), 'level', level,
    'message', message, 'type', kind or 'message', 'data', data or '{{}}')
end
local function changed()
  redis.call('HINCRBY', record, 'rev', 1)
  redis.call('SADD', prefix .. 'dirty', id)
end
local function holds(token) return get('status') == 'running' and get('token') == token end
local function leave()
  for _, name in ipairs({{'queued', 'delayed', 'leases'}}) do redis.call('ZREM', prefix .. name, id) end
end
local function ended(status, level, message)
  leave()
  redis.call('HSET', record, 'status', status, 'finished_at', text(now))
  redis.call('SREM', prefix .. 'owner:' .. get('owner'), id)
  event(level, message)
  redis.call('EXPIRE', record .. ':events', {EVENTS_TTL_SECONDS})
  changed()
end
local function queued_again(delay, level, message)
  leave()
  redis.call('HSET', record, 'status', 'queued')
  redis.call('ZADD', prefix .. 'queued', text(now), id)
  if delay > 0 then redis.call('ZADD', prefix .. 'delayed', text(now + delay), id) end
  event(level, message)
  changed()
end
"""

SUBMIT = f"""
local spec, kind, owner, max_queued, max_owner, digest, fingerprint, import =
  ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7], ARGV[8], ARGV[9]
if redis.call('EXISTS', record) == 1 then return {{'created', id}} end
local idem = prefix .. 'idem:' .. digest
if digest ~= '' then
  local known = redis.call('HMGET', idem, 'fingerprint', 'id')
  if known[2] then
    if known[1] == fingerprint then return {{'replayed', known[2]}} else return {{'mismatch', known[2]}} end
  end
end
if redis.call('ZCARD', prefix .. 'queued') >= max_queued then return {{'full', ''}} end
if redis.call('SCARD', prefix .. 'owner:' .. owner) >= max_owner then return {{'quota', ''}} end
redis.call('HSET', record, 'spec', spec, 'kind', kind, 'owner', owner, 'status', 'queued', 'created_at', text(now),
  'digest', digest, 'fingerprint', fingerprint)
redis.call('ZADD', prefix .. 'jobs', text(now), id)
redis.call('ZADD', prefix .. 'queued', text(now), id)
redis.call('SADD', prefix .. 'owner:' .. owner, id)
if digest ~= '' then
  redis.call('HSET', idem, 'fingerprint', fingerprint, 'id', id)
  redis.call('EXPIRE', idem, {IDEMPOTENCY_SECONDS})
end
if import ~= '' then redis.call('HSET', prefix .. 'imports', import, id) end
event('info', 'Job created.')
changed()
return {{'created', id}}
"""

CLAIM = """
local nonce, lease, floor_token, floor_rev = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local status = get('status')
if status == 'running' and get('claim') == nonce then return {'claimed', get('token')} end
if status ~= 'queued' then return {'refused', ''} end
local due = redis.call('ZSCORE', prefix .. 'delayed', id)
if due and tonumber(due) > now then return {'refused', ''} end
leave()
-- A Redis that was killed may have lost its last second; the journal then knows of a newer token than the record.
if tonumber(get('token') or '0') < floor_token then redis.call('HSET', record, 'token', text(floor_token)) end
if tonumber(get('rev') or '0') < floor_rev then redis.call('HSET', record, 'rev', text(floor_rev)) end
local token = redis.call('HINCRBY', record, 'token', 1)
local attempt = redis.call('HINCRBY', record, 'attempt', 1)
redis.call('HINCRBY', record, 'tries', 1)
redis.call('HSETNX', record, 'started_at', text(now))
redis.call('HSET', record, 'status', 'running', 'claim', nonce)
redis.call('ZADD', prefix .. 'leases', text(now + lease), id)
event('info', 'Attempt ' .. attempt .. ' started.')
changed()
return {'claimed', tostring(token)}
"""

BEAT = """
local token, lease, progress, message, data = ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5], ARGV[6]
if not get('status') then return 'gone' end
if not holds(token) then
  -- queued again (its lease ran out, or Redis was emptied), but nobody has taken it yet: no sign of a frozen worker
  if get('status') == 'queued' then return 'gone' end
  -- ended by this very attempt, whose process is about to exit
  if tonumber(get('token')) == tonumber(token) then return 'ended' end
  return 'stale'
end
redis.call('ZADD', prefix .. 'leases', 'XX', text(now + lease), id)
if progress ~= '' then redis.call('HSET', record, 'progress', progress) end
if message ~= '' then event('info', message, 'metrics', data) end
if get('cancel') == '1' then return 'cancel' end
return 'held'
"""

EVENT = """
if not holds(ARGV[2]) then return 'stale' end
event(ARGV[3], ARGV[4], ARGV[5], ARGV[6])
return 'held'
"""

CHECKPOINT = """
local step, metrics = tonumber(ARGV[3]), ARGV[4]
if not holds(ARGV[2]) then return 'stale' end
local number = redis.call('HINCRBY', record, 'saved', 1)
redis.call('RPUSH', record .. ':checkpoints', cjson.encode({number, text(now), step, metrics}))
redis.call('LTRIM', record .. ':checkpoints', -200, -1)
if step > tonumber(get('mark') or '-1') then redis.call('HSET', record, 'mark', step, 'tries', 0) end
return 'held'
"""

FINISH = """
local token, status, result, failure, progress = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
if get('token') == token and get('status') == status then return 'held' end
if not holds(token) then return 'stale' end
if result ~= '' then redis.call('HSET', record, 'result', result) end
if failure ~= '' then redis.call('HSET', record, 'error', failure) end
if progress ~= '' then redis.call('HSET', record, 'progress', progress) end
ended(status, ARGV[7], ARGV[8])
return 'held'
"""

RELEASE = """
if not holds(ARGV[2]) then return 'stale' end
if get('cancel') == '1' then ended('cancelled', 'info', 'Job cancelled.') return 'ended' end
redis.call('HINCRBY', record, 'attempt', -1)
if tonumber(get('tries') or '0') > 0 then redis.call('HINCRBY', record, 'tries', -1) end
queued_again(0, 'info', ARGV[3])
return 'queued'
"""

LOST = """
local token, expired, attempts, failure = ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
if expired == '1' then
  local lease = redis.call('ZSCORE', prefix .. 'leases', id)
  if not lease or tonumber(lease) > now then return 'stale' end
  token = get('token')
end
if not holds(token) then return 'stale' end
if get('cancel') == '1' then ended('cancelled', 'info', 'Job cancelled.') return 'ended' end
local tries = tonumber(get('tries') or '0')
if tries >= attempts then
  redis.call('HSET', record, 'error', failure)
  ended('failed', 'error', 'The job ended with its worker process too often without getting further.')
  return 'ended'
end
local delay = 0
if tries >= 2 then delay = tonumber(ARGV[math.min(4 + tries, #ARGV)]) end
queued_again(delay, 'warn', 'The worker process was lost; the job starts again from its last checkpoint.')
return delay > 0 and 'delayed' or 'queued'
"""

CANCEL = """
local status = get('status')
if not status then return 'gone' end
if status == 'running' then
  if get('cancel') ~= '1' then
    redis.call('HSET', record, 'cancel', '1')
    event('info', 'Cancellation requested.')
    changed()
  end
elseif status == 'queued' or status == 'validating_files' then
  redis.call('HSET', record, 'cancel', '1')
  ended('cancelled', 'info', 'Job cancelled before it started.')
end
return status
"""

RESTORE = f"""
local created, owner, status, digest, fingerprint, import, age =
  ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8])
if tonumber(get('rev') or '-1') >= tonumber(ARGV[9]) then return 'known' end
leave()
redis.call('HDEL', record, 'result', 'error', 'started_at', 'finished_at', 'claim')
redis.call('SREM', prefix .. 'owner:' .. owner, id)
for field = 10, #ARGV, 2 do redis.call('HSET', record, ARGV[field], ARGV[field + 1]) end
redis.call('ZADD', prefix .. 'jobs', created, id)
if digest ~= '' and age < {IDEMPOTENCY_SECONDS} then
  redis.call('HSET', prefix .. 'idem:' .. digest, 'fingerprint', fingerprint, 'id', id)
  redis.call('EXPIRE', prefix .. 'idem:' .. digest, {IDEMPOTENCY_SECONDS} - age)
end
if import ~= '' then
  local newest = redis.call('HGET', prefix .. 'imports', import)
  local at = newest and redis.call('ZSCORE', prefix .. 'jobs', newest)
  if not at or tonumber(at) < tonumber(created) then redis.call('HSET', prefix .. 'imports', import, id) end
end
if status ~= 'unfinished' then return 'restored' end
redis.call('HINCRBY', record, 'token', 1)
redis.call('SADD', prefix .. 'owner:' .. owner, id)
if get('cancel') == '1' then ended('cancelled', 'info', 'Job cancelled.') return 'restored' end
queued_again(0, 'warn', 'The queue lost its memory; the job was restored and goes on from its last checkpoint.')
return 'queued'
"""

JOURNALED = """
if get('rev') == ARGV[2] or not get('rev') then redis.call('SREM', prefix .. 'dirty', id) end
return 'ok'
"""

SCRIPTS: dict[str, str] = {
    "submit": PRELUDE + SUBMIT,
    "claim": PRELUDE + CLAIM,
    "beat": PRELUDE + BEAT,
    "event": PRELUDE + EVENT,
    "checkpoint": PRELUDE + CHECKPOINT,
    "finish": PRELUDE + FINISH,
    "release": PRELUDE + RELEASE,
    "lost": PRELUDE + LOST,
    "cancel": PRELUDE + CANCEL,
    "restore": PRELUDE + RESTORE,
    "journaled": PRELUDE + JOURNALED,
}
