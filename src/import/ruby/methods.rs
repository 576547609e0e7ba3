//! Functions of Lua that do what Ruby's methods do, for the code that needs them.
//!
//! In: none. Out: code by name. Promises: a function names none but those before it. On failure: none.

/// Functions that the code needs, by name.
pub(super) const FUNCTIONS: [(&str, &str); 39] = [
    (
        "to_i",
        "local function to_i(v)\n  \
           local n = tonumber(tostring(v):match('^%s*[+-]?%d+'))\n  \
           return n and math.floor(n) or 0\nend",
    ),
    (
        "to_f",
        "local function to_f(v)\n  \
           return (tonumber(tostring(v):match('^%s*[+-]?%d*%.?%d*')) or 0) + 0.0\nend",
    ),
    (
        "div",
        "local function div(a, b)\n  \
           if math.type(a) == 'integer' and math.type(b) == 'integer' then return a // b end\n  \
           return a / b\nend",
    ),
    (
        "add",
        "local function add(a, b)\n  if type(a) == 'string' then return a .. b end\n  \
           if type(a) ~= 'table' then return a + b end\n  \
           local out = list{table.unpack(a)}\n  \
           for _, x in ipairs(b) do out[#out + 1] = x end\n  return out\nend",
    ),
    ("text", "local function text(v)\n  if v == nil then return '' end\n  return tostring(v)\nend"),
    (
        "item",
        "local function item(v, i)\n  \
           if type(v) == 'table' and v[0] ~= nil then return v[i] end\n  \
           if type(v) == 'table' and math.type(i) == 'integer' then\n    \
             return v[i < 0 and #v + i + 1 or i + 1]\n  end\n  \
           if type(v) == 'string' then return i < 0 and v:sub(i, i) or v:sub(i + 1, i + 1) end\n  \
           return v and v[i]\nend",
    ),
    (
        "parts",
        "local function parts(v, by, most)\n  local list, from = {}, 1\n  while true do\n    \
           local at, to = v:find(by, from, true)\n    \
           if most and #list + 1 == most then at = nil end\n    \
           list[#list + 1] = v:sub(from, at and at - 1)\n    \
           if not at then break end\n    from = to + 1\n  end\n  \
           while not most and list[#list] == '' do list[#list] = nil end\n  return list\nend",
    ),
    (
        "values",
        "local function values(v)\n  local out = list{}\n  \
           for _, x in pairs(v) do out[#out + 1] = x end\n  return out\nend",
    ),
    (
        "sum",
        "local function sum(v)\n  local n = 0\n  for _, x in ipairs(v) do n = n + x end\n  return n\nend",
    ),
    (
        "fetched",
        "local function fetched(v, name, usual)\n  local x = v[name]\n  \
           if x == nil then return usual end\n  return x\nend",
    ),
    (
        "unescaped",
        "local function unescaped(v)\n  \
           return (v:gsub('%%(%x%x)', function(x) return string.char(tonumber(x, 16)) end))\nend",
    ),
    (
        "decoded",
        "local function decoded(v)\n  \
           local set = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'\n  \
           local out, bits, n = {}, 0, 0\n  \
           for c in v:gmatch('[%w+/]') do\n    \
             bits, n = (bits << 6 | set:find(c, 1, true) - 1) & 0xffff, n + 6\n    \
             if n >= 8 then\n      n = n - 8\n      \
               out[#out + 1] = string.char(bits >> n & 255)\n    end\n  end\n  \
           return table.concat(out)\nend",
    ),
    (
        "slice",
        "local function slice(v, from, to)\n  \
           local n = #v\n  \
           if from < 0 then from = n + from end\n  \
           if to < 0 then to = n + to end\n  \
           if from < 0 or from > n then return nil end\n  \
           if type(v) == 'string' then return v:sub(from + 1, to + 1) end\n  \
           return list{table.unpack(v, from + 1, math.min(to + 1, n))}\nend",
    ),
    (
        "is_list",
        "local function is_list(v)\n  \
           return type(v) == 'table' and (#v > 0 or next(v) == nil)\nend",
    ),
    (
        "uniq",
        "local function uniq(v)\n  local known, out = {}, list{}\n  \
           for _, x in ipairs(v) do\n    \
             if not known[x] then known[x] = true; out[#out + 1] = x end\n  end\n  return out\nend",
    ),
    (
        "to_a",
        "local function to_a(v)\n  \
           if v == nil then return list{} end\n  \
           return type(v) == 'table' and v or list{v}\nend",
    ),
    (
        "leading",
        "local function leading(v, n)\n  return list{table.unpack(v, 1, math.min(n, #v))}\nend",
    ),
    (
        "place",
        "local function place(v, x)\n  \
           for i, own in ipairs(v) do if own == x then return i - 1 end end\nend",
    ),
    (
        "sorted",
        "local function sorted(v)\n  local out = list{table.unpack(v)}\n  table.sort(out)\n  return out\nend",
    ),
    (
        "zipped",
        "local function zipped(names, values)\n  local out = {}\n  \
           for i, name in ipairs(names) do out[name] = values[i] end\n  return out\nend",
    ),
    (
        "csv",
        "local function csv(v)\n  local out, at = list{}, 1\n  while true do\n    \
           local field, to = v:match('^\"(.-)\"()', at)\n    \
           while field and v:sub(to, to) == '\"' do\n      \
             local more, past = v:match('^(.-)\"()', to + 1)\n      \
             if not more then error('a quote is not closed') end\n      \
             field, to = field .. '\"' .. more, past\n    end\n    \
           if not field then field, to = v:match('^([^,]*)()', at) end\n    \
           out[#out + 1] = field\n    \
           if v:sub(to, to) ~= ',' then return out end\n    at = to + 1\n  end\nend",
    ),
    (
        "ref",
        "local function ref(name)\n  name = name:gsub('([\\\\.])', '\\\\%1')\n  \
           if name:sub(1, 1) ~= '[' then return name end\n  \
           return (name:gsub('^%[', ''):gsub('%]$', ''):gsub('%]%[', '.'))\nend",
    ),
    (
        "matched",
        "local caught\nlocal function matched(v, pattern)\n  \
           caught = v ~= nil and regex.match(v, pattern) or nil\n  return caught\nend",
    ),
    (
        "is_empty",
        "local function is_empty(v)\n  if type(v) == 'table' then return next(v) == nil end\n  \
           return #v == 0\nend",
    ),
    (
        "size",
        "local function size(v)\n  \
           if type(v) == 'string' then return utf8.len(v) or #v end\n  \
           local n = #v\n  \
           if n == 0 then for _ in pairs(v) do n = n + 1 end end\n  return n\nend",
    ),
    (
        "includes",
        "local function includes(v, x)\n  \
           if type(v) == 'string' then return v:find(x, 1, true) ~= nil end\n  \
           if #v == 0 then return v[x] ~= nil end\n  \
           for _, own in ipairs(v) do if own == x then return true end end\n  return false\nend",
    ),
    (
        "dig",
        "local function dig(v, ...)\n  \
           for _, name in ipairs({...}) do\n    \
             if v == nil then return nil end\n    \
             if math.type(name) == 'integer' then v = v[name < 0 and #v + name + 1 or name + 1]\n    \
             else v = v[name] end\n  end\n  return v\nend",
    ),
    (
        "set_at",
        "local function set_at(v, i, x)\n  \
           if math.type(i) == 'integer' and (#v > 0 or getmetatable(v)) then\n    \
             i = i < 0 and #v + i + 1 or i + 1\n  end\n  v[i] = x\nend",
    ),
    (
        "appended",
        "local function appended(v, x)\n  if type(v) == 'string' then return v .. x end\n  \
           v[#v + 1] = x\n  return v\nend",
    ),
    (
        "keys",
        "local function keys(v)\n  local out = list{}\n  \
           for k in pairs(v) do out[#out + 1] = k end\n  table.sort(out)\n  return out\nend",
    ),
    (
        "merged",
        "local function merged(a, b)\n  local out = {}\n  \
           for k, v in pairs(a) do out[k] = v end\n  \
           for k, v in pairs(b) do out[k] = v end\n  return out\nend",
    ),
    (
        "mapped",
        "local function mapped(v, f)\n  local out = list{}\n  \
           for i, x in ipairs(v) do out[i] = f(x) end\n  return out\nend",
    ),
    (
        "chosen",
        "local function chosen(v, wanted, f)\n  \
           if #v == 0 and next(v) ~= nil then\n    local out = {}\n    \
             for k, x in pairs(v) do if (not f(k, x)) ~= wanted then out[k] = x end end\n    \
             return out\n  end\n  local out = list{}\n  \
           for _, x in ipairs(v) do if (not f(x)) ~= wanted then out[#out + 1] = x end end\n  \
           return out\nend",
    ),
    (
        "found",
        "local function found(v, f)\n  \
           for _, x in ipairs(v) do if f(x) then return x end end\nend",
    ),
    (
        "some",
        "local function some(v, wanted, f)\n  \
           for _, x in ipairs(v) do if (not f(x)) ~= wanted then return true end end\n  \
           return false\nend",
    ),
    (
        "compact",
        "local function compact(v)\n  local out, most = list{}, 0\n  \
           for i in pairs(v) do most = math.type(i) == 'integer' and math.max(most, i) or most end\n  \
           if most == 0 then return v end\n  \
           for i = 1, most do out[#out + 1] = v[i] end\n  return out\nend",
    ),
    (
        "flat",
        "local function flat(v)\n  local out = list{}\n  \
           for _, x in ipairs(v) do\n    \
             if type(x) ~= 'table' then out[#out + 1] = x else\n      \
               for _, y in ipairs(flat(x)) do out[#out + 1] = y end\n    end\n  end\n  \
           return out\nend",
    ),
    (
        "variable",
        "local function variable(name)\n  local v = event:get(name)\n  \
           if v ~= '' then return v end\nend",
    ),
    (
        "parsed",
        "local function parsed(v, form)\n  local t = date.parse(v, form)\n  \
           if not t then error('no time: ' .. v) end\n  return t\nend",
    ),
];
