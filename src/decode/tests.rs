use super::*;
use crate::event::{Literal, Source, SourceKind};
use std::sync::Arc;

/// The documents that a codec makes of a text.
fn decode(decoder: &mut dyn Decoder, text: &[u8], fields: Vec<(Key, Literal)>) -> Vec<String> {
    let kind = SourceKind::File { generation: 1 };
    let source = Arc::new(Source { id: 1, input: "t".into(), kind, fields });
    let mut batch = Batch::new(Arc::new(Keys::default()), source);
    batch.text.extend_from_slice(text);
    let place = Place { offset: 100, received_ns: 0, piece: false, last: true };
    decoder.decode(place, &mut batch);
    documents(&batch)
}

fn documents(batch: &Batch) -> Vec<String> {
    let document = |event| {
        let mut out = Vec::new();
        batch.write_event(event, &mut out);
        String::from_utf8(out).unwrap().replace("\"@timestamp\":\"1970-01-01T00:00:00.000Z\",", "")
    };
    (0..batch.events.len()).map(document).collect()
}

#[test]
fn every_line_is_an_event_with_the_fields_of_its_source() {
    let fields =
        vec![(Key::HOST, Literal::Object(vec![("name".into(), Literal::Str("n1".into()))]))];
    let found = decode(&mut PerLine::new(plain::Plain), b"one\r\n\ntwo", fields);
    assert_eq!(
        found,
        [
            r#"{"message":"one","host":{"name":"n1"}}"#,
            r#"{"message":"","host":{"name":"n1"}}"#,
            r#"{"message":"two","host":{"name":"n1"}}"#
        ]
    );
}

#[test]
fn every_event_of_a_file_has_the_offset_of_its_first_byte() {
    let path = Literal::Object(vec![("path".into(), Literal::Str("/a.log".into()))]);
    let fields = vec![(Key::LOG, Literal::Object(vec![("file".into(), path)]))];
    let found = decode(&mut PerLine::new(plain::Plain), b"one\r\ntwo\n", fields.clone());
    assert_eq!(
        found,
        [
            r#"{"message":"one","log":{"file":{"path":"/a.log"},"offset":100}}"#,
            r#"{"message":"two","log":{"file":{"path":"/a.log"},"offset":105}}"#,
        ]
    );
    let text = b"{\"a\":1}\n{\"log\":{\"level\":\"info\"}}\nno object\n";
    let found = decode(&mut PerLine::new(json::Json::default()), text, fields);
    assert_eq!(
        found,
        [
            r#"{"a":1,"log":{"file":{"path":"/a.log"},"offset":100}}"#,
            r#"{"log":{"level":"info"}}"#,
            r#"{"message":"no object","log":{"file":{"path":"/a.log"},"offset":133},"tags":["_jsonparsefailure"]}"#,
        ]
    );
}

#[test]
fn bytes_that_are_not_utf8_can_be_got_back() {
    let found = decode(&mut PerLine::new(plain::Plain), b"a\xE9b \\xE9 \\x\ngood", Vec::new());
    let line = r#"{"message":"a\\xE9b \\x5CxE9 \\x","tags":["_invalid_utf8"]}"#;
    assert_eq!(found, [line, r#"{"message":"good"}"#]);
}

#[test]
fn an_object_gives_its_fields_and_its_time_and_a_broken_line_is_kept() {
    let text = b"{\"@timestamp\":\"2026-11-22T01:02:03.5Z\",\"a\":{\"b\":1}}\n{\"a\":\n\n{\"@timestamp\":7}\n";
    let found = decode(&mut PerLine::new(json::Json::default()), text, Vec::new());
    assert_eq!(
        found,
        [
            r#"{"@timestamp":"2026-11-22T01:02:03.500Z","a":{"b":1}}"#,
            r#"{"message":"{\"a\":","tags":["_jsonparsefailure"]}"#,
            r#"{"_@timestamp":7,"tags":["_timestampparsefailure"]}"#
        ]
    );
}

#[test]
fn configured_fields_replace_own_ones_and_automatic_ones_give_way() {
    let mut keys = Keys::default();
    let service = keys.intern("service");
    let fields =
        vec![(service, Literal::Str("new".into())), (Key::HOST, Literal::Str("n1".into()))];
    let source = Arc::new(Source { id: 1, input: "t".into(), kind: SourceKind::Stream, fields });
    let mut batch = Batch::new(Arc::new(keys), source);
    batch.text.extend_from_slice(b"{\"service\":\"old\",\"host\":\"own\"}\n");
    let place = Place { offset: 0, received_ns: 0, piece: false, last: false };
    PerLine::new(json::Json::default()).decode(place, &mut batch);
    assert_eq!(documents(&batch), [r#"{"service":"new","host":"own"}"#]);
}

/// Reads a codec's settings; gives the problems that were found.
pub(super) fn load(kind: &str, settings: &str, keys: &mut Keys) -> (Option<Codec>, Vec<String>) {
    use crate::diagnostic::Diagnostics;
    use crate::settings::{Document, ProcessEnvironment};
    let mut problems = Diagnostics::default();
    let environment = Arc::new(ProcessEnvironment);
    let folder = std::path::Path::new("/");
    let document = Document::parse("t.toml", settings.into(), folder, environment, &mut problems);
    let problems = std::cell::RefCell::new(problems);
    let section = Section::root(&document, &problems);
    let load = KINDS.iter().find(|(name, _)| *name == kind).unwrap().1;
    let codec = load(&section, keys);
    section.finish();
    let problems = problems.into_inner().0.iter().map(ToString::to_string).collect();
    (codec, problems)
}

/// A source that is decoded chunk by chunk, as a pipeline does it.
pub(super) struct Feed {
    codec: Arc<Codec>,
    decoder: Box<dyn Decoder>,
    keys: Arc<Keys>,
    source: Arc<Source>,
    /// Offset of the next chunk.
    pub(super) offset: u64,
    /// When the next chunk is read.
    pub(super) now_ns: i64,
    /// Offset and document of each event.
    pub(super) events: Vec<(u64, String)>,
}

impl Feed {
    pub(super) fn new(kind: &str, settings: &str, path: &str) -> Feed {
        let mut keys = Keys::default();
        let (codec, problems) = load(kind, settings, &mut keys);
        assert_eq!(problems, Vec::<String>::new());
        let file = Literal::Object(vec![("path".into(), Literal::Str(path.into()))]);
        let log = (Key::LOG, Literal::Object(vec![("file".into(), file)]));
        let fields = if path.is_empty() { Vec::new() } else { vec![log] };
        let kind = SourceKind::File { generation: 1 };
        let source = Arc::new(Source { id: 1, input: "t".into(), kind, fields });
        let codec = Arc::new(codec.unwrap());
        let (decoder, keys, events) = ((codec.make)(), Arc::new(keys), Vec::new());
        Feed { codec, decoder, keys, source, offset: 0, now_ns: 0, events }
    }

    /// The same source after a restart, to be read from `offset` on.
    pub(super) fn restart(&self, offset: u64) -> Feed {
        let (codec, decoder) = (Arc::clone(&self.codec), (self.codec.make)());
        let (keys, source) = (Arc::clone(&self.keys), Arc::clone(&self.source));
        Feed { codec, decoder, keys, source, offset, now_ns: 0, events: Vec::new() }
    }

    /// Decodes one chunk.
    pub(super) fn chunk(&mut self, text: &[u8], piece: bool, last: bool) {
        self.decode(text, piece, last);
    }

    /// Decodes one chunk; gives the number of bytes that were appended to the batch's text.
    pub(super) fn appended(&mut self, text: &[u8]) -> usize {
        self.decode(text, false, false) - text.len()
    }

    fn decode(&mut self, text: &[u8], piece: bool, last: bool) -> usize {
        let mut batch = Batch::new(Arc::clone(&self.keys), Arc::clone(&self.source));
        batch.text.extend_from_slice(text);
        let place = Place { offset: self.offset, received_ns: self.now_ns, piece, last };
        self.decoder.decode(place, &mut batch);
        self.offset += text.len() as u64;
        self.take(&batch);
        batch.text.len()
    }

    /// Lets time pass.
    pub(super) fn flush(&mut self, now_ns: i64) {
        self.now_ns = now_ns;
        let mut batch = Batch::new(Arc::clone(&self.keys), Arc::clone(&self.source));
        self.decoder.flush(now_ns, &mut batch);
        self.take(&batch);
    }

    /// Where reading would begin after a restart.
    pub(super) fn position(&self) -> u64 {
        self.decoder.held_from().unwrap_or(self.offset)
    }

    /// The `message` of each event.
    pub(super) fn messages(&self) -> Vec<String> {
        self.events.iter().map(|(_, document)| message(document)).collect()
    }

    fn take(&mut self, batch: &Batch) {
        let offsets = batch.events.iter().map(|event| event.offset);
        self.events.extend(offsets.zip(documents(batch)));
    }
}

/// The `message` of a document.
pub(super) fn message(document: &str) -> String {
    let document: serde_json::Value = serde_json::from_str(document).unwrap();
    document["message"].as_str().unwrap_or_default().to_string()
}

/// The events of a text, which must be the same wherever it is cut between lines.
pub(super) fn events_at_every_cut(kind: &str, settings: &str, text: &str) -> Vec<(u64, String)> {
    let feed = Feed::new(kind, settings, "");
    let whole = events_of(&feed, &[text]);
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    assert_eq!(events_of(&feed, &lines), whole, "each line in its own chunk");
    let cuts: Vec<usize> = text.match_indices('\n').map(|(at, _)| at + 1).collect();
    for (n, first) in cuts.iter().enumerate() {
        // Longer texts: one cut, and a second one not far from it.
        for second in cuts[n..].iter().take(12) {
            let parts = [&text[..*first], &text[*first..*second], &text[*second..]];
            assert_eq!(events_of(&feed, &parts), whole, "cut at {first} and {second}");
        }
    }
    whole
}

fn events_of(feed: &Feed, chunks: &[&str]) -> Vec<(u64, String)> {
    let mut feed = feed.restart(0);
    for chunk in chunks {
        feed.chunk(chunk.as_bytes(), false, false);
    }
    feed.chunk(b"", false, true);
    feed.events
}
