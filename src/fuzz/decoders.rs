//! Codecs under the fuzzer.
//!
//! In: any bytes: settings by number, how the text is cut into chunks, the text. Promises: events do not depend on
//! where a text is cut between lines; every line is in exactly one event. On failure: a panic.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

use super::pipelines::NoEnvironment;
use crate::decode::{Codec, Decoder, KINDS, Place};
use crate::diagnostic::Diagnostics;
use crate::event::{Batch, Keys, Source, SourceKind};
use crate::settings::{Document, Section};

const MULTILINE: [&str; 8] = [
    "preset = \"any\"",
    "preset = \"java\"",
    "preset = \"python\"",
    "preset = \"go\"",
    "start = '^\\S'",
    "start = '^\\['\nmax_lines = 3",
    "continue = '^\\s'\nmax_bytes = \"1KiB\"",
    "end = ';$'",
];

/// Lines joined by rules.
pub(super) fn multiline(data: &[u8]) {
    let [mode, cut, text @ ..] = data else { return };
    let settings = MULTILINE[usize::from(*mode) % MULTILINE.len()];
    let Some((codec, keys)) = codec("multiline", settings) else { return };
    let whole = events(&codec, &keys, text, usize::MAX);
    assert_eq!(whole, events(&codec, &keys, text, usize::from(*cut)), "it depends on the chunks");
    let joined: Vec<u8> = messages(&whole).join("\n").into_bytes();
    if let Ok(text) = std::str::from_utf8(text) {
        let plain = text.replace("\r\n", "\n");
        let plain = plain.strip_suffix('\n').unwrap_or(&plain);
        assert_eq!(joined, plain.as_bytes(), "a byte was lost or changed on the way");
    }
}

/// Lines of container runtimes.
pub(super) fn container(data: &[u8]) {
    let [mode, cut, text @ ..] = data else { return };
    let settings = ["", "multiline = { preset = \"any\" }", "inner = \"json\""];
    let settings = settings[usize::from(*mode) % settings.len()];
    let Some((codec, keys)) = codec("container", settings) else { return };
    let whole = events(&codec, &keys, text, usize::MAX);
    assert_eq!(whole, events(&codec, &keys, text, usize::from(*cut)), "it depends on the chunks");
    let lines = text.split_inclusive(|b| *b == b'\n').count();
    assert!(whole.len() <= lines, "{} events of {lines} lines", whole.len());
}

/// A codec by its settings, and the names in them.
fn codec(kind: &str, settings: &str) -> Option<(Codec, Arc<Keys>)> {
    let mut problems = Diagnostics::default();
    let folder = Path::new("/nowhere");
    let (text, around) = (settings.to_string(), Arc::new(NoEnvironment));
    let document = Document::parse("codec", text, folder, around, &mut problems);
    let problems = RefCell::new(problems);
    let section = Section::root(&document, &problems);
    let mut keys = Keys::default();
    let (_, load) = KINDS.iter().find(|(name, _)| *name == kind)?;
    let codec = load(&section, &mut keys);
    section.finish();
    let problems = problems.into_inner();
    assert!(problems.0.is_empty(), "{problems}");
    Some((codec?, Arc::new(keys)))
}

/// Offset and document of each event of a text that comes in chunks of so many lines.
fn events(codec: &Codec, keys: &Arc<Keys>, text: &[u8], lines: usize) -> Vec<(u64, String)> {
    let kind = SourceKind::File { generation: 1 };
    let source = Arc::new(Source { id: 1, input: "t".into(), kind, fields: Vec::new() });
    let mut decoder = (codec.make)();
    let (mut offset, mut found) = (0, Vec::new());
    let all: Vec<&[u8]> = text.split_inclusive(|b| *b == b'\n').collect();
    for chunk in all.chunks(lines.max(1)) {
        let chunk = chunk.concat();
        let mut batch = Batch::new(Arc::clone(keys), Arc::clone(&source));
        batch.text.extend_from_slice(&chunk);
        decode(&mut *decoder, offset, false, &mut batch, &mut found);
        offset += chunk.len() as u64;
        assert!(decoder.held_from().is_none_or(|held| held < offset), "it holds the future");
    }
    let mut batch = Batch::new(Arc::clone(keys), source);
    decode(&mut *decoder, offset, true, &mut batch, &mut found);
    assert_eq!(decoder.held_from(), None, "something is held behind the end");
    found
}

fn decode(
    decoder: &mut dyn Decoder,
    offset: u64,
    last: bool,
    batch: &mut Batch,
    found: &mut Vec<(u64, String)>,
) {
    decoder.decode(Place { offset, received_ns: 0, piece: false, last }, batch);
    for event in 0..batch.events.len() {
        found.push((batch.events[event].offset, super::events::document(batch, event)));
    }
}

fn messages(events: &[(u64, String)]) -> Vec<String> {
    let message = |document: &str| -> Option<String> {
        let document: serde_json::Value = serde_json::from_str(document).ok()?;
        Some(document.get("message")?.as_str()?.to_string())
    };
    events.iter().filter_map(|(_, document)| message(document)).collect()
}
