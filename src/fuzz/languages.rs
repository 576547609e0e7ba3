//! The languages of the configuration under the fuzzer.
//!
//! In: any bytes: a text of the language in the first line, then what it is used on. Promises: errors lie within
//! their text; what compiles runs, twice the same. On failure: a panic.

use super::events::{batch, document};
use crate::condition::Condition;
use crate::event::{Batch, Keys, parse_object};
use crate::grok::{Ecs, Grok, Options, Outcome, Scratch, doubt};
use crate::settings::TextError;
use crate::template::Template;
use crate::timestamp::{DateFormat, DateOptions, parse_iso8601, write_iso8601_ms};

const EVENT: &str =
    r#"{"a":1,"b":"text","c":[1,"x",null],"d":{"e":true,"f":1.5,"g":"10.1.2.3"},"m":"GET /x"}"#;

fn split(data: &[u8]) -> (String, &[u8]) {
    let at = data.iter().position(|b| *b == b'\n');
    let (first, rest) = at.map_or((data, &b""[..]), |at| (&data[..at], &data[at + 1..]));
    (String::from_utf8_lossy(first).into_owned(), rest)
}

/// One event; the text's own where it is an object, else a usual one.
fn events_of(keys: Keys, text: &[u8]) -> Batch {
    let mut batch = batch(keys);
    let event = batch.add_event(1_795_309_323_004_000_000, 0);
    let text = if std::str::from_utf8(text).is_ok() { text } else { b"" };
    for text in [text, EVENT.as_bytes()] {
        let (mut fields, keys) = (Vec::new(), std::sync::Arc::clone(&batch.keys));
        let span = batch.push_text(text);
        if parse_object(&mut batch.text, span, &keys, &mut fields).is_ok() {
            *batch.fields_mut(event) = fields;
            break;
        }
    }
    batch
}

fn check(error: &TextError, text: &str) {
    let inside = text.get(error.span.clone()).is_some();
    assert!(inside, "{error:?} is not a place of {text:?}");
    assert!(!error.message.is_empty());
}

/// `when`.
pub(super) fn condition(data: &[u8]) {
    let (text, rest) = split(data);
    let mut keys = Keys::default();
    let condition = match Condition::parse(&text, &mut keys) {
        Ok(condition) => condition,
        Err(error) => return check(&error, &text),
    };
    let opposite = match Condition::parse(&format!("not ({text}\n)"), &mut keys) {
        Ok(opposite) => opposite,
        Err(error) => panic!("{text} is a condition, its opposite is not: {error:?}"),
    };
    let batch = events_of(keys, rest);
    let before = document(&batch, 0);
    assert_ne!(condition.holds(&batch, 0), opposite.holds(&batch, 0), "{text}");
    assert_eq!(document(&batch, 0), before, "a condition changes the event");
}

/// Texts with `{field}`s.
pub(super) fn template(data: &[u8]) {
    let (text, rest) = split(data);
    let mut keys = Keys::default();
    let template = match Template::parse(&text, &mut keys) {
        Ok(template) => template,
        Err(error) => return check(&error, &text),
    };
    let batch = events_of(keys, rest);
    let (mut out, mut again) = (Vec::new(), b"x".to_vec());
    let complete = template.render(&batch, 0, &mut out);
    assert_eq!(template.render(&batch, 0, &mut again), complete);
    assert_eq!(&again[1..], out, "a second rendering differs");
    assert!(std::str::from_utf8(&out).is_ok(), "a rendered text is not UTF-8");
    if let Some(constant) = template.constant() {
        assert!(complete && constant.as_bytes() == out && template.fields().next().is_none());
    }
}

/// Date formats and dates.
pub(super) fn date(data: &[u8]) {
    let (format, text) = split(data);
    let options =
        |zone: &str| DateOptions { timezone: Some(zone.into()), locale: Some("de".into()) };
    for options in [DateOptions::default(), options("Europe/Berlin")] {
        match DateFormat::compile(&format, &options) {
            Err(error) => {
                assert!(error.offset <= format.len(), "{error:?} is not a place of {format:?}");
            }
            Ok(compiled) => {
                let now_ns = 1_795_309_323_004_000_000;
                let found = compiled.parse(text, now_ns);
                assert_eq!(found, compiled.parse(text, now_ns));
                found.into_iter().for_each(written_and_read);
                // A format is often nearly a text of itself.
                let _ = compiled.parse(format.as_bytes(), now_ns);
                let _ = compiled.parse_number(text.len() as i64);
                let number = text.first_chunk::<8>().map(|bytes| f64::from_le_bytes(*bytes));
                number
                    .into_iter()
                    .filter_map(|n| compiled.parse_number(n))
                    .for_each(written_and_read);
            }
        }
    }
    parse_iso8601(text).into_iter().for_each(written_and_read);
}

/// An instant survives being written and read, to the millisecond.
fn written_and_read(ns: i64) {
    let mut out = Vec::new();
    write_iso8601_ms(ns, &mut out);
    let again = parse_iso8601(&out);
    let shown = String::from_utf8_lossy(&out).into_owned();
    let floor = ns.div_euclid(1_000_000).checked_mul(1_000_000);
    assert!(again == floor || floor.is_none(), "{ns} is written {shown} and read {again:?}");
}

/// Grok patterns and texts.
pub(super) fn grok(data: &[u8]) {
    let (pattern, text) = split(data);
    let ecs = if data.len().is_multiple_of(2) { Ecs::V1 } else { Ecs::Disabled };
    let options =
        Options { named_captures_only: data.len().is_multiple_of(3), ..Options::default() };
    let definitions = [("OWN".to_string(), "[a-c]+(?:%{INT}|x)".to_string())];
    let patterns = [pattern.clone(), "%{OWN:own}".to_string()];
    let grok = match Grok::compile(&patterns, &definitions, ecs, options) {
        Ok(grok) => grok,
        Err(error) => {
            let inside = pattern.is_char_boundary(error.offset) && error.offset <= pattern.len();
            assert!(inside && error.pattern == 0, "{error} is not a place of {pattern:?}");
            assert!(!error.message().is_empty());
            return;
        }
    };
    assert!(!grok.explain().is_empty());
    let _ = doubt(&pattern);
    // What a pattern means is often close to how it is written.
    let derived: String = pattern.chars().filter(|c| !"\\^$()[]{}?*+|".contains(*c)).collect();
    let mut scratch = Scratch::default();
    for text in [text, derived.as_bytes(), b""] {
        let outcome = grok.find(&mut scratch, text);
        let taken = |scratch: &Scratch| match outcome {
            Outcome::Match(found) => grok.captures(&found, scratch).collect::<Vec<_>>(),
            _ => Vec::new(),
        };
        let captures = taken(&scratch);
        if let Outcome::Match(found) = outcome {
            assert!(found.start <= found.end && found.end <= text.len() && found.pattern < 2);
            for capture in &captures {
                assert!(capture.start <= capture.end && capture.end <= text.len());
                assert!(capture.field < grok.fields().len());
            }
        }
        let mut fresh = Scratch::default();
        assert_eq!(grok.find(&mut fresh, text), outcome, "a used scratch changes the outcome");
        assert_eq!(taken(&fresh), captures, "a used scratch changes the captures");
    }
}
