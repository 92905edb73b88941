-- A page of records, as one moment has them.
--
-- KEYS: the tenant's index. ARGV: a nonce; what the keys of records begin with; what the entries begin with; the entry
-- to begin after, without that prefix ('' for none); how many records; how many bytes, about.
-- Answers the nonce, 1 if there is more to fetch for this page, and pairs: entry without its prefix, value.
local index = KEYS[1]
local nonce, records, prefix, cursor, limit, bytes = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local SEQUENCE = 8
local BEYOND = '\255'
local TIES = 1000

local first = cursor == '' and '[' .. prefix or '(' .. prefix .. cursor
local last = '(' .. prefix .. string.rep(BEYOND, SEQUENCE + 1)
local entries, more = {}, 0
if limit > 0 then
    entries = redis.call('ZRANGEBYLEX', index, first, last, 'LIMIT', 0, limit)
end
-- A page does not end between records of one sequence.
if #entries == limit and (limit > 0 or cursor ~= '') then
    local from = limit > 0 and entries[#entries] or prefix .. cursor
    local tie = string.sub(from, 1, #prefix + SEQUENCE)
    local ties = redis.call('ZRANGEBYLEX', index, '(' .. from, '(' .. tie .. BEYOND, 'LIMIT', 0, TIES)
    for _, entry in ipairs(ties) do
        entries[#entries + 1] = entry
    end
    more = #ties == TIES and 1 or 0
end

local answer = { nonce, more }
local size = 0
for _, entry in ipairs(entries) do
    if size > bytes then
        answer[2] = 1
        break
    end
    local place = string.sub(entry, #prefix + 1)
    local value = redis.call('GET', records .. string.sub(place, SEQUENCE + 1)) or ''
    answer[#answer + 1] = place
    answer[#answer + 1] = value
    size = size + #value
end
return answer
