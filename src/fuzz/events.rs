//! Events as JSON under the fuzzer.
//!
//! In: any bytes. Promises: what the reader takes is JSON, and says the same when it is written again; whatever is
//! done to an event, its document is JSON; a secret that a rule names is in no document. On failure: a panic.

use std::cell::RefCell;
use std::path::Path as FilePath;
use std::sync::{Arc, LazyLock, Mutex};

use serde_json::Value as Json;

use super::pipelines::NoEnvironment;
use crate::clock::SharedClock;
use crate::diagnostic::Diagnostics;
use crate::event::{
    Batch, Keys, Literal, Path, Source, SourceKind, Span, Value, parse_object, parse_value,
};
use crate::filter::{Chain, ChainPlan, FilterLoad, States};
use crate::metrics::Metrics;
use crate::settings::{Document, Section};

const SECRET: &str = "Hunter2Zq";

/// The reader of JSON against serde_json.
pub(super) fn json(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut values = data.to_vec();
    let _ = parse_value(&mut values, Span::new(0, data.len()));
    assert!(values.starts_with(data), "reading changed the text");
    let mut batch = batch(Keys::default());
    let event = batch.add_event(0, 0);
    let span = batch.push_text(data);
    let mut fields = Vec::new();
    let keys = Arc::clone(&batch.keys);
    let read = parse_object(&mut batch.text, span, &keys, &mut fields);
    let expected = serde_json::from_str::<Json>(text).ok().filter(Json::is_object);
    match read {
        Err(error) => {
            assert!(error.at <= data.len(), "an error outside of the text");
            assert!(fields.is_empty(), "fields of what is no object");
            let deep = error.message.contains("deep") || error.message.contains("nest");
            assert!(expected.is_none() || deep, "{error:?}, but serde_json reads it");
        }
        Ok(()) => {
            *batch.fields_mut(event) = fields;
            let written = document(&batch, event);
            assert!(!written.contains('\n'), "a document takes one line");
            if let Some(mut expected) = expected {
                let Ok(mut found) = serde_json::from_str::<Json>(&written) else {
                    panic!("serde_json does not read {written}");
                };
                for side in [&mut expected, &mut found] {
                    side.as_object_mut().map(|object| object.remove("@timestamp"));
                }
                assert!(same(&expected, &found), "{expected}\nbecame\n{found}");
            }
        }
    }
}

/// Changes of an event by paths, then its document.
pub(super) fn event(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    let mut keys = Keys::default();
    let ops: Vec<(u8, Path, &str)> = lines.filter_map(|line| operation(line, &mut keys)).collect();
    let mut batch = batch(keys);
    let event = batch.add_event(0, 0);
    let span = batch.push_text(first.as_bytes());
    let (mut fields, keys) = (Vec::new(), Arc::clone(&batch.keys));
    if parse_object(&mut batch.text, span, &keys, &mut fields).is_ok() {
        *batch.fields_mut(event) = fields;
    }
    for (what, path, argument) in ops {
        change(&mut batch, event, what, &path, argument);
        let written = document(&batch, event);
        let mut text = Vec::new();
        if let Some(value) = batch.get(event, &path) {
            batch.write_text(value, &mut text);
            assert!(std::str::from_utf8(&text).is_ok(), "a value's text is not UTF-8");
        }
        assert_eq!(document(&batch, event), written, "reading changes the document");
    }
}

fn operation<'a>(line: &'a str, keys: &mut Keys) -> Option<(u8, Path, &'a str)> {
    let what = *line.as_bytes().first()?;
    let (path, argument) = line.get(1..)?.split_once('=').unwrap_or((line.get(1..)?, ""));
    Some((what, Path::parse(path, keys).ok()?, argument))
}

fn change(batch: &mut Batch, event: usize, what: u8, path: &Path, argument: &str) {
    match what {
        b's' => {
            let value = batch.literal(&Literal::Str(argument.into()));
            batch.set(event, path, value);
            let whole = !path.is_timestamp() && !path.segments().is_empty();
            let found = batch.get(event, path).is_some();
            // An index behind the end of a list, or a name in a list, leads nowhere.
            assert!(!whole || found || path.segments().len() > 1, "what was set is not there");
        }
        b'j' => {
            let span = batch.push_text(argument.as_bytes());
            if let Ok(value) = parse_value(&mut batch.text, span) {
                batch.set(event, path, value);
            }
        }
        b'n' => {
            let float = argument.parse().ok().filter(|n: &f64| n.is_finite()).map(Value::Float);
            let int = argument.parse().ok().map(Value::Int);
            batch.set(event, path, int.or(float).unwrap_or(Value::Null));
        }
        b't' => batch.add_tag(event, argument),
        _ => drop(batch.remove(event, path)),
    }
}

/// A chain that takes the secret out.
static REDACT: LazyLock<(Mutex<Chain>, Arc<Keys>)> = LazyLock::new(|| {
    let toml = "[[filters]]\ntype = \"redact\"\nkeys = [\"password\", \"token\", \"api_key\"]\n\
        detect = [\"credit_card\", \"email\", \"iban\", \"ipv4\", \"jwt\", \"bearer\", \"url_credentials\"]";
    let mut problems = Diagnostics::default();
    let folder = FilePath::new("/nowhere");
    let around = Arc::new(NoEnvironment);
    let document = Document::parse("t.toml", toml.into(), folder, around, &mut problems);
    let problems = RefCell::new(problems);
    let section = Section::root(&document, &problems);
    let (mut keys, metrics) = (Keys::default(), Metrics::default());
    let clock: SharedClock = crate::clock::system();
    let states = States::default();
    let mut load =
        FilterLoad { keys: &mut keys, clock: &clock, metrics: &metrics, states: &states };
    let plan = ChainPlan::load(&section, "filters", &mut load);
    section.finish();
    let problems = problems.into_inner();
    assert!(problems.0.is_empty(), "{problems}");
    (Mutex::new(plan.make()), Arc::new(keys))
});

/// Ways to write the secret that the rules name.
const FORMS: [&str; 12] = [
    "password=Hunter2Zq",
    "Password: Hunter2Zq",
    "\"token\":\"Hunter2Zq\"",
    "'api_key' : 'Hunter2Zq'",
    "api-key=>\"x Hunter2Zq y\"",
    "password%3DHunter2Zq",
    "%22token%22%3A%22Hunter2Zq%22",
    "\\\"password\\\":\\\"Hunter2Zq\\\"",
    "\\\\\\\"token\\\\\\\":\\\\\\\"Hunter2Zq\\\\\\\"",
    "\"password\":{\"a\":[\"Hunter2Zq\"]}",
    "\"password\": [1, \"Hunter2Zq\"]",
    "my_password = Hunter2Zq",
];

/// A secret with anything around it, in a text, in a list, in a text within a text, and as a member.
pub(super) fn redact(data: &[u8]) {
    let [mode, around @ ..] = data else { return };
    let around = String::from_utf8_lossy(around);
    let (before, after) = around.split_once('|').unwrap_or((&around, ""));
    let form = FORMS[usize::from(*mode) % FORMS.len()];
    let text = format!("{before} {form}{}{after}", if mode & 0x80 == 0 { " " } else { "" });
    let inner = serde_json::json!({ "m": text, "token": SECRET }).to_string();
    let event = serde_json::json!({
        "message": text, "n": { "Password": SECRET, "l": [text, { "user_token": [SECRET] }] }, "inner": inner,
    });
    let Ok(mut chain) = REDACT.0.lock() else { return };
    let mut batch = batch_of(&REDACT.1);
    let number = batch.add_event(0, 0);
    let span = batch.push_text(event.to_string().as_bytes());
    let mut fields = Vec::new();
    let read = parse_object(&mut batch.text, span, &REDACT.1, &mut fields);
    assert!(read.is_ok(), "{read:?}");
    *batch.fields_mut(number) = fields;
    chain.apply(&mut batch);
    let written = document(&batch, number);
    assert!(!written.contains(SECRET), "{event}\nbecame\n{written}");
}

/// An event's document, which is JSON.
pub(super) fn document(batch: &Batch, event: usize) -> String {
    let mut out = Vec::new();
    batch.write_event(event, &mut out);
    let Ok(text) = String::from_utf8(out) else { panic!("a document is not UTF-8") };
    let read = serde_json::from_str::<serde::de::IgnoredAny>(&text);
    assert!(read.is_ok(), "a document is not JSON: {text}");
    text
}

/// An empty batch of a stream.
pub(super) fn batch(keys: Keys) -> Batch {
    batch_of(&Arc::new(keys))
}

fn batch_of(keys: &Arc<Keys>) -> Batch {
    let kind = SourceKind::Stream;
    let source = Source { id: 1, input: "t".into(), kind, fields: Vec::new() };
    Batch::new(Arc::clone(keys), Arc::new(source))
}

/// Whether two values say the same; serde_json reads the last digit of a number with a fraction wrongly at times.
fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap_or(0.0), b.as_f64().unwrap_or(0.0));
            (a - b).abs() <= a.abs() * 1e-15
        }
        (Json::Array(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Json::Object(a), Json::Object(b)) => {
            let equal = |(key, a): (&String, &Json)| b.get(key).is_some_and(|b| same(a, b));
            a.len() == b.len() && a.iter().all(equal)
        }
        _ => a == b,
    }
}
