package redisstore

// Each script returns two strings: what became of the operation, and a record as it is stored, or nothing.
const (
	done       = "done"       // it was carried out; the record is what was there before
	conflict   = "conflict"   // the record is in the way, and nothing was written
	lost       = "lost"       // the record has another owner, or none, or is gone
	unreadable = "unreadable" // what is there is no record; it stands for the record
)

// prelude reads the record at KEYS[1] into r, and its text into raw. What it holds that is no record sets bad.
const prelude = `
local raw, r, bad = redis.pcall('GET', KEYS[1]), nil, false
if type(raw) == 'table' then
  raw, bad = raw.err, true
elseif raw then
  local ok, decoded = pcall(cjson.decode, raw)
  if ok and type(decoded) == 'table' then
    r = decoded
    for name, value in pairs(r) do
      if value == cjson.null then r[name] = nil end
    end
  end
  local lease = r and r.in_progress_expiration
  bad = not r or type(r.expiration) ~= 'number' or (lease ~= nil and type(lease) ~= 'number')
end
local function live(now_ms, now_s)
  if r.status == 'INPROGRESS' and r.in_progress_expiration then
    return r.in_progress_expiration >= tonumber(now_ms)
  end
  return r.expiration >= tonumber(now_s)
end
local function owned(owner)
  return raw and not bad and owner ~= '' and r.owner == owner
end
-- The second in which the record is over.
local function over()
  return math.max(r.expiration, math.ceil((r.in_progress_expiration or 0) / 1000))
end
-- Writes r, whose key expires as much later or earlier than before as the record does.
local function rewrite(before)
  local left = redis.call('PTTL', KEYS[1])
  redis.call('SET', KEYS[1], cjson.encode(r))
  if left >= 0 then
    redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.max(left + (over() - before) * 1000, 1000)))
  end
end
`

// insertScript takes the time in milliseconds and in seconds, the new record, and for how many milliseconds to keep it.
const insertScript = prelude + `
if raw and bad then return {'unreadable', raw} end
if raw and live(ARGV[1], ARGV[2]) then return {'conflict', raw} end
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
return {'done', raw or ''}
`

const getScript = prelude + `
if raw and bad then return {'unreadable', raw} end
return {'done', raw or ''}
`

// completeScript takes the owner, the expiration, and the result, if there is one.
const completeScript = prelude + `
if not owned(ARGV[1]) then return {'lost', ''} end
local before = over()
r.status, r.expiration, r.data = 'COMPLETED', tonumber(ARGV[2]), ARGV[3]
rewrite(before)
return {'done', ''}
`

// releaseScript takes the owner.
const releaseScript = prelude + `
if not raw then return {'done', ''} end
if not owned(ARGV[1]) or r.status ~= 'INPROGRESS' then return {'lost', ''} end
redis.call('DEL', KEYS[1])
return {'done', ''}
`

// renewScript takes the owner, the end of the lease in milliseconds, and the expiration.
const renewScript = prelude + `
if not owned(ARGV[1]) or r.status ~= 'INPROGRESS' then return {'lost', ''} end
local before = over()
r.in_progress_expiration, r.expiration = tonumber(ARGV[2]), tonumber(ARGV[3])
rewrite(before)
return {'done', ''}
`

// forgetScript takes the time in milliseconds and in seconds.
const forgetScript = prelude + `
if raw and not bad and r.status == 'INPROGRESS' and live(ARGV[1], ARGV[2]) then return {'conflict', raw} end
redis.call('DEL', KEYS[1])
return {'done', ''}
`
