//! Ruby's times in Lua: seconds since the epoch.
//!
//! In: expressions that are times, and their methods. Out: code. Promises: times are written in UTC.
//! On failure: `None` where a method or a directive has no counterpart.

use super::lua::{Writer, quoted, variable};
use super::syntax::Expression;
use crate::timestamp::{DateFormat, DateOptions, TimeTemplate};

/// Directives that `os.date` has, too.
const OF_LUA: &str = "YmdHMSjyaAbB";

impl Writer {
    /// The seconds of a time; `None`: the value is no time; `Some(None)`: it is one that cannot be written.
    pub(super) fn seconds(&mut self, value: &Expression) -> Option<Option<String>> {
        if !self.scope.is_time(value) {
            return None;
        }
        Some(match value {
            Expression::Now => Some("os.time()".to_string()),
            Expression::Instant(inner) => match self.seconds(inner) {
                Some(inner) => inner,
                None => self.value(inner).map(|code| format!("{}({code})", self.need("to_f"))),
            },
            Expression::Parsed(text, form) => self.parsed(text, form),
            Expression::Field(_) => Some("event:time()".to_string()),
            Expression::Name(name) => Some(variable(name)),
            Expression::Call(inner, _, _) => return self.seconds(inner),
            Expression::Binary(left, operator, right) => {
                let left = self.seconds(left).flatten();
                left.and_then(|left| Some(format!("({left} {operator} {})", self.value(right)?)))
            }
            _ => None,
        })
    }

    fn parsed(&mut self, text: &Expression, form: &str) -> Option<String> {
        let form = normal(form);
        DateFormat::compile(&form, &DateOptions::default()).ok()?;
        let text = self.value(text)?;
        Some(format!("{}({text}, {})", self.need("parsed"), quoted(&form)))
    }

    /// Methods of times; `Some(None)`: one that has no counterpart; `None`: the value is no time.
    pub(super) fn call_of_time(
        &mut self,
        value: &Expression,
        method: &str,
        arguments: &[Expression],
    ) -> Option<Option<String>> {
        // A time of another zone has other figures, and no form of its own.
        if let Expression::Call(inner, zone, offset) = value
            && let ("localtime" | "getlocal", [Expression::Text(offset)]) =
                (zone.as_str(), offset.as_slice())
        {
            let Some(exact) = self.seconds(inner)? else { return Some(None) };
            let ("strftime", [Expression::Text(form)], Some(shift)) =
                (method, arguments, seconds_of(offset))
            else {
                return Some(None);
            };
            let (exact, zoned) = (format!("({exact} + {shift})"), form.contains("%z"));
            let whole = format!("math.floor({exact})");
            return Some(if zoned { None } else { written(form, &exact, &whole) });
        }
        let Some(exact) = self.seconds(value)? else { return Some(None) };
        let whole =
            if exact == "os.time()" { exact.clone() } else { format!("math.floor({exact})") };
        let number = |directive: &str| format!("tonumber(os.date('!%{directive}', {whole}))");
        Some(match (method, arguments) {
            ("to_i", []) => Some(whole),
            ("to_f", []) => Some(format!("({exact} + 0.0)")),
            (
                "utc" | "getutc" | "gmtime" | "time" | "to_time" | "to_s" | "iso8601" | "xmlschema"
                | "localtime" | "getlocal",
                [],
            ) => Some(format!("os.date('!%Y-%m-%dT%H:%M:%SZ', {whole})")),
            ("iso8601" | "xmlschema", [Expression::Number(digits)]) if digits == "3" => {
                Some(format!("date.format({exact}, '%Y-%m-%dT%H:%M:%S.%LZ')"))
            }
            ("strftime", [Expression::Text(form)]) => written(form, &exact, &whole),
            ("year", []) => Some(number("Y")),
            ("month" | "mon", []) => Some(number("m")),
            ("day" | "mday", []) => Some(number("d")),
            ("hour", []) => Some(number("H")),
            ("min", []) => Some(number("M")),
            ("sec", []) => Some(number("S")),
            ("wday", []) => Some(number("w")),
            ("yday", []) => Some(number("j")),
            ("nil?", []) => Some("false".to_string()),
            _ => None,
        })
    }
}

/// `+07:00` in seconds.
fn seconds_of(offset: &str) -> Option<i64> {
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = offset.strip_prefix(['+', '-'])?.split_once(':')?;
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    ((0..15).contains(&hours) && (0..60).contains(&minutes))
        .then_some(sign * (hours * 3600 + minutes * 60))
}

/// A form of Ruby with the directives that are known here.
fn normal(form: &str) -> String {
    let known = [
        ("%F", "%Y-%m-%d"),
        ("%T", "%H:%M:%S"),
        ("%R", "%H:%M"),
        ("%3N", "%L"),
        ("%6N", "%f"),
        ("%:z", "%z"),
    ];
    known.iter().fold(form.to_string(), |form, (theirs, ours)| form.replace(theirs, ours))
}

fn written(form: &str, exact: &str, whole: &str) -> Option<String> {
    // The zone is UTC, which `%:z` writes with a colon.
    let form = normal(&form.replace("%:z", "+00:00"));
    let mut directives = form.split('%').skip(1);
    if directives.all(|part| part.starts_with(|c| OF_LUA.contains(c))) {
        return Some(format!("os.date({}, {whole})", quoted(&format!("!{form}"))));
    }
    TimeTemplate::compile(&form).ok()?;
    Some(format!("date.format({exact}, {})", quoted(&form)))
}
