-- Writes states, sends messages and settles deliveries: an item at a time, each as a whole or not at all.
--
-- KEYS: the states in the order in which they are written, then places: hashes, lists, sorted sets, counters.
-- ARGV: seconds that states are kept, the end of a state that is made now, how many of KEYS are states, the types of the
-- places ("lhz"), then for each item
--   field       of the delivery that it ends, "" if it ends none; then the index of its hash among the places
--   settle      "1": take the delivery off the hash;  decides  "1": its first state says whether the item counts
--   states      their number, messages  their number
--   each state: mode ("N" anew, "A" if absent, "S" a step), the text up to its name, the text from there to its time
--   each message: kind, the index of its place, score, body
--     "L" list; "D" sorted set by score; "U" by priority = -score, counted by the next place, rung by the one after it
-- Returns for each item: 0 not ours any more, 1 done, 2 overtaken by a final state, 3 done: a final state starts anew.

local LOST, DONE, OVERTAKEN, ANEW = 0, 1, 2, 3
local TYPES = { l = 'list', h = 'hash', z = 'zset', s = 'string' }
local call, KEYS, ARGV = redis.call, KEYS, ARGV
local keep, now, state_count, types = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]

-- All that can fail does so before anything is written.
local stored, finals, heads, tails = {}, {}, {}, {}
for i = 1, state_count do
  local key = KEYS[i]
  if stored[key] == nil then
    local text = call('GET', key)
    stored[key] = text
    if text then finals[key], heads[key], tails[key] = parse_state(text) end
  end
end
for i = 1, #types do
  local key = KEYS[state_count + i]
  local is, wanted = call('TYPE', key).ok, TYPES[string.sub(types, i, i)]
  if is ~= wanted and is ~= 'none' then return redis.error_reply('WRONGTYPE ' .. key .. ' is a ' .. is) end
end

local lists = {}
local next_state, at = 1, 5

local function set_state(key, mode, head, body)
  if mode == 'A' and stored[key] then return OVERTAKEN end
  local final, tail = finals[key], now
  if mode == 'S' then
    if final then return OVERTAKEN end
    head, tail = heads[key] or head, tails[key] or now
  end
  call('SET', key, head .. body .. tail, 'EX', keep)
  stored[key], heads[key], tails[key] = true, head, tail
  finals[key] = string.sub(body, 11, 17) == 'SUCCESS' or string.sub(body, 11, 17) == 'FAILURE'
  return final and ANEW or DONE
end

local function send(kind, index, score, body)
  local key = KEYS[state_count + index]
  if kind == 'L' then
    local list = lists[key]
    if list then list[#list + 1] = body else lists[key] = { body } end
  elseif kind == 'D' then
    call('ZADD', key, score, body)
  else
    local place = call('INCR', KEYS[state_count + index + 1])
    call('ZADD', key, score, string.format('%016d', place) .. body)
    call('RPUSH', KEYS[state_count + index + 2], '')
  end
end

-- Whether the item counts: it ends a delivery that is still ours, and its task is not final yet.
local function judge(field, held, settle, decides)
  if decides and ARGV[at] == 'S' and finals[KEYS[next_state]] then
    if field ~= '' and call('HEXISTS', held, field) == 0 then return LOST end
    return OVERTAKEN
  end
  if field == '' then return DONE end
  return call(settle and 'HDEL' or 'HEXISTS', held, field) == 1 and DONE or LOST
end

local verdicts, count = {}, #ARGV
while at <= count do
  local field, held = ARGV[at], KEYS[state_count + ARGV[at + 1]]
  local settle, decides = ARGV[at + 2] == '1', ARGV[at + 3] == '1'
  local states, messages = tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5])
  at = at + 6
  local verdict = judge(field, held, settle, decides)
  if verdict == DONE then
    for i = 0, states - 1 do
      local a = at + 3 * i
      local result = set_state(KEYS[next_state + i], ARGV[a], ARGV[a + 1], ARGV[a + 2])
      if i == 0 and decides then verdict = result end
    end
    for i = 0, messages - 1 do
      local a = at + 3 * states + 4 * i
      send(ARGV[a], tonumber(ARGV[a + 1]), ARGV[a + 2], ARGV[a + 3])
    end
  end
  next_state = next_state + states
  at = at + 3 * states + 4 * messages
  verdicts[#verdicts + 1] = verdict
end

for key, list in pairs(lists) do
  for i = 1, #list, 4000 do
    call('RPUSH', key, unpack(list, i, math.min(i + 3999, #list)))
  end
end
return verdicts
