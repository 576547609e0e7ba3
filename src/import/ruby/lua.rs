//! Ruby's statements in Lua, for the filter `script`.
//!
//! In: the tree. Out: code. Promises: what Ruby's methods do with numbers, texts and nil is kept: integer division
//! rounds down, `to_i` of a text without a number is 0. On failure: `None` where a method has no counterpart.

use super::syntax::{Expression, Statement};

/// Functions that the code needs, by name.
const FUNCTIONS: [(&str, &str); 17] = [
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
        "local function add(a, b)\n  if type(a) == 'string' then return a .. b end\n  return a + b\nend",
    ),
    ("text", "local function text(v)\n  if v == nil then return '' end\n  return tostring(v)\nend"),
    (
        "item",
        "local function item(v, i)\n  \
           if type(v) == 'table' and math.type(i) == 'integer' then\n    \
             return v[i < 0 and #v + i + 1 or i + 1]\n  end\n  \
           if type(v) == 'string' then return i < 0 and v:sub(i, i) or v:sub(i + 1, i + 1) end\n  \
           return v and v[i]\nend",
    ),
    (
        "parts",
        "local function parts(v, by)\n  local list, from = {}, 1\n  while true do\n    \
           local at, to = v:find(by, from, true)\n    \
           list[#list + 1] = v:sub(from, at and at - 1)\n    \
           if not at then return list end\n    from = to + 1\n  end\nend",
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
];

/// The code of statements.
pub(super) fn code(statements: &[Statement]) -> Option<String> {
    let mut writer = Writer { out: String::new(), needs: Vec::new() };
    writer.block(statements, 0)?;
    let functions = FUNCTIONS.iter().filter(|(name, _)| writer.needs.contains(name));
    let head: String = functions.map(|(_, code)| format!("{code}\n")).collect();
    Some(head + &writer.out)
}

struct Writer {
    out: String,
    needs: Vec<&'static str>,
}

impl Writer {
    fn need(&mut self, name: &'static str) -> &'static str {
        if !self.needs.contains(&name) {
            self.needs.push(name);
        }
        name
    }

    fn line(&mut self, indent: usize, text: &str) {
        self.out.push_str(&"  ".repeat(indent));
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn block(&mut self, statements: &[Statement], indent: usize) -> Option<()> {
        for statement in statements {
            match statement {
                Statement::SetNamed(name, value) => {
                    let (name, value) = (self.value(name)?, self.value(value)?);
                    let reference = self.need("ref");
                    self.line(indent, &format!("event:set({reference}({name}), {value})"));
                }
                Statement::RemoveNamed(name) => {
                    let name = self.value(name)?;
                    let reference = self.need("ref");
                    self.line(indent, &format!("event:remove({reference}({name}))"));
                }
                Statement::Push(name, value) => {
                    let (list, value) = (variable(name), self.value(value)?);
                    self.line(indent, &format!("{list}[#{list} + 1] = {value}"));
                }
                Statement::DeleteAt(name, place) => {
                    let (list, place) = (variable(name), self.value(place)?);
                    self.line(indent, &format!("table.remove({list}, {place} + 1)"));
                }
                Statement::Next => self.line(indent, "goto continue"),
                Statement::Each(value, names, body) => self.each(value, names, body, indent)?,
                Statement::Set(field, value) => {
                    let value = self.value(value)?;
                    self.line(
                        indent,
                        &format!("event:set({}, {value})", quoted(&super::path(field))),
                    );
                }
                Statement::Remove(field) => {
                    self.line(indent, &format!("event:remove({})", quoted(&super::path(field))));
                }
                Statement::Tag(tag) => self.line(indent, &format!("event:tag({})", quoted(tag))),
                Statement::Cancel => self.line(indent, "event:drop()"),
                Statement::Let(name, value) => {
                    let value = self.value(value)?;
                    self.line(indent, &format!("{} = {value}", variable(name)));
                }
                Statement::If(condition, then, otherwise) => {
                    let condition = self.value(condition)?;
                    self.line(indent, &format!("if {condition} then"));
                    self.block(then, indent + 1)?;
                    if !otherwise.is_empty() {
                        self.line(indent, "else");
                        self.block(otherwise, indent + 1)?;
                    }
                    self.line(indent, "end");
                }
            }
        }
        Some(())
    }

    fn each(
        &mut self,
        value: &Expression,
        names: &[String],
        body: &[Statement],
        indent: usize,
    ) -> Option<()> {
        let names: Vec<String> = names.iter().map(|name| variable(name)).collect();
        let head = match (value, names.as_slice()) {
            (Expression::Call(inner, method, arguments), [key])
                if method == "keys" && arguments.is_empty() =>
            {
                format!("for {key} in pairs({}) do", self.value(inner)?)
            }
            (value, [item]) => format!("for _, {item} in ipairs({}) do", self.value(value)?),
            (value, [key, item]) => {
                format!("for {key}, {item} in pairs({}) do", self.value(value)?)
            }
            _ => return None,
        };
        self.line(indent, &head);
        self.block(body, indent + 1)?;
        if leaves(body) {
            self.line(indent + 1, "::continue::");
        }
        self.line(indent, "end");
        Some(())
    }

    fn value(&mut self, expression: &Expression) -> Option<String> {
        Some(match expression {
            Expression::Named(name) => {
                let name = self.value(name)?;
                format!("event:get({}({name}))", self.need("ref"))
            }
            Expression::All => "event:to_table()".to_string(),
            Expression::Slice(value, from, to, open) => {
                let (value, from, to) = (self.value(value)?, self.value(from)?, self.value(to)?);
                let to = if *open { format!("{to} - 1") } else { to };
                format!("{}({value}, {from}, {to})", self.need("slice"))
            }
            Expression::Is(value, class) => {
                let value = self.value(value)?;
                match class.as_str() {
                    "Array" => format!("{}({value})", self.need("is_list")),
                    "Hash" => {
                        format!(
                            "(type({value}) == 'table' and not {}({value}))",
                            self.need("is_list")
                        )
                    }
                    "String" => format!("(type({value}) == 'string')"),
                    "Integer" | "Fixnum" => format!("(math.type({value}) == 'integer')"),
                    "Float" => format!("(math.type({value}) == 'float')"),
                    "Numeric" => format!("(type({value}) == 'number')"),
                    _ => return None,
                }
            }
            Expression::Now => "os.date('!%Y-%m-%dT%H:%M:%SZ')".to_string(),
            Expression::Instant(seconds) => {
                let seconds = self.value(seconds)?;
                format!("os.date('!%Y-%m-%dT%H:%M:%SZ', {}({seconds}))", self.need("to_i"))
            }
            Expression::List(items) if items.is_empty() => "list{}".to_string(),
            Expression::Field(field) => format!("event:get({})", quoted(&super::path(field))),
            Expression::Text(text) => quoted(text),
            Expression::Number(number) => number.clone(),
            Expression::Word(word) => (*word).to_string(),
            Expression::Name(name) => variable(name),
            Expression::Joined(parts) => {
                let text = self.need("text");
                let mut found = Vec::new();
                for part in parts {
                    found.push(match part {
                        Expression::Text(plain) => quoted(plain),
                        other => format!("{text}({})", self.value(other)?),
                    });
                }
                format!("({})", found.join(" .. "))
            }
            Expression::List(items) => {
                let items =
                    items.iter().map(|item| self.value(item)).collect::<Option<Vec<_>>>()?;
                format!("{{ {} }}", items.join(", "))
            }
            Expression::Pattern(_) => return None,
            Expression::Unary(sign, inner) => format!("({sign}{})", self.value(inner)?),
            Expression::Binary(left, operator, right) => self.binary(left, operator, right)?,
            Expression::Choice(condition, yes, no) => {
                // `a and b or c` is only right where b holds.
                let (condition, yes, no) =
                    (self.value(condition)?, self.value(yes)?, self.value(no)?);
                format!("(function() if {condition} then return {yes} end return {no} end)()")
            }
            Expression::At(value, index) => {
                let item = self.need("item");
                format!("{item}({}, {})", self.value(value)?, self.value(index)?)
            }
            Expression::Call(value, method, arguments) => self.call(value, method, arguments)?,
        })
    }

    fn binary(&mut self, left: &Expression, operator: &str, right: &Expression) -> Option<String> {
        let is_text = |e: &Expression| matches!(e, Expression::Text(_) | Expression::Joined(_));
        let number = |e: &Expression| {
            matches!(e, Expression::Number(_))
                || matches!(e, Expression::Call(_, m, _) if m == "to_i" || m == "to_f")
        };
        let is_time = |e: &Expression| {
            matches!(e, Expression::Now | Expression::Instant(_))
                || matches!(e, Expression::Field(name) if name.trim_matches(['[', ']']) == "@timestamp")
        };
        if is_time(left) || is_time(right) {
            return None;
        }
        let (a, b) = (self.value(left)?, self.value(right)?);
        Some(match operator {
            "+" if is_text(left) || is_text(right) => format!("({a} .. {b})"),
            "+" if number(left) || number(right) => format!("({a} + {b})"),
            "+" => format!("{}({a}, {b})", self.need("add")),
            "/" => format!("{}({a}, {b})", self.need("div")),
            "!=" => format!("({a} ~= {b})"),
            "&&" | "and " => format!("({a} and {b})"),
            "||" | "or " => format!("({a} or {b})"),
            other => format!("({a} {other} {b})"),
        })
    }

    /// Methods of times; `Some(None)`: one that has no counterpart; `None`: the value is no time.
    fn call_of_time(
        &mut self,
        value: &Expression,
        method: &str,
        arguments: &[Expression],
    ) -> Option<Option<String>> {
        let own_time = |name: &str| name.trim_matches(['[', ']']) == "@timestamp";
        let base = match value {
            Expression::Now => "os.time()".to_string(),
            Expression::Instant(seconds) => match self.value(seconds) {
                Some(seconds) => format!("{}({seconds})", self.need("to_i")),
                None => return Some(None),
            },
            Expression::Field(name) if own_time(name) => "math.floor(event:time())".to_string(),
            // `utc`, `time` and the like give the same time.
            Expression::Call(inner, same, none)
                if none.is_empty()
                    && matches!(same.as_str(), "utc" | "getutc" | "gmtime" | "time") =>
            {
                return self.call_of_time(inner, method, arguments);
            }
            _ => return None,
        };
        let text = format!("os.date('!%Y-%m-%dT%H:%M:%SZ', {base})");
        Some(match (method, arguments) {
            ("to_i", []) => Some(base),
            ("to_f", []) if base.contains("event:time") => Some("(event:time() + 0.0)".to_string()),
            ("to_f", []) => Some(format!("({base} + 0.0)")),
            ("utc" | "getutc" | "gmtime" | "time" | "to_s" | "iso8601", []) => Some(text),
            ("strftime", [Expression::Text(form)]) => {
                let mut parts = form.split('%').skip(1);
                let known =
                    parts.all(|part| part.starts_with(|c: char| "YmdHMSjyaAbB".contains(c)));
                known.then(|| format!("os.date({}, {base})", quoted(&format!("!{form}"))))
            }
            _ => None,
        })
    }

    /// Methods of lists, and `count` of texts; `None`: it is none of them.
    fn call_of_list(
        &mut self,
        own: &str,
        method: &str,
        arguments: &[Expression],
    ) -> Option<String> {
        Some(match (method, arguments.len()) {
            ("uniq", 0) => format!("{}({own})", self.need("uniq")),
            ("sort", 0) => format!("{}({own})", self.need("sorted")),
            ("first", 0) => format!("({own})[1]"),
            ("last", 0) => format!("{}({own}, -1)", self.need("item")),
            ("to_a", 0) => format!("{}({own})", self.need("to_a")),
            ("first", 1) => {
                let Expression::Number(count) = &arguments[0] else { return None };
                format!("{}({own}, {count})", self.need("leading"))
            }
            ("find_index", 1) => {
                let wanted = self.value(&arguments[0])?;
                format!("{}({own}, {wanted})", self.need("place"))
            }
            ("count", 1) => {
                // Of one character: more of them are a set in Ruby.
                let Expression::Text(character) = &arguments[0] else { return None };
                let plain = character.chars().count() == 1 && character != "^" && character != "-";
                let pattern = plain.then(|| quoted(&escaped(character)))?;
                format!("(select(2, ({own}):gsub({pattern}, '')))")
            }
            _ => return None,
        })
    }

    fn call(
        &mut self,
        value: &Expression,
        method: &str,
        arguments: &[Expression],
    ) -> Option<String> {
        if let Some(code) = self.call_of_time(value, method, arguments) {
            return code;
        }
        // `names.zip(values).to_h` is one thing; a list of pairs alone has no use here.
        if let (Expression::Call(names, zip, values), "to_h") = (value, method) {
            let ("zip", [values], true) = (zip.as_str(), values.as_slice(), arguments.is_empty())
            else {
                return None;
            };
            let (names, values) = (self.value(names)?, self.value(values)?);
            return Some(format!("{}({names}, {values})", self.need("zipped")));
        }
        let own = self.value(value)?;
        if let Some(code) = self.call_of_list(&own, method, arguments) {
            return Some(code);
        }
        let text = |at: usize| match arguments.get(at) {
            Some(Expression::Text(text)) => Some(quoted(text)),
            _ => None,
        };
        Some(match (method, arguments.len()) {
            ("to_i", 0) => format!("{}({own})", self.need("to_i")),
            ("to_f", 0) => format!("{}({own})", self.need("to_f")),
            ("hex", 0) => format!("(tonumber(({own}):match('^0?[xX]?(%x+)') or '0', 16))"),
            ("flatten" | "compact", 0) => return None,
            ("parse_csv", 0) => format!("{}({own})", self.need("csv")),
            ("match?", 1) => {
                let Expression::Pattern(pattern) = &arguments[0] else { return None };
                format!("(({own}):find({}) ~= nil)", quoted(&lua_pattern(pattern)?))
            }
            ("capitalize", 0) => {
                let text = self.need("text");
                format!("({text}({own}):lower():gsub('^%l', string.upper))")
            }
            ("end_with?", 1) => {
                let Expression::Text(end) = &arguments[0] else { return None };
                format!("(({own}):sub(-{}) == {})", end.len().max(1), text(0)?)
            }
            ("to_s", 0) => format!("{}({own})", self.need("text")),
            ("downcase", 0) => format!("({own}):lower()"),
            ("upcase", 0) => format!("({own}):upper()"),
            ("strip", 0) => format!("({own}):match('^%s*(.-)%s*$')"),
            ("chomp", 0) => format!("({own}):match('^(.-)\\r?\\n?$')"),
            ("reverse", 0) => format!("({own}):reverse()"),
            ("length" | "size" | "bytesize", 0) => format!("#({own})"),
            ("nil?", 0) => format!("({own} == nil)"),
            ("empty?", 0) => format!("(#({own}) == 0)"),
            ("abs", 0) => format!("math.abs({own})"),
            ("floor", 0) => format!("math.floor({own})"),
            ("ceil", 0) => format!("math.ceil({own})"),
            ("round", 0) => format!("math.floor({own} + 0.5)"),
            ("round", 1) => {
                let Expression::Number(digits) = &arguments[0] else { return None };
                let factor =
                    format!("1{}", "0".repeat(digits.parse::<usize>().ok().filter(|d| *d < 10)?));
                format!("(math.floor({own} * {factor} + 0.5) / {factor})")
            }
            ("split", 1) => {
                let by = match &arguments[0] {
                    Expression::Pattern(pattern) => quoted(&plain_of(pattern)?),
                    _ => text(0)?,
                };
                format!("{}({own}, {by})", self.need("parts"))
            }
            ("join", 1) => format!("table.concat({own}, {})", text(0)?),
            ("include?", 1) => format!("(({own}):find({}, 1, true) ~= nil)", text(0)?),
            ("start_with?", 1) => format!("(({own}):find({}, 1, true) == 1)", text(0)?),
            ("gsub" | "sub", 2) => {
                let pattern = match &arguments[0] {
                    Expression::Text(text) => escaped(text),
                    Expression::Pattern(pattern) => lua_pattern(pattern)?,
                    _ => return None,
                };
                let Expression::Text(new) = &arguments[1] else { return None };
                if new.contains('\\') {
                    return None;
                }
                let most = if method == "sub" { ", 1" } else { "" };
                let new = quoted(&new.replace('%', "%%"));
                format!("(({own}):gsub({}, {new}{most}))", quoted(&pattern))
            }
            _ => return None,
        })
    }
}

/// Whether a loop's body goes on with the next item somewhere.
fn leaves(body: &[Statement]) -> bool {
    body.iter().any(|statement| match statement {
        Statement::Next => true,
        Statement::If(_, then, otherwise) => leaves(then) || leaves(otherwise),
        _ => false,
    })
}

/// A pattern that stands for one text.
fn plain_of(pattern: &str) -> Option<String> {
    let mut out = String::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.push(chars.next().filter(char::is_ascii_punctuation)?),
            '.' | '*' | '+' | '?' | '|' | '(' | ')' | '[' | ']' | '{' | '}' | '^' | '$' => {
                return None;
            }
            c => out.push(c),
        }
    }
    Some(out)
}

fn variable(name: &str) -> String {
    const KEYWORDS: [&str; 11] = [
        "local", "function", "repeat", "until", "goto", "event", "list", "string", "table", "math",
        "os",
    ];
    if KEYWORDS.contains(&name) || FUNCTIONS.iter().any(|(own, _)| *own == name) {
        format!("{name}_")
    } else {
        name.to_string()
    }
}

/// A text as Lua writes it.
fn quoted(text: &str) -> String {
    let mut out = String::from("'");
    for c in text.chars() {
        match c {
            '\'' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

/// A plain text as a pattern of Lua.
fn escaped(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_ascii_punctuation() { format!("%{c}") } else { c.to_string() })
        .collect()
}

/// A simple pattern of Ruby as one of Lua: characters, classes, `+`, `*`, `^`, `$`.
fn lua_pattern(pattern: &str) -> Option<String> {
    let mut out = String::new();
    let mut chars = pattern.chars().peekable();
    let mut class = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next()? {
                c @ ('s' | 'd' | 'S' | 'D') => out.extend(['%', c]),
                'w' if class => out.push_str("%w_"),
                'w' => out.push_str("[%w_]"),
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'r' => out.push('\r'),
                c if c.is_ascii_punctuation() => out.extend(['%', c]),
                _ => return None,
            },
            '[' if !class => {
                class = true;
                out.push(c);
            }
            ']' if class => {
                class = false;
                out.push(c);
            }
            '+' | '*' | '^' | '$' | '.' => out.push(c),
            '-' if class => out.push(c),
            '%' | '-' => out.extend(['%', c]),
            '(' | ')' | '|' | '?' | '{' | '}' | '[' => return None,
            c => out.push(c),
        }
    }
    (!class).then_some(out)
}
