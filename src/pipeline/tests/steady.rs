//! An event costs no allocation: what is allocated for a batch does not grow with its events.

use allocation_counter::measure;

use super::*;
use crate::decode::Place;
use crate::event::Literal;

/// One worker's buffers, used again and again as a worker does.
struct Work {
    flow: Flow,
    batch: Batch,
    buffer: Vec<u8>,
    text: Vec<u8>,
}

impl Work {
    fn new(toml: &str) -> Work {
        let plan = plan(toml);
        let metrics = Metrics::default();
        let route = |(bit, output): (usize, config::OutputPlan)| {
            let address = output.output.address().cloned();
            Route::new(output.name, bit as u32, output.when, address, &metrics)
        };
        let routes = plan.outputs.into_iter().enumerate().map(route).collect();
        let codecs = plan.inputs.into_iter().map(|i| (i.name.into(), i.codec)).collect();
        let log = Literal::Object(vec![("path".into(), Literal::Str("/var/log/a.log".into()))]);
        let fields = vec![
            (Key::LOG, log),
            (Key::HOST, Literal::Object(vec![("name".into(), Literal::Str("h".into()))])),
        ];
        let kind = SourceKind::File { generation: 7 };
        let source = Arc::new(Source { id: 1, input: "in".into(), kind, fields });
        let batch = Batch::new(Arc::clone(&plan.keys), source);
        let flow = FlowPlan::new(plan.keys, plan.chain, codecs, routes, &metrics);
        Work { flow: Flow::new(Arc::new(flow)), batch, buffer: Vec::new(), text: Vec::new() }
    }

    /// Decodes, filters, routes and encodes; the number of documents.
    fn run(&mut self, lines: &[u8]) -> usize {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        text.extend_from_slice(lines);
        let source = Arc::clone(&self.batch.source);
        let input = Arc::clone(&source.input);
        self.text = self.batch.recycle(text, source);
        let place = Place { offset: 0, received_ns: 0, piece: false, last: false };
        self.flow.decoder(&input).unwrap().decode(place, &mut self.batch);
        self.flow.filter(&mut self.batch);
        let (mut from, mut documents) = (Some(0), 0);
        while let Some(start) = from {
            let mut draft = Draft::new(std::mem::take(&mut self.buffer));
            from = self.flow.encode(&mut self.batch, start, &mut draft);
            let frame = draft.seal(1, 1);
            documents += frame.document_count();
            self.buffer = frame.into_buffer();
        }
        documents
    }

    /// Allocations of a batch of so many lines, once the buffers are as large as they must be.
    fn allocations(&mut self, lines: usize, line: fn(usize) -> String) -> u64 {
        let text: String = (0..lines).map(line).collect();
        for _ in 0..3 {
            assert_eq!(self.run(text.as_bytes()), lines);
        }
        let once = || assert_eq!(self.run(text.as_bytes()), lines);
        measure(once).count_total
    }
}

fn no_more_for_more_events(toml: &str, line: fn(usize) -> String) {
    let mut work = Work::new(toml);
    let few = work.allocations(50, line);
    let many = work.allocations(500, line);
    // A frame's tables may grow once or twice more.
    assert!(many <= few + 8, "{few} allocations for 50 events, {many} for 500");
}

const OUTPUTS: &str = r#"
[outputs.logs]
type = "elasticsearch"
hosts = ["http://localhost:9200"]
index = "logs-{service}-{@timestamp:%Y.%m.%d}"
[outputs.errors]
type = "elasticsearch"
when = 'level == "ERROR"'
hosts = ["http://localhost:9200"]
index = "errors-{service}-{@timestamp:%Y.%m.%d}"
"#;

#[test]
fn json_lines() {
    let toml = r#"
[inputs.in]
type = "file"
paths = ["/tmp/none"]
codec = "json"
[[filters]]
type = "date"
field = "timestamp"
formats = ["ISO8601"]
[[filters]]
type = "set"
fields = { environment = "production" }
"#;
    let line = |n: usize| {
        let level = if n.is_multiple_of(9) { "ERROR" } else { "INFO" };
        format!(
            "{{\"timestamp\": \"2026-11-22T00:00:{:02}.003000Z\", \"level\": \"{level}\", \"service\": \"shop\", \
             \"n\": {n}, \"f\": 1.5, \"text\": \"a \\\"quote\\\"\", \"deep\": {{\"a\": [1]}}}}\n",
            n % 60
        )
    };
    no_more_for_more_events(&format!("{toml}{OUTPUTS}"), line);
}

#[test]
fn plain_lines_taken_apart() {
    let toml = r#"
[inputs.in]
type = "file"
paths = ["/tmp/none"]
[[filters]]
type = "grok"
field = "message"
patterns = ['^\[%{TIMESTAMP_ISO8601:timestamp}\] %{LOGLEVEL:level} %{WORD:service} %{INT:n:int} %{GREEDYDATA:msg}$']
[[filters]]
type = "date"
field = "timestamp"
formats = ["ISO8601"]
[[filters]]
type = "redact"
keys = ["password"]
[[filters]]
type = "remove"
fields = ["message"]
"#;
    let line = |n: usize| {
        format!("[2026-11-22T00:00:{:02}.003Z] INFO shop {n} paid by \"{n}\" tool=send\n", n % 60)
    };
    no_more_for_more_events(&format!("{toml}{OUTPUTS}"), line);
}
