local cjson = require "cjson.safe"

function shape(tag, timestamp, record)
  local inner = cjson.decode(record["log"])
  if inner then
    record["inner"] = cjson.encode(inner)
  end
  return 2, timestamp, record
end
