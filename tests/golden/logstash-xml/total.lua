-- The sum of the prices of an order.
local function sum(items)
  local total = 0
  for _, item in ipairs(items) do
    total = total + tonumber(item.price)
  end
  return total
end

if event.level == "debug" then
  event:drop()
  return
end

local doc = event:get("doc")
if doc then
  event:set("total", sum(doc.item))
  event:tag("order")
end
event.broken = event.fail and event.fail.x.y
