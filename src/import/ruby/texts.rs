//! Ruby's methods of texts, paths and coded texts in Lua.
//!
//! In: the code of a value, a method, its arguments. Out: code. Promises: as in `lua`. On failure: `None`: it is none
//! of these, or has no counterpart.

use super::lua::{Writer, escaped, quoted};
use super::patterns::{plain_of, regex_of};
use super::syntax::Expression;

impl Writer {
    /// `split` by a text, by a pattern, between words.
    pub(super) fn split(&mut self, own: &str, arguments: &[Expression]) -> Option<String> {
        let blank = |by: &Expression| matches!(by, Expression::Text(by) if by == " ");
        let (by, most) = match arguments {
            [] => return Some(format!("regex.scan({own}, '\\\\S+')")),
            [by] if blank(by) => return Some(format!("regex.scan({own}, '\\\\S+')")),
            [by] => (by, None),
            [by, Expression::Number(most)] => (by, Some(most.parse::<usize>().ok()?)),
            _ => return None,
        };
        // Where a number of parts is given, the last one holds the rest as it is.
        let (most, cuts) = match most {
            Some(most) if most > 1 => (format!(", {most}"), format!(", {}", most - 1)),
            Some(_) => return None,
            None => (String::new(), String::new()),
        };
        let parts = self.need("parts");
        let (own, pattern) = match by {
            by if blank(by) => (format!("({own}):match('^%s*(.*)$')"), r"\s+"),
            Expression::Text(by) if by.is_empty() => return None,
            Expression::Text(by) => return Some(format!("{parts}({own}, {}{most})", quoted(by))),
            Expression::Pattern(pattern) => (own.to_string(), pattern.as_str()),
            _ => return None,
        };
        if let Some(plain) = plain_of(pattern).filter(|plain| !plain.is_empty()) {
            return Some(format!("{parts}({own}, {}{most})", quoted(&plain)));
        }
        // What a group catches would be a part of its own.
        if pattern.replace("(?:", "").replace("\\(", "").contains('(') {
            return None;
        }
        let pattern = regex_of(pattern)?;
        if regex::Regex::new(&pattern).ok()?.is_match("") {
            return None;
        }
        let cut = format!("regex.gsub({own}, {}, '\\0'{cuts})", quoted(&pattern));
        Some(format!("{parts}({cut}, '\\0'{most})"))
    }

    /// Methods of texts that are rarer, and of modules that take one.
    pub(super) fn call_of_text(
        &mut self,
        own: &str,
        method: &str,
        arguments: &[Expression],
    ) -> Option<String> {
        if let ("join" | "split" | "match", _) | (_, [_, _, _, ..]) = (method, arguments) {
            return None;
        }
        let single = |at: usize| match arguments.get(at) {
            Some(Expression::Text(text)) if text.chars().count() == 1 && text != "^" => {
                Some(text.clone())
            }
            _ => None,
        };
        Some(match (method, arguments.len()) {
            ("File.basename", 0) => format!("({own}):match('([^/]*)/*$')"),
            ("File.basename", 1) => {
                let Expression::Text(end) = &arguments[0] else { return None };
                let name = format!("({own}):match('([^/]*)/*$')");
                match end.as_str() {
                    ".*" => format!("({name}:gsub('(.)%.[^.]*$', '%1'))"),
                    end => format!("({name}:gsub({}, ''))", quoted(&format!("{}$", escaped(end)))),
                }
            }
            ("File.extname", 0) => format!("(({own}):match('[^/.](%.[^./]+)$') or '')"),
            ("File.dirname", 0) => {
                format!("((({own}):match('^(.*)/[^/]*$') or '.'):gsub('^$', '/'))")
            }
            ("Base64.decode64" | "Base64.strict_decode64", 0) => {
                format!("{}({own})", self.need("decoded"))
            }
            ("CGI.unescape" | "URI.decode_www_form_component", 0) => {
                format!("{}((({own}):gsub('%+', ' ')))", self.need("unescaped"))
            }
            ("URI.decode" | "URI.unescape", 0) => format!("{}({own})", self.need("unescaped")),
            ("tr", 2) => {
                let (from, to) = (single(0)?, single(1)?);
                let to = quoted(&to.replace('%', "%%"));
                format!("(({own}):gsub({}, {to}))", quoted(&escaped(&from)))
            }
            ("delete", 1) => format!("(({own}):gsub({}, ''))", quoted(&escaped(&single(0)?))),
            ("rjust" | "ljust", 1 | 2) => {
                let Expression::Number(length) = &arguments[0] else { return None };
                let with = if arguments.len() == 2 { single(1)? } else { " ".to_string() };
                let text = self.need("text");
                let fill = format!("({}):rep({length} - #{text}({own}))", quoted(&with));
                match method {
                    "rjust" => format!("({fill} .. {text}({own}))"),
                    _ => format!("({text}({own}) .. {fill})"),
                }
            }
            ("to_s", 1) if arguments[0] == Expression::Number("16".into()) => {
                format!("string.format('%x', {own})")
            }
            ("dup" | "clone" | "unicode_normalize", 0) => own.to_string(),
            ("values", 0) => format!("{}({own})", self.need("values")),
            ("sum", 0) => format!("{}({own})", self.need("sum")),
            ("max" | "min", 0) => format!("math.{method}(table.unpack({own}))"),
            ("fetch", 2) => {
                let (name, usual) = (self.value(&arguments[0])?, self.value(&arguments[1])?);
                format!("{}({own}, {name}, {usual})", self.need("fetched"))
            }
            _ => return None,
        })
    }

    /// `rand(n)`, `sprintf(form, a)`.
    pub(super) fn own_call(&mut self, name: &str, arguments: &[Expression]) -> Option<String> {
        match (name, arguments) {
            ("rand", []) => Some("math.random()".to_string()),
            ("rand", [Expression::Number(most)]) if most.parse::<u32>().is_ok_and(|n| n > 0) => {
                Some(format!("math.random(0, {most} - 1)"))
            }
            ("sprintf" | "format", [form, values @ ..]) => self.formatted(form, values),
            _ => None,
        }
    }

    /// `"%02d" % value`.
    pub(super) fn formatted(&mut self, form: &Expression, values: &[Expression]) -> Option<String> {
        let Expression::Text(form) = form else { return None };
        let mut left = values.iter();
        let mut code = Vec::new();
        let mut rest = form.as_str();
        while let Some(at) = rest.find('%') {
            let directive = rest[at + 1..]
                .trim_start_matches(['-', '+', '0', ' ', '.'])
                .trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
            let kind = directive.chars().next()?;
            rest = &directive[kind.len_utf8()..];
            if kind == '%' {
                continue;
            }
            let value = self.value(left.next()?)?;
            code.push(match kind {
                'd' | 'i' | 'x' | 'X' => format!("math.floor({}({value}))", self.need("to_f")),
                'f' | 'e' | 'g' => format!("{}({value})", self.need("to_f")),
                's' => format!("{}({value})", self.need("text")),
                _ => return None,
            });
        }
        let done = left.next().is_none() && !code.is_empty();
        done.then(|| format!("string.format({}, {})", quoted(form), code.join(", ")))
    }
}
