//! Ruby's statements in Lua, for the filter `script`.
//!
//! In: the tree. Out: code. Promises: what Ruby's methods do with numbers, texts and nil is kept: integer division
//! rounds down, `to_i` of a text without a number is 0. On failure: `None` where a method has no counterpart.

use super::methods::FUNCTIONS;
use super::patterns::{lua_pattern, regex_of};
use super::scope::{Scope, leaves};
use super::syntax::{Expression, Statement};

/// The code of statements.
pub(super) fn code(statements: &[Statement]) -> Option<String> {
    let scope = Scope::of(statements)?;
    let mut writer = Writer { out: String::new(), needs: Vec::new(), scope, loops: 0 };
    writer.block(statements, 0)?;
    let functions = FUNCTIONS.iter().filter(|(name, _)| writer.needs.contains(name));
    let mut head: String = functions.map(|(_, code)| format!("{code}\n")).collect();
    // A variable that this event does not set is nil, whatever the event before set.
    let names: Vec<String> = writer.scope.set.iter().map(|name| variable(name)).collect();
    if !names.is_empty() {
        head.push_str(&format!("local {}\n", names.join(", ")));
    }
    Some(head + &writer.out)
}

pub(super) struct Writer {
    out: String,
    needs: Vec<&'static str>,
    pub(super) scope: Scope,
    /// Loops around.
    loops: usize,
}

impl Writer {
    pub(super) fn need(&mut self, name: &'static str) -> &'static str {
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
                    let (list, value) = (self.known(name)?, self.value(value)?);
                    let appended = self.need("appended");
                    self.line(indent, &format!("{list} = {appended}({list}, {value})"));
                }
                Statement::DeleteAt(name, place) => {
                    let (list, place) = (self.known(name)?, self.value(place)?);
                    self.line(indent, &format!("table.remove({list}, {place} + 1)"));
                }
                Statement::Next if self.loops == 0 => self.line(indent, "do return end"),
                Statement::Next => self.line(indent, "goto continue"),
                Statement::Break if self.loops > 0 => self.line(indent, "break"),
                Statement::Break
                | Statement::Return(_)
                | Statement::SetAt(..)
                | Statement::Try(..)
                | Statement::While(..)
                | Statement::EachIndex(..)
                | Statement::DeleteKey(..)
                | Statement::Def(..) => self.shape(statement, indent)?,
                Statement::Each(value, names, body) => self.each(value, names, body, indent)?,
                Statement::Set(field, value) => {
                    let own_time = super::path(field) == "@timestamp";
                    let time = if own_time { self.seconds(value) } else { None };
                    let value = match time {
                        Some(seconds) => seconds?,
                        None => self.value(value)?,
                    };
                    self.line(
                        indent,
                        &format!("event:set({}, {value})", quoted(&super::path(field))),
                    );
                }
                Statement::Remove(field) => {
                    self.line(indent, &format!("event:remove({})", quoted(&super::path(field))));
                }
                Statement::Tag(tag) => self.line(indent, &format!("event:tag({})", quoted(tag))),
                Statement::TagNamed(tag) => {
                    let tag = self.value(tag)?;
                    self.line(indent, &format!("event:tag({tag})"));
                }
                Statement::Nothing => {}
                Statement::Cancel => self.line(indent, "event:drop()"),
                Statement::Let(name, value) => {
                    let value = match self.seconds(value) {
                        Some(seconds) => seconds?,
                        None => self.value(value)?,
                    };
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

    /// Statements of longer forms.
    fn shape(&mut self, statement: &Statement, indent: usize) -> Option<()> {
        match statement {
            Statement::Return(None) => self.line(indent, "do return end"),
            Statement::Return(Some(value)) => {
                let value = self.value(value)?;
                self.line(indent, &format!("do return {value} end"));
            }
            Statement::SetAt(container, index, value) => {
                let (container, index) = (self.value(container)?, self.value(index)?);
                let value = self.value(value)?;
                let set_at = self.need("set_at");
                self.line(indent, &format!("{set_at}({container}, {index}, {value})"));
            }
            Statement::DeleteKey(name, key) => {
                // Of a list, Ruby takes away what is equal; of an object, by its name.
                let (name, key) = (self.known(name)?, self.value(key)?);
                self.line(indent, &format!("if #{name} > 0 then error('a list') end"));
                self.line(indent, &format!("{name}[{key}] = nil"));
            }
            Statement::Try(body, name, rescue) => {
                if leaves(body) {
                    return None;
                }
                let loops = std::mem::take(&mut self.loops);
                let fault = name.as_deref().map_or_else(|| "fault".to_string(), variable);
                self.line(indent, &format!("local fine, {fault} = pcall(function()"));
                self.block(body, indent + 1)?;
                self.line(indent, "end)");
                self.loops = loops;
                if !rescue.is_empty() {
                    self.line(indent, "if not fine then");
                    self.scope.inner.extend(name.clone());
                    self.block(rescue, indent + 1)?;
                    self.scope.inner.truncate(self.scope.inner.len() - usize::from(name.is_some()));
                    self.line(indent, "end");
                }
            }
            Statement::While(condition, body) => {
                let condition = self.value(condition)?;
                self.body(&format!("while {condition} do"), &[], body, indent)?;
            }
            Statement::EachIndex(value, names, body) => {
                let value = self.value(value)?;
                let [item, index] = names.as_slice() else { return None };
                let (own, place) = (variable(item), variable(index));
                let head =
                    format!("for {place}, {own} in ipairs({value}) do {place} = {place} - 1");
                self.body(&head, names, body, indent)?;
            }
            Statement::Def(name, names, body) => {
                let listed: Vec<String> = names.iter().map(|name| variable(name)).collect();
                let head = format!("local function {}({})", variable(name), listed.join(", "));
                let loops = std::mem::take(&mut self.loops);
                let body: Vec<Statement> = body.clone();
                self.body(&head, names, &body, indent)?;
                self.loops = loops;
            }
            _ => return None,
        }
        Some(())
    }

    /// A loop's or a function's body, in which these names are known.
    fn body(
        &mut self,
        head: &str,
        names: &[String],
        body: &[Statement],
        indent: usize,
    ) -> Option<()> {
        self.line(indent, head);
        let is_loop = !head.starts_with("local function");
        self.loops += usize::from(is_loop);
        self.scope.inner.extend(names.iter().cloned());
        // What goes on with the next item jumps over the names that the block sets.
        let next = leaves(body) && is_loop;
        if next {
            self.line(indent + 1, "do");
        }
        self.block(body, indent + 1 + usize::from(next))?;
        if next {
            self.line(indent + 1, "end");
            self.line(indent + 1, "::continue::");
        }
        self.scope.inner.truncate(self.scope.inner.len() - names.len());
        self.loops -= usize::from(is_loop);
        self.line(indent, "end");
        Some(())
    }

    fn each(
        &mut self,
        value: &Expression,
        names: &[String],
        body: &[Statement],
        indent: usize,
    ) -> Option<()> {
        let listed: Vec<String> = names.iter().map(|name| variable(name)).collect();
        let head = match (value, listed.as_slice()) {
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
        self.body(&head, names, body, indent)
    }

    /// A name that the code has set; another one is a method that is not known.
    fn known(&self, name: &str) -> Option<String> {
        self.scope.knows(name).then(|| variable(name))
    }

    pub(super) fn value(&mut self, expression: &Expression) -> Option<String> {
        Some(match expression {
            Expression::Named(name) => {
                let name = self.value(name)?;
                format!("event:get({}({name}))", self.need("ref"))
            }
            Expression::Taken(name) => {
                let name = self.value(name)?;
                format!("event:remove({}({name}))", self.need("ref"))
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
                    "Enumerable" => format!("(type({value}) == 'table')"),
                    "NilClass" => format!("({value} == nil)"),
                    "TrueClass" => format!("({value} == true)"),
                    "FalseClass" => format!("({value} == false)"),
                    _ => return None,
                }
            }
            Expression::Now | Expression::Instant(_) | Expression::Parsed(..) => {
                self.call_of_time(expression, "iso8601", &[])??
            }
            Expression::Name(_) | Expression::Binary(..) if self.scope.is_time(expression) => {
                self.call_of_time(expression, "iso8601", &[])??
            }
            Expression::Hash(_)
            | Expression::Variable(_)
            | Expression::Match(..)
            | Expression::Caught(_)
            | Expression::Rescue(..)
            | Expression::Block(..)
            | Expression::Own(..) => self.longer(expression)?,
            Expression::List(items) if items.is_empty() => "list{}".to_string(),
            Expression::Field(field) => format!("event:get({})", quoted(&super::path(field))),
            Expression::Text(text) => quoted(text),
            Expression::Number(number) => number.clone(),
            Expression::Word(word) => (*word).to_string(),
            Expression::Name(name) if name == "rand" && !self.scope.knows(name) => {
                "math.random()".to_string()
            }
            Expression::Name(name) => self.known(name)?,
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

    /// Values of longer forms.
    fn longer(&mut self, expression: &Expression) -> Option<String> {
        Some(match expression {
            Expression::Hash(members) => {
                let mut found = Vec::new();
                for (key, value) in members {
                    found.push(format!("[{}] = {}", self.value(key)?, self.value(value)?));
                }
                format!("{{ {} }}", found.join(", "))
            }
            Expression::Variable(name) => {
                format!("{}({})", self.need("variable"), quoted(&format!("@metadata.env.{name}")))
            }
            Expression::Match(text, pattern) => {
                let (text, pattern) = (self.value(text)?, quoted(&regex_of(pattern)?));
                format!("{}({text}, {pattern})", self.need("matched"))
            }
            Expression::Caught(group) => {
                if !self.needs.contains(&"matched") {
                    return None;
                }
                format!("(caught and caught[{group}])")
            }
            Expression::Rescue(value, other) => {
                let (value, other) = (self.value(value)?, self.value(other)?);
                format!(
                    "(function() local fine, v = pcall(function() return {value} end) \
                     if fine then return v end return {other} end)()"
                )
            }
            Expression::Block(value, method, names, inner) => {
                self.block_call(value, method, names, inner)?
            }
            Expression::Own(name, arguments)
                if !self.scope.functions.contains(name)
                    && ["rand", "sprintf", "format"].contains(&name.as_str()) =>
            {
                self.own_call(name, arguments)?
            }
            Expression::Own(name, arguments) => {
                let name = self.scope.functions.contains(name).then(|| variable(name))?;
                let arguments =
                    arguments.iter().map(|one| self.value(one)).collect::<Option<Vec<_>>>()?;
                format!("{name}({})", arguments.join(", "))
            }
            _ => return None,
        })
    }

    fn binary(&mut self, left: &Expression, operator: &str, right: &Expression) -> Option<String> {
        let is_text = |e: &Expression| matches!(e, Expression::Text(_) | Expression::Joined(_));
        let number = |e: &Expression| {
            matches!(e, Expression::Number(_))
                || matches!(e, Expression::Call(_, m, _) if m == "to_i" || m == "to_f")
        };
        let built = |e: &Expression| matches!(e, Expression::List(_) | Expression::Hash(_));
        if matches!(operator, "==" | "!=") && (built(left) || built(right)) {
            return None;
        }
        match (self.seconds(left), self.seconds(right)) {
            (None, None) => {}
            // What lies between two times is a number; a time that is moved is a time.
            (Some(a), Some(b)) if matches!(operator, "-" | "<" | ">" | "<=" | ">=") => {
                return Some(format!("({} {operator} {})", a?, b?));
            }
            _ => return None,
        }
        let (a, b) = (self.value(left)?, self.value(right)?);
        Some(match operator {
            "%" if is_text(left) => {
                let values = match right {
                    Expression::List(items) => items.clone(),
                    one => vec![one.clone()],
                };
                return self.formatted(left, &values);
            }
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
            ("parse_csv", 0) => format!("{}({own})", self.need("csv")),
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
            ("length" | "size", 0) => format!("{}({own})", self.need("size")),
            ("bytesize", 0) => format!("#({own})"),
            ("nil?", 0) => format!("({own} == nil)"),
            ("empty?", 0) => format!("{}({own})", self.need("is_empty")),
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
            ("split", _) => self.split(&own, arguments)?,
            ("join", 0) => format!("table.concat({own})"),
            ("join", 1) => format!("table.concat({own}, {})", text(0)?),
            ("start_with?", 1) => format!("(({own}):find({}, 1, true) == 1)", text(0)?),
            ("gsub" | "sub" | "gsub!" | "sub!", 2) => self.replaced(&own, method, arguments)?,
            _ => match self.call_of_text(&own, method, arguments) {
                Some(code) => code,
                None => return self.call_more(&own, method, arguments),
            },
        })
    }

    /// `gsub` and `sub`; with a `!` nothing comes of a text that stays as it is.
    fn replaced(&mut self, own: &str, method: &str, arguments: &[Expression]) -> Option<String> {
        let Expression::Text(new) = &arguments[1] else { return None };
        let most = if method.starts_with("sub") { ", 1" } else { "" };
        let simple = match &arguments[0] {
            Expression::Text(text) => Some(escaped(text)),
            Expression::Pattern(pattern) => lua_pattern(pattern),
            _ => return None,
        };
        let code = match (simple, &arguments[0]) {
            (Some(simple), _) if !new.contains('\\') => {
                let new = quoted(&new.replace('%', "%%"));
                format!("(({own}):gsub({}, {new}{most}))", quoted(&simple))
            }
            (_, Expression::Pattern(pattern)) => {
                let new = caught_in(new)?;
                let pattern = quoted(&regex_of(pattern)?);
                format!("regex.gsub({own}, {pattern}, {}{most})", quoted(&new))
            }
            _ => return None,
        };
        Some(match method.ends_with('!') {
            true => format!("(function() local v = {code} if v ~= {own} then return v end end)()"),
            false => code,
        })
    }

    /// Methods of texts, lists and objects that are rarer.
    fn call_more(&mut self, own: &str, method: &str, arguments: &[Expression]) -> Option<String> {
        let values = arguments.iter().map(|one| match one {
            Expression::Pattern(_) => Some(String::new()),
            other => self.value(other),
        });
        let values = values.collect::<Option<Vec<_>>>()?;
        Some(match (method, values.as_slice()) {
            ("to_json" | "JSON.generate" | "JSON.dump" | "LogStash::Json.dump", []) => {
                format!("json.encode({own})")
            }
            ("JSON.parse" | "LogStash::Json.load", []) => format!("json.decode({own})"),
            ("Integer", []) => format!("math.tointeger(tonumber({own}))"),
            ("Float", []) => format!("(tonumber({own}) + 0.0)"),
            ("scan", [_]) => {
                let Expression::Pattern(pattern) = &arguments[0] else { return None };
                format!("regex.scan({own}, {})", quoted(&regex_of(pattern)?))
            }
            ("scrub" | "to_sym" | "freeze" | "itself" | "to_str" | "to_hash", []) => {
                own.to_string()
            }
            ("lstrip", []) => format!("({own}):match('^%s*(.*)$')"),
            ("rstrip", []) => format!("({own}):match('^(.-)%s*$')"),
            ("to_i", [base]) => format!("(tonumber({own}, {base}) or 0)"),
            ("zero?", []) => format!("({own} == 0)"),
            ("positive?", []) => format!("({own} > 0)"),
            ("negative?", []) => format!("({own} < 0)"),
            ("message", []) => format!("{}({own})", self.need("text")),
            ("between?", [low, high]) => format!("({own} >= {low} and {own} <= {high})"),
            ("include?" | "key?" | "has_key?" | "member?", [wanted]) => {
                format!("{}({own}, {wanted})", self.need("includes"))
            }
            ("compact", []) => format!("{}({own})", self.need("compact")),
            ("flatten", []) => format!("{}({own})", self.need("flat")),
            ("keys", []) => format!("{}({own})", self.need("keys")),
            ("merge", [other]) => format!("{}({own}, {other})", self.need("merged")),
            ("dig", names) if !names.is_empty() => {
                format!("{}({own}, {})", self.need("dig"), names.join(", "))
            }
            ("fetch", [name]) => format!("{}({own}, {name})", self.need("item")),
            ("slice", [from, length]) => {
                format!("{}({own}, {from}, {from} + {length} - 1)", self.need("slice"))
            }
            ("delete_prefix", [start]) => {
                format!(
                    "(({own}):sub(1, #{start}) == {start} and ({own}):sub(#{start} + 1) or {own})"
                )
            }
            _ => return None,
        })
    }

    /// `value.map { |names| inner }` and the like.
    fn block_call(
        &mut self,
        value: &Expression,
        method: &str,
        names: &[String],
        inner: &Expression,
    ) -> Option<String> {
        let value = self.value(value)?;
        self.scope.inner.extend(names.iter().cloned());
        let body = self.value(inner)?;
        self.scope.inner.truncate(self.scope.inner.len() - names.len());
        let listed: Vec<String> = names.iter().map(|name| variable(name)).collect();
        let function = format!("function({}) return {body} end", listed.join(", "));
        let of_pairs = matches!(method, "select" | "filter" | "reject");
        if names.len() != 1 && !(of_pairs && names.len() == 2) {
            return None;
        }
        Some(match method {
            "map" | "collect" => format!("{}({value}, {function})", self.need("mapped")),
            "select" | "filter" => format!("{}({value}, true, {function})", self.need("chosen")),
            "reject" => format!("{}({value}, false, {function})", self.need("chosen")),
            "any?" => format!("{}({value}, true, {function})", self.need("some")),
            "all?" => format!("(not {}({value}, false, {function}))", self.need("some")),
            "find" | "detect" => format!("{}({value}, {function})", self.need("found")),
            _ => return None,
        })
    }
}

pub(super) fn variable(name: &str) -> String {
    const KEYWORDS: [&str; 18] = [
        "local", "function", "repeat", "until", "goto", "event", "list", "string", "table", "math",
        "os", "caught", "regex", "json", "date", "utf8", "fine", "fault",
    ];
    if KEYWORDS.contains(&name) || FUNCTIONS.iter().any(|(own, _)| *own == name) {
        format!("{name}_")
    } else {
        name.to_string()
    }
}

/// A text as Lua writes it.
pub(super) fn quoted(text: &str) -> String {
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
pub(super) fn escaped(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_ascii_punctuation() { format!("%{c}") } else { c.to_string() })
        .collect()
}

/// Ruby's `\\1` in a replacement as `${1}`.
fn caught_in(new: &str) -> Option<String> {
    let mut out = String::new();
    let mut chars = new.chars();
    while let Some(c) = chars.next() {
        match c {
            '$' => out.push_str("$$"),
            '\\' => {
                let digit = chars.next()?.to_digit(10)?;
                out.push_str(&format!("${{{digit}}}"));
            }
            c => out.push(c),
        }
    }
    Some(out)
}
