-- Fields of what a process holds: "number:nonce", with ":s:claims:crashes" or ":u:priority:place" where it is no
-- ordinary message.

local function by_number(fields)
  local numbers = {}
  for i = 1, #fields do numbers[fields[i]] = tonumber(string.match(fields[i], '^%d+')) end
  table.sort(fields, function(left, right) return numbers[left] < numbers[right] end)
  return fields
end

-- Puts back what came to a process that waited and has not claimed it.
local function return_landed(landing, queue)
  while true do
    local body = redis.call('RPOP', landing)
    if not body then break end
    redis.call('LPUSH', queue, body)
  end
end

-- Puts a message where it came from: at the head of its list, or at its old place among the urgent.
local function put_back(field, body, queue, suspects, urgent, bell)
  local claims_and_crashes = string.match(field, ':s:(%d+:%d+)$')
  local priority, place = string.match(field, ':u:(%d+):(%d+)$')
  if claims_and_crashes then
    redis.call('LPUSH', suspects, claims_and_crashes .. ':' .. body)
  elseif priority then
    redis.call('ZADD', urgent, -priority, place .. body)
    ring(bell, urgent)
  else
    redis.call('LPUSH', queue, body)
  end
end
