//! What a column of separated values becomes.
//!
//! In: a word of `convert`, a value. Out: a number, a truth value, a time (`2026-11-22T00:00:00.000Z`), or the value as
//! it was. Promises: as in Logstash, nothing is guessed: `3.7` is no whole number, `yes` no truth value.
//! On failure: a value that does not fit stays a text.

use crate::diagnostic::did_you_mean;
use crate::event::{Batch, Span, Value};
use crate::settings::{Item, Literal, Section};
use crate::timestamp::{DateFormat, DateOptions, write_iso8601_ms};

/// A column's type.
pub(super) enum Column {
    Text,
    Integer,
    Float,
    Boolean,
    Time(Vec<DateFormat>),
}

const NAMES: [&str; 6] = ["integer", "float", "boolean", "date", "date_time", "string"];

/// Days without a time.
const DAYS: &[&str] = &[
    "yyyy-MM-dd",
    "MMM d, yyyy",
    "MMM d yyyy",
    "d MMM yyyy",
    "EEE, MMM d, yyyy",
    "EEE MMM d yyyy",
    "EEE, d MMM yyyy",
];

/// Days with a time.
const TIMES: &[&str] = &[
    "yyyy-MM-dd HH:mm:ss",
    "ISO8601",
    "MMM d HH:mm:ss, yyyy",
    "MMM d HH:mm:ss yyyy",
    "EEE MMM d HH:mm:ss yyyy",
];

impl Column {
    /// Reads the type that an entry names; what is wrong is reported.
    pub(super) fn load(section: &Section<'_>, item: &Item) -> Option<Column> {
        let Literal::String(word) = &item.literal else {
            let message = format!("a type in quotes expected, but found {}", item.literal.kind());
            section.error(
                item.span.clone(),
                message,
                Some(format!("write one of: {}", NAMES.join(", "))),
            );
            return None;
        };
        match word.as_str() {
            "string" => Some(Column::Text),
            "integer" | "int" => Some(Column::Integer),
            "float" => Some(Column::Float),
            "boolean" | "bool" => Some(Column::Boolean),
            "date" => Some(Column::Time(formats(DAYS))),
            "date_time" => Some(Column::Time(formats(TIMES))),
            other => {
                let hint = match did_you_mean(other, NAMES) {
                    Some(near) => format!("did you mean \"{near}\"?"),
                    None => format!("write one of: {}", NAMES.join(", ")),
                };
                let message = format!("there is no type \"{other}\" to convert to");
                section.error(item.span.clone(), message, Some(hint));
                None
            }
        }
    }

    /// A value as this type, or as it was.
    pub(super) fn convert(&self, batch: &mut Batch, value: Value) -> Value {
        let Value::Str(span) = value else { return value };
        let Ok(text) = std::str::from_utf8(batch.bytes(span)) else { return value };
        let found = match self {
            Column::Text => None,
            Column::Integer => integer(text.trim()).map(Value::Int),
            Column::Float => float(text.trim()).map(Value::Float),
            Column::Boolean => match boolean(text.trim()) {
                Some(found) => Some(Value::Bool(found)),
                None => {
                    // What is no truth value becomes small letters, as in Logstash.
                    let small = text.trim().to_lowercase();
                    Some(Value::Str(batch.push_text(small.as_bytes())))
                }
            },
            Column::Time(formats) => {
                let time = formats.iter().find_map(|format| format.parse(text.as_bytes(), 0));
                time.map(|time_ns| {
                    let start = batch.text.len();
                    write_iso8601_ms(time_ns, &mut batch.text);
                    Value::Str(Span::new(start, batch.text.len()))
                })
            }
        };
        found.unwrap_or(value)
    }
}

fn formats(written: &[&str]) -> Vec<DateFormat> {
    let options = DateOptions::default();
    written.iter().filter_map(|format| DateFormat::compile(format, &options).ok()).collect()
}

fn integer(text: &str) -> Option<i64> {
    text.parse().ok()
}

fn float(text: &str) -> Option<f64> {
    // Rust also reads words such as `inf` and `nan`.
    let digits = text.trim_start_matches(['-', '+']);
    let begins = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    text.parse().ok().filter(|number: &f64| begins && number.is_finite())
}

fn boolean(text: &str) -> Option<bool> {
    match () {
        () if text.eq_ignore_ascii_case("true") => Some(true),
        () if text.eq_ignore_ascii_case("false") => Some(false),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::trial::{problems, run};

    #[test]
    fn columns_become_what_is_written() {
        let check = |kind: &str, text: &str, expected: &str| {
            let settings = format!(
                "[[filters]]\ntype = \"csv\"\nseparator = \";\"\ncolumns = [\"a\"]\n\
                 convert = {{ a = \"{kind}\" }}\nremove_field = \"message\"\n"
            );
            let found = run(&settings, &format!("{{\"message\":\"{text}\"}}"));
            assert_eq!(found, format!("{{\"a\":{expected}}}"), "{kind} of {text}");
        };
        check("integer", " 12", "12");
        check("integer", "3.7", "\"3.7\"");
        check("integer", "1,000", "\"1,000\"");
        check("float", "3.5", "3.5");
        check("float", "inf", "\"inf\"");
        check("boolean", " True ", "true");
        check("boolean", " Yes", "\"yes\"");
        check("string", "7", "\"7\"");
        check("date", "2026-06-01", "\"2026-06-01T00:00:00.000Z\"");
        check("date", "June 1, 2026", "\"2026-06-01T00:00:00.000Z\"");
        check("date", "no_date", "\"no_date\"");
        check("date_time", "2001-02-03 04:05:06", "\"2001-02-03T04:05:06.000Z\"");
        check("date_time", "2001-02-03T04:05:06+07:00", "\"2001-02-02T21:05:06.000Z\"");
        check("date_time", "soon", "\"soon\"");
        let wrong = "[[filters]]\ntype = \"csv\"\nconvert = { a = \"flaot\" }";
        assert!(problems(wrong).contains("did you mean \"float\"?"));
        let wrong = "[[filters]]\ntype = \"csv\"\nconvert = { a = 1 }";
        assert!(problems(wrong).contains("a type in quotes expected"));
    }
}
