//! What happened to a batch, and when: traces of batches, for an OTLP collector.
//!
//! In: the pipeline's word that a batch was read, filtered, journaled, and acknowledged by an output. Out: finished
//! [`Trace`]s in a queue, one of so many batches. Promises: off, it costs one look at an option a batch; memory is
//! bounded, and no batch ever waits for it. On failure: what the queue or the memory has no room for is dropped and
//! counted (`logweir_traces_total`).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use crate::clock::SharedClock;
use crate::metrics::{Counter, Metrics};

/// Finished traces that wait for the exporter.
const FINISHED_MAX: usize = 256;
/// Batches of one pipeline that wait for their outputs.
const OPEN_MAX: usize = 64;

/// Begins traces; the default is off.
#[derive(Clone, Default)]
pub struct Tracer(Option<Arc<Shared>>);

struct Shared {
    /// One of so many batches is traced.
    every: u64,
    batches: AtomicU64,
    clock: SharedClock,
    finished: mpsc::Sender<Trace>,
    dropped: Counter,
}

/// The story of one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// As OpenTelemetry wants it: not zero, and nobody else's.
    pub id: u128,
    /// The pipeline.
    pub pipeline: String,
    /// The input it was read by.
    pub input: String,
    /// Events that the batch held.
    pub events: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// The first is the whole; the others are its parts, in the order in which they began.
    pub spans: Vec<Span>,
}

/// A part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Not zero.
    pub id: u64,
    /// What was done.
    pub step: Step,
    /// Nanoseconds since the epoch.
    pub start_ns: i64,
    /// Likewise.
    pub end_ns: i64,
}

/// What is done with a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// All of it: from reading to the last output.
    Batch,
    /// From reading until a worker takes it.
    Wait,
    /// Decode, filter, encode.
    Filter,
    /// Until it is in the journal.
    Journal,
    /// Until this output says that it is done with it.
    Output(String),
}

/// The traces of one pipeline.
#[derive(Clone)]
pub struct PipelineTracer {
    shared: Arc<Shared>,
    pipeline: String,
    waiting: Arc<Mutex<Waiting>>,
}

/// Batches that outputs have not acknowledged.
struct Waiting {
    open: Vec<Open>,
    /// How far each output is.
    outputs: Vec<(String, u64)>,
}

struct Open {
    sequence: u64,
    journaled_ns: i64,
    missing: Vec<String>,
    trace: Trace,
}

/// A batch on its way to the journal.
pub struct Begun {
    read_ns: i64,
    taken_ns: i64,
    filtered_ns: i64,
    events: u64,
}

impl Tracer {
    /// A tracer of one of `every` batches, and where its traces come out.
    pub fn new(
        every: u64,
        clock: SharedClock,
        metrics: &Metrics,
    ) -> (Tracer, mpsc::Receiver<Trace>) {
        let (finished, traces) = mpsc::channel(FINISHED_MAX);
        let (batches, dropped) = (AtomicU64::new(0), counter(metrics, "dropped"));
        let shared = Shared { every: every.max(1), batches, clock, finished, dropped };
        (Tracer(Some(Arc::new(shared))), traces)
    }

    /// For a pipeline with these outputs; `None`: off.
    pub fn pipeline<'a>(
        &self,
        name: &str,
        outputs: impl Iterator<Item = &'a String>,
    ) -> Option<PipelineTracer> {
        let shared = Arc::clone(self.0.as_ref()?);
        let outputs = outputs.map(|output| (output.clone(), 0)).collect();
        let waiting = Arc::new(Mutex::new(Waiting { open: Vec::new(), outputs }));
        Some(PipelineTracer { shared, pipeline: name.to_string(), waiting })
    }
}

/// Counts traces by what became of them.
pub fn counter(metrics: &Metrics, result: &str) -> Counter {
    let help = "Traces of batches, by what became of them.";
    metrics.with("result", result).counter("logweir_traces_total", help)
}

impl PipelineTracer {
    /// A worker takes a batch. `None`: this one is not traced.
    pub fn begin(&self, read_ns: Option<i64>) -> Option<Begun> {
        let number = self.shared.batches.fetch_add(1, Ordering::Relaxed);
        if !number.is_multiple_of(self.shared.every) {
            return None;
        }
        let now = self.shared.clock.now_ns();
        // A wall clock that was set back in between must not make a span of negative length.
        let read_ns = read_ns.filter(|read| *read > 0).map_or(now, |read| read.min(now));
        Some(Begun { read_ns, taken_ns: now, filtered_ns: now, events: 0 })
    }

    /// The batch is ready for the journal.
    pub fn filtered(&self, begun: &mut Begun, events: usize) {
        begun.filtered_ns = self.shared.clock.now_ns().max(begun.taken_ns);
        begun.events = events as u64;
    }

    /// The batch is in the journal, its last frame with this sequence.
    pub fn journaled(&self, begun: Begun, sequence: u64, input: &str, bytes: usize) {
        let journaled_ns = self.shared.clock.now_ns().max(begun.filtered_ns);
        let random = &self.shared.clock;
        let id = u128::from(random.random()) << 64 | u128::from(random.random());
        let span =
            |step, start_ns, end_ns| Span { id: random.random().max(1), step, start_ns, end_ns };
        let spans = vec![
            span(Step::Batch, begun.read_ns, journaled_ns),
            span(Step::Wait, begun.read_ns, begun.taken_ns),
            span(Step::Filter, begun.taken_ns, begun.filtered_ns),
            span(Step::Journal, begun.filtered_ns, journaled_ns),
        ];
        let trace = Trace {
            id: id.max(1),
            pipeline: self.pipeline.clone(),
            input: input.to_string(),
            events: begun.events,
            bytes: bytes as u64,
            spans,
        };
        let mut waiting = self.lock();
        if waiting.open.len() == OPEN_MAX {
            waiting.open.remove(0);
            self.shared.dropped.increment();
        }
        let missing = waiting.outputs.iter().map(|(name, _)| name.clone()).collect();
        waiting.open.push(Open { sequence, journaled_ns, missing, trace });
        // An output may have been faster than this thread.
        let ahead: Vec<_> =
            waiting.outputs.iter().filter(|(_, at)| *at >= sequence).cloned().collect();
        for (output, at) in ahead {
            self.acknowledge(&mut waiting, &output, at);
        }
    }

    /// An output is done with all frames up to this one.
    pub fn done(&self, output: &str, sequence: u64) {
        let mut waiting = self.lock();
        if let Some((_, at)) = waiting.outputs.iter_mut().find(|(name, _)| name == output) {
            *at = (*at).max(sequence);
        }
        if !waiting.open.is_empty() {
            self.acknowledge(&mut waiting, output, sequence);
        }
    }

    fn acknowledge(&self, waiting: &mut Waiting, output: &str, sequence: u64) {
        let now = self.shared.clock.now_ns();
        for open in waiting.open.iter_mut().filter(|open| open.sequence <= sequence) {
            let Some(at) = open.missing.iter().position(|name| name == output) else { continue };
            let step = Step::Output(open.missing.swap_remove(at));
            let (start_ns, end_ns) = (open.journaled_ns, now.max(open.journaled_ns));
            let id = self.shared.clock.random().max(1);
            open.trace.spans.push(Span { id, step, start_ns, end_ns });
            open.trace.spans[0].end_ns = open.trace.spans[0].end_ns.max(end_ns);
        }
        for open in waiting.open.extract_if(.., |open| open.missing.is_empty()) {
            if self.shared.finished.try_send(open.trace).is_err() {
                self.shared.dropped.increment();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    fn tracer(
        every: u64,
        outputs: &[&str],
    ) -> (Arc<ManualClock>, PipelineTracer, mpsc::Receiver<Trace>, Metrics) {
        let (clock, metrics) = (Arc::new(ManualClock::at(1_000)), Metrics::default());
        let (tracer, traces) = Tracer::new(every, Arc::clone(&clock) as SharedClock, &metrics);
        let outputs: Vec<String> = outputs.iter().map(ToString::to_string).collect();
        (clock, tracer.pipeline("app", outputs.iter()).unwrap(), traces, metrics)
    }

    #[test]
    fn a_trace_tells_each_step_and_ends_with_the_last_output() {
        let (clock, tracer, mut traces, _) = tracer(1, &["logs", "chat"]);
        let mut begun = tracer.begin(Some(400)).unwrap();
        clock.advance_ns(50);
        tracer.filtered(&mut begun, 7);
        clock.advance_ns(100);
        tracer.journaled(begun, 3, "web", 512);
        clock.advance_ns(1_000);
        tracer.done("logs", 5);
        assert!(traces.try_recv().is_err(), "the chat is not done");
        clock.advance_ns(1_000);
        tracer.done("chat", 3);
        let trace = traces.try_recv().unwrap();
        assert_eq!((trace.input.as_str(), trace.events, trace.bytes), ("web", 7, 512));
        let steps: Vec<_> =
            trace.spans.iter().map(|s| (s.step.clone(), s.start_ns, s.end_ns)).collect();
        let wanted = [
            (Step::Batch, 400, 3_150),
            (Step::Wait, 400, 1_000),
            (Step::Filter, 1_000, 1_050),
            (Step::Journal, 1_050, 1_150),
            (Step::Output("logs".into()), 1_150, 2_150),
            (Step::Output("chat".into()), 1_150, 3_150),
        ];
        assert_eq!(steps, wanted);
        let mut ids: Vec<u64> = trace.spans.iter().map(|span| span.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 6, "each span has an id of its own");
    }

    #[test]
    fn an_output_that_is_faster_than_the_worker_is_seen() {
        let (_, tracer, mut traces, _) = tracer(1, &["logs"]);
        let begun = tracer.begin(None).unwrap();
        tracer.done("logs", 9);
        tracer.journaled(begun, 9, "web", 1);
        assert_eq!(traces.try_recv().unwrap().spans.len(), 5);
    }

    #[test]
    fn one_of_so_many_batches_is_traced() {
        let (_, tracer, _traces, _) = tracer(10, &["logs"]);
        assert_eq!((0..100).filter(|_| tracer.begin(None).is_some()).count(), 10);
    }

    #[test]
    fn a_dead_output_and_a_dead_collector_take_no_memory() {
        let (_, tracer, mut traces, metrics) = tracer(1, &["logs"]);
        for sequence in 1..=1_000 {
            tracer.journaled(tracer.begin(None).unwrap(), sequence, "web", 1);
        }
        assert_eq!(tracer.lock().open.len(), OPEN_MAX);
        tracer.done("logs", 1_000);
        for sequence in 1_001..=2_000 {
            tracer.journaled(tracer.begin(None).unwrap(), sequence, "web", 1);
            tracer.done("logs", sequence);
        }
        let kept = std::iter::from_fn(|| traces.try_recv().ok()).count();
        assert_eq!(kept, FINISHED_MAX);
        let dropped =
            format!("logweir_traces_total{{result=\"dropped\"}} {}", 2_000 - FINISHED_MAX);
        assert!(metrics.render().contains(&dropped), "{}", metrics.render());
    }

    #[test]
    fn off_is_the_default() {
        assert!(Tracer::default().pipeline("app", [].iter()).is_none());
    }
}
