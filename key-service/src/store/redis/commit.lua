-- A commit: all changes or none. Redis runs a script alone, and writes it to the append-only file as one transaction.
--
-- KEYS: the tenant's index, then the records.
-- ARGV: a nonce; 'commit', or 'judge' to look only; then for each record: its identifier, the version that is to be
--       stored now ('' for none), and the new value.
-- Answers the nonce and 'done', 'taken' (identifier), 'conflict' or 'name'.
local index = KEYS[1]
local FIXED = 21

-- The index entries of a record, from the head of its value. A unique one (a name) is mapped to what all entries of
-- that name begin with.
local function read_entries(identifier, fixed, keys, entries)
    local place = string.sub(fixed, 10, 17) .. identifier
    local at = 1
    while at <= #keys do
        local length = string.byte(keys, at + 1)
        local prefix = string.sub(keys, at + 1, at + 1 + length)
        entries[prefix .. place] = string.byte(keys, at) == 1 and prefix
        at = at + 2 + length
    end
    entries['\0' .. place] = false
end

local function keys_length(fixed)
    local a, b, c, d = string.byte(fixed, 18, 21)
    return ((a * 256 + b) * 256 + c) * 256 + d
end

local before, after = {}, {}
for i = 2, #KEYS do
    local identifier, version, value = ARGV[3 * i - 3], ARGV[3 * i - 2], ARGV[3 * i - 1]
    local fixed = redis.call('GETRANGE', KEYS[i], 0, FIXED - 1)
    if string.sub(fixed, 2, 9) ~= version then
        return { ARGV[1], version == '' and 'taken' or 'conflict' }
    end
    if fixed ~= '' then
        local keys = redis.call('GETRANGE', KEYS[i], FIXED, FIXED + keys_length(fixed) - 1)
        read_entries(identifier, fixed, keys, before)
    end
    read_entries(identifier, value, string.sub(value, FIXED + 1, FIXED + keys_length(value)), after)
end
if ARGV[2] == 'judge' then
    return { ARGV[1], 'done' }
end

-- A name may be held by nobody else after the commit.
local claims = {}
for entry, name in pairs(after) do
    if name then
        local holder = redis.call('ZRANGEBYLEX', index, '[' .. name, '(' .. name .. string.rep('\255', 9), 'LIMIT', 0, 1)[1]
        if claims[name] or (holder and before[holder] == nil) then
            return { ARGV[1], 'name' }
        end
        claims[name] = true
    end
end

for entry in pairs(before) do
    if after[entry] == nil then
        redis.call('ZREM', index, entry)
    end
end
for entry in pairs(after) do
    if before[entry] == nil then
        redis.call('ZADD', index, 0, entry)
    end
end
for i = 2, #KEYS do
    redis.call('SET', KEYS[i], ARGV[3 * i - 1])
end
return { ARGV[1], 'done' }
