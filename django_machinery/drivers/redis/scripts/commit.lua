-- Writes states, sends messages and settles deliveries: an item at a time, each as a whole or not at all.
--
-- KEYS: the states in the order in which they are written, then places: hashes, lists, sorted sets, counters.
-- ARGV: seconds that states are kept, the end of a state that is made now, how many of KEYS are states, the types of the
-- places ("lhz"), then for each item
--   "place:settles:decides:modes:messages": the index of the hash that its delivery is in (0: it ends none), whether to
--     take it off there, whether its first state says if the item counts, a letter for each of its states (N anew, A if
--     absent, S a step), the number of its messages
--   the field of its delivery, if it ends one
--   for each state: its name (or all up to there, where the key is not its own JSON), and the text from there to its time
--   for each message: a letter and the index of its place, then
--     L, a list: body; D, a sorted set: score, body; U, by priority: -priority, body, counted by the next place, rung by
--     the one after it
-- Returns for each item: 0 not ours any more, 1 done, 2 overtaken by a final state, 3 done: a final state starts anew.

local LOST, DONE, OVERTAKEN, ANEW = 0, 1, 2, 3
local TYPES = { l = 'list', h = 'hash', z = 'zset', s = 'string' }
local ABSENT_MODE, STEP_MODE = string.byte('AS', 1, 2)
local call, byte, sub, KEYS, ARGV = redis.call, string.byte, string.sub, KEYS, ARGV
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
  local is, wanted = call('TYPE', key).ok, TYPES[sub(types, i, i)]
  if is ~= wanted and is ~= 'none' then return redis.error_reply('WRONGTYPE ' .. key .. ' is a ' .. is) end
end

local items, places, lists = {}, {}, {}
local has_written = false

local function parse_item(text)
  local place, settles, decides, modes, messages = string.match(text, '^(%d+):(%d):(%d):(%u*):(%d+)$')
  local item = {
    held = place ~= '0' and KEYS[state_count + place],
    check = settles == '1' and 'HDEL' or 'HEXISTS',
    decides = decides == '1',
    modes = modes,
    states = #modes,
    messages = tonumber(messages),
  }
  items[text] = item
  return item
end

local function set_state(key, mode, name, body)
  if mode == ABSENT_MODE and stored[key] then return OVERTAKEN end
  local final, head, tail = finals[key], heads[key], tails[key]
  if mode == STEP_MODE and final then return OVERTAKEN end
  if mode ~= STEP_MODE or not head then
    head = byte(name) == 123 and name or '{"TaskUUID":"' .. key .. '","TaskName":' .. name
    tail = now
  end
  if mode == STEP_MODE and not has_written then
    call('EXPIRE', key, keep) -- a write that adds nothing: after it a full Redis lets steps pass, but nothing new
  end
  has_written = true
  call('SET', key, head .. body .. tail, 'EX', keep)
  stored[key], heads[key], tails[key] = true, head, tail
  local state = sub(body, 11, 18)
  finals[key] = state == 'SUCCESS"' or state == 'FAILURE"'
  return final and ANEW or DONE
end

-- Sends the message at ARGV[at]; returns where the next one is.
local function send(at)
  local place = places[ARGV[at]]
  if not place then
    place = { kind = sub(ARGV[at], 1, 1), index = state_count + sub(ARGV[at], 2) }
    places[ARGV[at]] = place
  end
  local key = KEYS[place.index]
  if place.kind == 'L' then
    local list = lists[key]
    if list then list[#list + 1] = ARGV[at + 1] else lists[key] = { ARGV[at + 1] } end
    return at + 2
  end
  local score, body = ARGV[at + 1], ARGV[at + 2]
  if place.kind == 'U' then
    call('ZADD', key, score, string.format('%016d', call('INCR', KEYS[place.index + 1])) .. body)
    ring(KEYS[place.index + 2], key)
  else
    call('ZADD', key, score, body)
  end
  return at + 3
end

-- Where the item after the messages from ARGV[at] on begins.
local function skip(at, messages)
  for _ = 1, messages do at = at + (byte(ARGV[at]) == 76 and 2 or 3) end
  return at
end

local verdicts, count, next_state, at = {}, #ARGV, 1, 5
while at <= count do
  local item = items[ARGV[at]] or parse_item(ARGV[at])
  local verdict, field = DONE, nil
  at = at + 1
  if item.held then
    field, at = ARGV[at], at + 1
  end
  if item.decides and byte(item.modes) == STEP_MODE and finals[KEYS[next_state]] then
    verdict = OVERTAKEN
    if field and call('HEXISTS', item.held, field) == 0 then verdict = LOST end
  elseif field and call(item.check, item.held, field) == 0 then
    verdict = LOST
  end
  if verdict == DONE then
    for i = 1, item.states do
      local key, mode = KEYS[next_state + i - 1], byte(item.modes, i)
      local result = set_state(key, mode, ARGV[at + 2 * i - 2], ARGV[at + 2 * i - 1])
      if i == 1 and item.decides then verdict = result end
    end
    at = at + 2 * item.states
    for _ = 1, item.messages do at = send(at) end
  else
    at = skip(at + 2 * item.states, item.messages)
  end
  next_state = next_state + item.states
  verdicts[#verdicts + 1] = verdict
end

for key, list in pairs(lists) do
  for i = 1, #list, 4000 do
    call('RPUSH', key, unpack(list, i, math.min(i + 3999, #list)))
  end
end
return verdicts
