-- States as text, written as Go writes them: {"TaskUUID":..,"TaskName":..,"State":..,...,"CreatedAt":..,"TTL":..}

-- What a stored state says: whether it is final, the text up to its name, the text from its time on. Nothing for what is
-- no state.
local function parse_state(text)
  local at = string.find(text, ',"State":"', 1, true)
  local tail = string.find(text, ',"CreatedAt":"', -80, true)
  if at and tail and string.sub(text, 1, 13) == '{"TaskUUID":"' then
    local state = string.sub(text, at + 10, at + 17)
    return state == 'SUCCESS"' or state == 'FAILURE"', string.sub(text, 1, at - 1), string.sub(text, tail)
  end
  local decoded, state = pcall(cjson.decode, text)
  if decoded and type(state) == 'table' and state.State then
    local uuid, name = cjson.encode(state.TaskUUID or ''), cjson.encode(state.TaskName or '')
    local created = cjson.encode(state.CreatedAt or '0001-01-01T00:00:00Z')
    return state.State == 'SUCCESS' or state.State == 'FAILURE',
      '{"TaskUUID":' .. uuid .. ',"TaskName":' .. name, ',"CreatedAt":' .. created .. ',"TTL":0}'
  end
end
