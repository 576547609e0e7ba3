//! References to fields within texts.
//!
//! In: `%{field}`, `%{[a][b]}`, `%{+YYYY.MM.dd}` as Logstash writes them. Out: `{field}`, `{a.b}`,
//! `{@timestamp:%Y.%m.%d}`. Promises: the result is a template of ours; a brace of the source stays a brace.
//! On failure: a time form that has no directive is named.

use super::dates;
use crate::event::Keys;
use crate::template::Template;

/// A text of Logstash as a template of ours.
///
/// # Errors
/// The reference that has no counterpart, with the reason.
pub fn from_logstash(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("%{") {
        let Some(end) = rest[at..].find('}').map(|end| at + end) else { break };
        out.push_str(&escaped(&rest[..at]));
        let inner = &rest[at + 2..end];
        out.push_str(&match inner.strip_prefix('+') {
            Some("%s") => "{@timestamp:%s}".to_string(),
            Some(form) => format!("{{@timestamp:{}}}", dates::strftime_of_joda(form)?),
            None if inner == "@timestamp" || inner == "[@timestamp]" => "{@timestamp}".to_string(),
            None if inner.is_empty() => "%{{}}".to_string(),
            None => format!("{{{}}}", field(inner)),
        });
        rest = &rest[end + 1..];
    }
    out.push_str(&escaped(rest));
    match Template::parse(&out, &mut Keys::default()) {
        Ok(_) => Ok(out),
        Err(error) => Err(format!("`{text}` cannot be written as a template: {}", error.message)),
    }
}

/// Whether a text of Logstash refers to a field or to the time.
pub fn has_references(text: &str) -> bool {
    text.split("%{").skip(1).any(|rest| rest.contains('}'))
}

/// A plain text as a template.
pub fn escaped(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

/// A field reference of Logstash (`a`, `[a][b]`) as a path of ours.
pub fn field(reference: &str) -> String {
    path(&names(reference))
}

/// The names of a field reference of Logstash.
pub fn names(reference: &str) -> Vec<String> {
    let trimmed = reference.trim();
    if !trimmed.starts_with('[') {
        return vec![trimmed.to_string()];
    }
    let inner = trimmed.trim_start_matches('[').trim_end_matches(']');
    inner.split("][").map(|name| name.trim().to_string()).collect()
}

/// Names as a path of ours.
pub fn path<S: AsRef<str>>(names: &[S]) -> String {
    let escape = |name: &S| name.as_ref().replace('\\', "\\\\").replace('.', "\\.");
    names.iter().map(escape).collect::<Vec<_>>().join(".")
}
