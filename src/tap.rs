//! A look at events on their way.
//!
//! Is: for each pipeline the points where somebody may look: behind decoding, behind each filter, and what outputs
//! get. In: who looks ([`Question`]), and batches that pass. Out: events as lines of JSON. Promises: what is shown
//! is masked by every `redact` of the pipeline, on all fields and whatever its `when`, so that a secret is not
//! shown before the filter that masks it, either; the condition sees the masked event, so that it cannot be asked
//! for a secret; a point where nobody looks costs one load a batch; who reads slowly misses events, which is
//! counted and said, and holds nobody up. On failure: a question that cannot be answered is refused with the
//! reason.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::condition::Condition;
use crate::event::{Batch, Keys, Selection, Source, SourceKind, Span, parse_object, write_string};

/// Events that wait for a reader.
const WAITING_MAX: usize = 256;
/// Filters that can be looked behind; those after them are looked at as outputs are.
pub const FILTERS_MAX: usize = 62;
/// Events that are compared with the condition in a second, for each event that may be shown.
const COMPARED_FOR_SHOWN: u64 = 50;

/// Masks the selected events of a batch.
pub type Mask = Box<dyn FnMut(&mut Batch, &Selection) + Send>;
/// Makes the masks of one who looks.
pub type MakeMask = Box<dyn Fn() -> Mask + Send + Sync>;

/// Where somebody looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// Decoded, not filtered.
    Input,
    /// Behind the filter of this number, 1 for the first.
    Filter(usize),
    /// As outputs get it.
    Output,
}

/// What somebody wants to see.
#[derive(Clone, Debug)]
pub struct Question {
    /// Where.
    pub point: Point,
    /// Only of this input, or for this output.
    pub name: Option<String>,
    /// Only events for which this condition holds.
    pub when: Option<String>,
    /// Events in a second at most.
    pub rate: u64,
}

/// The taps of all pipelines that run.
#[derive(Clone, Default)]
pub struct Taps(Arc<Mutex<BTreeMap<String, Tap>>>);

/// The points of one pipeline; clones are one.
#[derive(Clone, Default)]
pub struct Tap(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// One bit for each point where somebody looks.
    watched: AtomicU64,
    watchers: Mutex<Vec<Watcher>>,
    masks: Mutex<Vec<MakeMask>>,
    next: AtomicU64,
}

/// One who looks; when it is dropped the pipeline forgets it.
pub struct Look {
    lines: mpsc::Receiver<Vec<u8>>,
    tap: Tap,
    id: u64,
}

struct Watcher {
    id: u64,
    question: Question,
    condition: Option<Condition>,
    masks: Vec<Mask>,
    batch: Batch,
    lines: mpsc::Sender<Vec<u8>>,
    second: Instant,
    compared: u64,
    shown: u64,
    skipped: u64,
}

impl Point {
    /// Reads `input`, `output`, or the number of a filter.
    pub fn parse(text: &str) -> Option<Point> {
        match text {
            "input" => Some(Point::Input),
            "output" => Some(Point::Output),
            number => {
                let number = number.strip_prefix("filter:").unwrap_or(number).parse().ok()?;
                (1..=FILTERS_MAX).contains(&number).then_some(Point::Filter(number))
            }
        }
    }

    fn bit(self) -> u64 {
        match self {
            Point::Input => 1,
            Point::Filter(number) => 1 << number.min(FILTERS_MAX),
            Point::Output => 1 << 63,
        }
    }
}

impl Taps {
    /// A pipeline starts.
    pub fn add(&self, pipeline: &str, tap: &Tap) {
        lock(&self.0).insert(pipeline.to_string(), tap.clone());
    }

    /// A pipeline has stopped: who looks is told by the end.
    pub fn remove(&self, pipeline: &str) {
        if let Some(tap) = lock(&self.0).remove(pipeline) {
            lock(&tap.0.watchers).clear();
            tap.0.watched.store(0, Ordering::Relaxed);
        }
    }

    /// The names of all.
    pub fn names(&self) -> Vec<String> {
        lock(&self.0).keys().cloned().collect()
    }

    /// The tap of a pipeline.
    pub fn get(&self, pipeline: &str) -> Option<Tap> {
        lock(&self.0).get(pipeline).cloned()
    }
}

impl Tap {
    /// A filter that masks secrets is loaded.
    pub fn add_mask(&self, make: MakeMask) {
        lock(&self.0.masks).push(make);
    }

    /// Looks from now on.
    ///
    /// # Errors
    /// The condition is none: what is wrong, and where.
    pub fn look(&self, question: Question) -> Result<Look, String> {
        let mut keys = Keys::default();
        let condition = match &question.when {
            None => None,
            Some(text) => Some(Condition::parse(text, &mut keys).map_err(|why| {
                let hint = why.hint.map_or_else(String::new, |hint| format!(" ({hint})"));
                format!(
                    "the condition is wrong at byte {}: {}{hint}",
                    why.span.start + 1,
                    why.message
                )
            })?),
        };
        let (sender, lines) = mpsc::channel(WAITING_MAX);
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        let point = question.point;
        let watcher = Watcher {
            id,
            question,
            condition,
            masks: lock(&self.0.masks).iter().map(|make| make()).collect(),
            batch: Batch::new(Arc::new(keys), no_source()),
            lines: sender,
            second: Instant::now(),
            compared: 0,
            shown: 0,
            skipped: 0,
        };
        let mut watchers = lock(&self.0.watchers);
        watchers.push(watcher);
        self.0.watched.fetch_or(point.bit(), Ordering::Relaxed);
        Ok(Look { lines, tap: self.clone(), id })
    }

    /// Whether somebody looks here.
    #[inline]
    pub fn is_watched(&self, point: Point) -> bool {
        self.0.watched.load(Ordering::Relaxed) & point.bit() != 0
    }

    /// A batch passes a point where somebody looks.
    pub fn pass(&self, point: Point, batch: &Batch) {
        let mut document = Vec::new();
        for watcher in &mut *lock(&self.0.watchers) {
            let input = &*batch.source.input;
            if watcher.question.point != point
                || watcher.question.name.as_ref().is_some_and(|name| name != input)
            {
                continue;
            }
            for (number, event) in batch.events.iter().enumerate() {
                if event.dropped {
                    continue;
                }
                document.clear();
                batch.write_event(number, &mut document);
                watcher.show(&document, event.time_ns, &[]);
            }
        }
    }

    /// A document goes to these outputs.
    pub fn pass_document(&self, document: &[u8], time_ns: i64, outputs: &[&str]) {
        for watcher in &mut *lock(&self.0.watchers) {
            let named = |name: &String| outputs.contains(&name.as_str());
            if watcher.question.point == Point::Output
                && watcher.question.name.as_ref().is_none_or(named)
            {
                watcher.show(document, time_ns, outputs);
            }
        }
    }

    fn forget(&self, id: u64) {
        let mut watchers = lock(&self.0.watchers);
        watchers.retain(|watcher| watcher.id != id);
        let bits = watchers.iter().fold(0, |bits, w| bits | w.question.point.bit());
        self.0.watched.store(bits, Ordering::Relaxed);
    }
}

impl Watcher {
    fn show(&mut self, document: &[u8], time_ns: i64, outputs: &[&str]) {
        self.begin_second();
        if self.shown >= self.question.rate
            || self.compared >= self.question.rate.saturating_mul(COMPARED_FOR_SHOWN)
        {
            self.skipped += 1;
            return;
        }
        self.compared += 1;
        let Some(line) = self.line(document, time_ns, outputs) else { return };
        if self.lines.try_send(line).is_ok() { self.shown += 1 } else { self.skipped += 1 }
    }

    /// In each second there is room for so many; how many were left out in the last one is said.
    fn begin_second(&mut self) {
        let now = Instant::now();
        if now - self.second < Duration::from_secs(1) {
            return;
        }
        (self.second, self.compared, self.shown) = (now, 0, 0);
        if self.skipped > 0 {
            let line = format!("{{\"@tap\":{{\"skipped\":{}}}}}\n", self.skipped);
            if self.lines.try_send(line.into_bytes()).is_ok() {
                self.skipped = 0;
            }
        }
    }

    /// The masked event, if the condition holds for it.
    fn line(&mut self, document: &[u8], time_ns: i64, outputs: &[&str]) -> Option<Vec<u8>> {
        let batch = &mut self.batch;
        batch.recycle(document.trim_ascii_end().to_vec(), no_source());
        let event = batch.add_event(time_ns, 0);
        let (whole, keys) = (Span::new(0, batch.text.len()), Arc::clone(&batch.keys));
        let mut fields = Vec::new();
        parse_object(&mut batch.text, whole, &keys, &mut fields).ok()?;
        // The time is the event's own, and written from there.
        fields.retain(|field| batch.key_name(field.key) != b"@timestamp");
        batch.fields_mut(event).extend(fields);
        let selected = Selection(vec![event as u32]);
        for mask in &mut self.masks {
            mask(batch, &selected);
        }
        if self.condition.as_ref().is_some_and(|when| !when.holds(batch, event)) {
            return None;
        }
        let mut line = Vec::with_capacity(document.len() + 64);
        batch.write_event(event, &mut line);
        if !outputs.is_empty() {
            line.pop();
            line.extend_from_slice(b",\"@route\":[");
            for (number, name) in outputs.iter().enumerate() {
                if number > 0 {
                    line.push(b',');
                }
                write_string(name.as_bytes(), &mut line);
            }
            line.extend_from_slice(b"]}");
        }
        line.push(b'\n');
        Some(line)
    }
}

impl Look {
    /// The next line; `None`: the pipeline has stopped.
    pub fn poll_line(
        &mut self,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Vec<u8>>> {
        self.lines.poll_recv(context)
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        self.tap.forget(self.id);
    }
}

fn no_source() -> Arc<Source> {
    let kind = SourceKind::Stream;
    Arc::new(Source { id: 0, input: "".into(), kind, fields: Vec::new() })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(point: Point) -> Question {
        Question { point, name: None, when: None, rate: 3 }
    }

    fn lines(look: &mut Look) -> Vec<String> {
        let mut out = Vec::new();
        while let Ok(line) = look.lines.try_recv() {
            out.push(String::from_utf8(line).unwrap());
        }
        out
    }

    #[test]
    fn points_are_watched_while_somebody_looks() {
        let tap = Tap::default();
        assert!(!tap.is_watched(Point::Output));
        let look = tap.look(question(Point::Output)).unwrap();
        let other = tap.look(question(Point::Filter(2))).unwrap();
        assert!(tap.is_watched(Point::Output) && tap.is_watched(Point::Filter(2)));
        assert!(!tap.is_watched(Point::Input) && !tap.is_watched(Point::Filter(1)));
        drop(look);
        assert!(!tap.is_watched(Point::Output) && tap.is_watched(Point::Filter(2)));
        drop(other);
        assert!(!tap.is_watched(Point::Filter(2)));
    }

    #[test]
    fn a_document_is_shown_masked_with_its_outputs_when_the_condition_holds_for_it() {
        let tap = Tap::default();
        // Masks every text named `key`.
        tap.add_mask(Box::new(|| {
            Box::new(|batch: &mut Batch, selected: &Selection| {
                for event in selected.iter() {
                    let key = batch.key_named(b"key");
                    let stars = crate::event::Value::Str(batch.push_text(b"***"));
                    batch.set_root(event, key, stars);
                }
            })
        }));
        let ask = |when: &str| Question { when: Some(when.into()), ..question(Point::Output) };
        let mut all = tap.look(ask("level == \"ERROR\"")).unwrap();
        let mut secret = tap.look(ask("key == \"geheim\"")).unwrap();
        let body = b"{\"@timestamp\":\"1970-01-01T00:00:00.000Z\",\"level\":\"ERROR\",\"key\":\"geheim\"}\n";
        tap.pass_document(body, 0, &["logs", "errors"]);
        tap.pass_document(b"{\"level\":\"INFO\",\"key\":\"geheim\"}", 0, &["logs"]);
        let wanted = "{\"@timestamp\":\"1970-01-01T00:00:00.000Z\",\"level\":\"ERROR\",\"key\":\"***\",\
                      \"@route\":[\"logs\",\"errors\"]}\n";
        assert_eq!(lines(&mut all), [wanted]);
        assert!(lines(&mut secret).is_empty(), "the condition sees what is shown");
        assert!(tap.look(ask("level ==")).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn more_than_the_rate_is_left_out_and_said() {
        let tap = Tap::default();
        let mut look = tap.look(question(Point::Output)).unwrap();
        for _ in 0..5 {
            tap.pass_document(b"{\"a\":1}", 0, &["logs"]);
        }
        assert_eq!(lines(&mut look).len(), 3);
        tokio::time::advance(Duration::from_secs(1)).await;
        tap.pass_document(b"{\"a\":1}", 0, &["logs"]);
        let later = lines(&mut look);
        assert_eq!(later[0], "{\"@tap\":{\"skipped\":2}}\n");
        assert_eq!(later.len(), 2);
    }

    #[test]
    fn points_are_read_as_people_write_them() {
        let read = ["input", "output", "2", "filter:62", "0", "63", "x"].map(Point::parse);
        let filter = |n| Some(Point::Filter(n));
        let wanted =
            [Some(Point::Input), Some(Point::Output), filter(2), filter(62), None, None, None];
        assert_eq!(read, wanted);
    }
}
