-- A part of the records of a tenant, found by their keys: the index is not asked.
--
-- KEYS: the tenant's index, which leads to the node that has the records. ARGV: a nonce; what the keys of records begin
-- with; the cursor; how many keys of the node to look at, whosever they are.
-- Answers the nonce, the next cursor, and pairs: identifier, value.
local nonce, records, cursor, count = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

-- Nothing in it has a meaning in a pattern (layout.rs, `prefix`).
local found = redis.call('SCAN', cursor, 'MATCH', records .. '*', 'COUNT', count)
local answer = { nonce, found[1] }
for _, key in ipairs(found[2]) do
    answer[#answer + 1] = string.sub(key, #records + 1)
    answer[#answer + 1] = redis.call('GET', key) or ''
end
return answer
