//! What one worker spends on an event: `cargo run --release --example worker -- PIPELINE.toml LINES [LIMIT] [ROUNDS] [BYTES]`.
//!
//! In: a pipeline, a file of lines, how many of them (all), how often (once), bytes of a piece (64 KiB). Out: on standard
//! output the number of documents and a sum over every frame, which must stay the same when only the speed is to change.
//! Promises: decode, filters, routes and encoding are the agent's own, over pieces as large as the agent's; there is no
//! input, no journal and no output beside them, so that what callgrind counts for six rounds less what it counts for two
//! is the worker's part of an event. On failure: it says why and ends with 1.

use std::path::Path;
use std::sync::Arc;

use logweir::config::{self, Plan, Surroundings};
use logweir::decode::Place;
use logweir::event::{Batch, Key, Literal, Source, SourceKind};
use logweir::frame::Draft;
use logweir::metrics::Metrics;
use logweir::pipeline::{Flow, FlowPlan};
use logweir::route::Route;

/// One worker and its buffers.
struct Worker {
    flow: Flow,
    batch: Batch,
    buffer: Vec<u8>,
    documents: usize,
    sum: u64,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [pipeline, lines, rest @ ..] = &arguments[..] else {
        eprintln!("worker: name a pipeline and a file of lines");
        std::process::exit(1);
    };
    let number = |at: usize| rest.get(at).and_then(|text| text.parse::<usize>().ok());
    let (limit, rounds) = (number(0).unwrap_or(usize::MAX), number(1).unwrap_or(1));
    let piece = number(2).unwrap_or(64 * 1024);
    if let Err(why) = run(Path::new(pipeline), Path::new(lines), (limit, rounds, piece)) {
        eprintln!("worker: {why}");
        std::process::exit(1);
    }
}

fn run(
    pipeline: &Path,
    lines: &Path,
    (limit, rounds, piece): (usize, usize, usize),
) -> Result<(), String> {
    let plan = load(pipeline)?;
    let text = std::fs::read(lines).map_err(|e| format!("{}: {e}", lines.display()))?;
    let end = memchr::memchr_iter(b'\n', &text)
        .nth(limit.saturating_sub(1))
        .map_or(text.len(), |at| at + 1);
    let mut worker = Worker::new(plan, lines)?;
    for _ in 0..rounds {
        let mut from = 0;
        while from < end {
            let most = (from + piece).min(end);
            let cut = memchr::memrchr(b'\n', &text[from..most]).map_or(most, |at| from + at + 1);
            worker.chunk(&text[from..cut], from as u64)?;
            from = cut;
        }
    }
    println!("documents {} sum {:016x}", worker.documents, worker.sum);
    Ok(())
}

fn load(path: &Path) -> Result<Plan, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let around = Surroundings {
        environment: Arc::new(logweir::settings::ProcessEnvironment),
        clock: logweir::clock::system(),
        metrics: Metrics::default(),
        host_name: "bench".into(),
    };
    let mut problems = logweir::diagnostic::Diagnostics::default();
    let name = path.display().to_string();
    config::load_text(&name, text, path, &around, &mut problems).ok_or_else(|| problems.to_string())
}

impl Worker {
    fn new(plan: Plan, lines: &Path) -> Result<Worker, String> {
        let metrics = Metrics::default();
        let route = |(bit, output): (usize, config::OutputPlan)| {
            let address = output.output.address().cloned();
            Route::new(output.name, bit as u32, output.when, address, &metrics)
        };
        let routes = plan.outputs.into_iter().enumerate().map(route).collect();
        let input = plan.inputs.into_iter().next().ok_or("the pipeline has no input")?;
        let name: Arc<str> = input.name.into();
        let path = Literal::Str(lines.display().to_string());
        let log =
            Literal::Object(vec![("file".into(), Literal::Object(vec![("path".into(), path)]))]);
        let mut fields = input.fields;
        fields.push((Key::LOG, log));
        let kind = SourceKind::File { generation: 7 };
        let source = Arc::new(Source { id: 1, input: Arc::clone(&name), kind, fields });
        let batch = Batch::new(Arc::clone(&plan.keys), source);
        let codecs = vec![(name, input.codec)];
        let flow = FlowPlan::new(plan.keys, plan.chain, codecs, routes, &metrics);
        let flow = Flow::new(Arc::new(flow));
        Ok(Worker { flow, batch, buffer: Vec::new(), documents: 0, sum: 0 })
    }

    /// Decodes, filters, routes and encodes a chunk.
    fn chunk(&mut self, lines: &[u8], offset: u64) -> Result<(), String> {
        self.batch.begin_piece(lines);
        let input = Arc::clone(&self.batch.source.input);
        let place = Place { offset, received_ns: 0, piece: false, last: false };
        let decoder = self.flow.decoder(&input).ok_or("the input has no decoder")?;
        decoder.decode(place, &mut self.batch);
        self.flow.filter(&mut self.batch);
        let mut from = Some(0);
        while let Some(start) = from {
            let mut draft = Draft::new(std::mem::take(&mut self.buffer));
            from = self.flow.encode(&mut self.batch, start, &mut draft);
            let frame = draft.seal_in_memory(1, 1);
            self.documents += frame.document_count();
            self.sum = self.sum.rotate_left(7) ^ u64::from(crc32c::crc32c(frame.bytes()));
            self.buffer = frame.into_buffer();
        }
        Ok(())
    }
}
