-- States as text, written as Go writes them: {"TaskUUID":..,"TaskName":..,"State":..,...,"CreatedAt":..,"TTL":..}

local FINAL = { SUCCESS = true, FAILURE = true }

-- What a stored state says: State, the text up to its name, CreatedAt. Nothing for what is no state.
local function parse_state(text)
  local at = string.find(text, ',"State":"', 1, true)
  local created = string.match(text, ',"CreatedAt":"([^"]*)","TTL":%d+}$', -100)
  if at and created and string.sub(text, 1, 13) == '{"TaskUUID":"' then
    return string.match(text, '^%u+', at + 10), string.sub(text, 1, at - 1), created
  end
  local decoded, state = pcall(cjson.decode, text)
  if decoded and type(state) == 'table' and state.State then
    local uuid, name = cjson.encode(state.TaskUUID or ''), cjson.encode(state.TaskName or '')
    return state.State, '{"TaskUUID":' .. uuid .. ',"TaskName":' .. name, state.CreatedAt or '0001-01-01T00:00:00Z'
  end
end

-- `body` is what is between the name and the time: ,"State":..,"Results":..,"Error":..,"CreatedAt":"
local function write_state(head, body, created)
  return head .. body .. created .. '","TTL":0}'
end
