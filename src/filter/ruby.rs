//! Values as texts, where Logstash's result depends on that text.
//!
//! In: a value. Out: its text: a string bare, null as nothing, a number as Ruby writes it; the items of a list, and
//! the names and values of an object in the order of its names, with `|` between them. Promises: the text does not
//! depend on the order in which members were read. On failure: nothing can fail.

use std::io::Write as _;

use crate::event::{Batch, Field, Value};

/// Appends the text of a value.
pub(super) fn write_text(batch: &mut Batch, value: Value, out: &mut Vec<u8>) {
    match batch.open(value) {
        Value::Null => {}
        Value::Float(number) => write_float(number, out),
        Value::Json(span) => {
            // A number as it was read.
            let number = std::str::from_utf8(batch.bytes(span)).ok().and_then(|n| n.parse().ok());
            match number {
                Some(number) if !is_whole(batch.bytes(span)) => write_float(number, out),
                _ => out.extend_from_slice(batch.bytes(span)),
            }
        }
        Value::Array(list) => {
            for at in 0..batch.array(list).len() {
                if at > 0 {
                    out.push(b'|');
                }
                let item = batch.array(list)[at];
                write_text(batch, item, out);
            }
        }
        Value::Object(object) => {
            let mut fields = batch.object(object).to_vec();
            sort(batch, &mut fields);
            for (at, field) in fields.iter().enumerate() {
                if at > 0 {
                    out.push(b'|');
                }
                out.extend_from_slice(batch.key_name(field.key));
                out.push(b'|');
                write_text(batch, field.value, out);
            }
        }
        scalar => batch.write_text(scalar, out),
    }
}

/// Sorts fields by their names.
pub(super) fn sort(batch: &Batch, fields: &mut [Field]) {
    fields.sort_by(|a, b| batch.key_name(a.key).cmp(batch.key_name(b.key)));
}

fn is_whole(number: &[u8]) -> bool {
    !number.iter().any(|b| matches!(b, b'.' | b'e' | b'E'))
}

/// A number with a fraction: plain from 0.0001 to 10 000 000 000 000 000, else with an exponent of two digits.
fn write_float(number: f64, out: &mut Vec<u8>) {
    let size = number.abs();
    if number == 0.0 || (1e-4..1e16).contains(&size) {
        let from = out.len();
        let _ = write!(out, "{number}");
        if !out[from..].contains(&b'.') {
            out.extend_from_slice(b".0");
        }
        return;
    }
    let mut text = [0; 40];
    let mut rest = &mut text[..];
    let _ = write!(rest, "{number:e}");
    let left = rest.len();
    let text = &text[..text.len() - left];
    let Some(at) = text.iter().position(|b| *b == b'e') else { return };
    let (digits, exponent) = (&text[..at], &text[at + 1..]);
    out.extend_from_slice(digits);
    if !digits.contains(&b'.') {
        out.extend_from_slice(b".0");
    }
    let (sign, exponent) = match exponent.strip_prefix(b"-") {
        Some(exponent) => (b'-', exponent),
        None => (b'+', exponent),
    };
    out.extend_from_slice(&[b'e', sign]);
    if exponent.len() == 1 {
        out.push(b'0');
    }
    out.extend_from_slice(exponent);
}

#[cfg(test)]
mod tests {
    use super::super::trial::Trial;
    use super::write_text;
    use crate::event::Key;

    #[track_caller]
    fn check(json: &str, expected: &str) {
        let trial = Trial::new("");
        let mut batch = trial.batch(&[&format!("{{\"message\":{json}}}")]);
        let value = batch.get_root(0, Key::MESSAGE).unwrap();
        let mut out = Vec::new();
        write_text(&mut batch, value, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn values_are_written_as_ruby_writes_them() {
        check("null", "");
        check("true", "true");
        check("-7", "-7");
        check("\"a\\n\\\"\"", "a\n\"");
        check("[1,\"a\\n\",null,[],2]", "1|a\n|||2");
        check(r##"{"b":1.5,"a":{"y":2,"x":"#{z}"}}"##, "a|x|#{z}|y|2|b|1.5");
    }

    #[test]
    fn fractions_are_written_as_ruby_writes_them() {
        check("1.0", "1.0");
        check("0.0001", "0.0001");
        check("0.00001", "1.0e-05");
        check("1234567890123456.5", "1234567890123456.5");
        check("1e16", "1.0e+16");
        check("-1.25e100", "-1.25e+100");
    }
}
