//! What to do next: the output's whole state, without any input or output of its own.
//!
//! In: frames, answers, the time. Out: [`Step`]s (send this, store these letters, wait), the cursor, health.
//! Promises: each document is in exactly one place (frame, builder, request, waiting, letters) until it is settled;
//! memory is bounded by the requests times their size and the budget of what waits; a document is settled only when
//! it was stored by a server or is a dead letter on disk.
//! On failure: whatever is unknown is tried again.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use super::body::Body;
use super::bulk::{Builder, Bulk, Form, Kept};
use super::failure::{Failure, FailureKind};
use super::hosts::{Hosts, Pick, Trouble};
use super::ledger::Ledger;
use super::letters::Letters;
use super::report::Report;
use super::request::Answer;
use super::retry::Backoff;
use super::waiting::Waiting;
use super::window::Window;
use crate::delivery::DeadLetter;
use crate::frame::Frame;

mod answers;
mod state;

/// A request that is not full is held back so many times `bulk_wait` while another one is under way.
const HELD_TIMES: u64 = 5;

/// A request of less than this part of `bulk_size` waits [`SMALL_TIMES`] times `bulk_wait`: what it costs besides its
/// documents would be most of it.
const SMALL_PART: usize = 16;
/// See [`SMALL_PART`].
const SMALL_TIMES: u64 = 3;

/// The settings that matter here.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    /// The output's name.
    pub(super) name: String,
    /// Its bit in the frames.
    pub(super) bit: u32,
    /// How documents are written.
    pub(super) form: Form,
    /// Bytes of a request before compression.
    pub(super) bulk_bytes: usize,
    /// Nanoseconds between two requests that are not full; see [`HELD_TIMES`].
    pub(super) bulk_wait_ns: u64,
    /// Most requests under way.
    pub(super) requests: usize,
    /// Bytes of refused documents that may wait; with more, no new ones are taken.
    pub(super) waiting_bytes: usize,
    /// Whom the server sees, for messages, such as `user "elastic"`.
    pub(super) user: String,
    /// What becomes of documents meanwhile, as [`crate::delivery::OutputContext::keeping`].
    pub(super) keeping: &'static str,
    /// Pauses between tries.
    pub(super) backoff: Backoff,
}

/// What the caller is to do.
#[derive(Debug)]
pub(super) enum Step {
    /// Send this and report with [`Scheduler::answered`].
    Send(Shipment),
    /// Store these and report with [`Scheduler::stored`].
    Store(Vec<DeadLetter>),
    /// Nothing before this time (nanoseconds of the clock) or before something is reported.
    Wait(Option<u64>),
}

/// A request to send.
#[derive(Debug)]
pub(super) struct Shipment {
    /// Names the request in [`Scheduler::answered`].
    pub(super) ticket: u64,
    /// The node's number.
    pub(super) host: usize,
    /// The body; empty to ask whether the node answers.
    pub(super) body: Body,
}

/// The output's state.
pub(super) struct Scheduler {
    policy: Policy,
    ledger: Ledger,
    frame: Option<Taken>,
    builder: Builder,
    builder_full: bool,
    sent_ns: Option<u64>,
    /// To be sent, now or after a pause.
    queue: VecDeque<Request>,
    in_flight: Vec<Request>,
    waiting: Waiting,
    /// Bytes that may be taken in.
    room: usize,
    letters: Letters,
    hosts: Hosts,
    unasked: Vec<usize>,
    window: Window,
    backoff: Backoff,
    report: Report,
    tickets: u64,
    worked: bool,
    /// Type of the latest refusal that may pass.
    latest: String,
    /// Most bytes of a request, as far as known: `bulk_size`, or less after a 413.
    ceiling: usize,
    /// What to say about the latest dead letters, and until when.
    notice: Option<(String, u64)>,
}

/// A frame whose documents are being taken.
struct Taken {
    frame: Arc<Frame>,
    number: u64,
    next: usize,
    /// Requests may hold it instead of copies of its documents.
    lends: bool,
}

/// A request under way or to be sent again.
struct Request {
    ticket: u64,
    bulk: Bulk,
    due_ns: u64,
    failures: u32,
    /// How often the connection broke while it was sent.
    broken: u32,
    sent_ns: u64,
    host: usize,
    /// The group of [`Waiting`] it tries.
    group: Option<String>,
}

impl Request {
    fn new(bulk: Bulk, group: Option<String>, now_ns: u64) -> Request {
        let (ticket, host) = (0, 0);
        let (due_ns, sent_ns) = (now_ns, now_ns);
        Request { ticket, bulk, due_ns, failures: 0, broken: 0, sent_ns, host, group }
    }
}

impl Scheduler {
    /// A scheduler for these nodes (shown names).
    pub(super) fn new(policy: Policy, hosts: Vec<String>, report: Report) -> Scheduler {
        Scheduler {
            ledger: Ledger::default(),
            frame: None,
            builder: Builder::new(policy.form, policy.bulk_bytes),
            builder_full: false,
            sent_ns: None,
            queue: VecDeque::new(),
            in_flight: Vec::new(),
            waiting: Waiting::default(),
            room: usize::MAX,
            letters: Letters::default(),
            unasked: (0..hosts.len()).rev().collect(),
            hosts: Hosts::new(hosts),
            window: Window::new(policy.requests),
            backoff: policy.backoff.clone(),
            report,
            tickets: 0,
            worked: false,
            latest: String::new(),
            ceiling: policy.bulk_bytes,
            notice: None,
            policy,
        }
    }

    /// Whether a frame would find room.
    pub(super) fn wants_frame(&self) -> bool {
        self.frame.is_none() && !self.builder_full && self.has_room()
    }

    /// Takes a frame; only when [`Scheduler::wants_frame`].
    pub(super) fn take(&mut self, frame: Arc<Frame>, now_ns: u64) {
        let number = self.ledger.begin(frame.sequence());
        let lends = is_mostly_for(&frame, self.policy.bit);
        self.frame = Some(Taken { frame, number, next: 0, lends });
        self.fill(now_ns);
    }

    /// The next thing to do. To be asked again until it says [`Step::Wait`].
    pub(super) fn next(&mut self, now_ns: u64) -> Step {
        self.fill(now_ns);
        self.check();
        let letters = self.next_letters(now_ns);
        if matches!(letters, Step::Store(_)) {
            return letters;
        }
        if let Some(host) = self.unasked.pop() {
            return self.send(Request::new(Bulk::empty(), None, now_ns), host, now_ns);
        }
        self.queue_due(now_ns);
        let due = self.queue.iter().position(|r| r.due_ns <= now_ns);
        if let Some(at) = due
            && self.may_send()
            && let Pick::Host(host) = self.hosts.pick(now_ns)
            && let Some(request) = self.queue.remove(at)
        {
            return self.send(request, host, now_ns);
        }
        if let Some(host) = self.hosts.pick_failed(now_ns) {
            return self.send(Request::new(Bulk::empty(), None, now_ns), host, now_ns);
        }
        Step::Wait(self.deadline(now_ns))
    }

    /// Like [`Scheduler::next`], but nothing new is sent.
    pub(super) fn next_letters(&mut self, now_ns: u64) -> Step {
        self.letters.take_due(now_ns).map_or(Step::Wait(None), Step::Store)
    }

    /// Letters of [`Step::Store`] are on disk, or are not.
    pub(super) fn stored(&mut self, result: &io::Result<()>, now_ns: u64) {
        match result {
            Ok(()) => {
                let settled = self.letters.stored();
                self.report.dead(settled.len());
                for frame in settled {
                    self.ledger.settle(frame);
                }
            }
            Err(why) => {
                self.letters.failed(&why.to_string(), now_ns, &mut self.backoff);
                let count = self.letters.document_count();
                self.report.problem("dead_letters", count, now_ns, || {
                    format!(
                        "refused documents cannot be stored as dead letters and are kept: {why}"
                    )
                });
            }
        }
    }

    /// How far the cursor may move since the last call.
    pub(super) fn progress(&mut self) -> Option<u64> {
        self.ledger.progress()
    }

    /// Whether a request or a store of letters is under way.
    pub(super) fn is_busy(&self) -> bool {
        !self.in_flight.is_empty() || self.letters.is_storing()
    }

    /// Whether no document is left.
    pub(super) fn is_empty(&self) -> bool {
        self.frame.is_none() && self.open_documents() == 0
    }

    /// Whether documents wait until their request is full or due.
    pub(super) fn is_collecting(&self) -> bool {
        !self.builder.is_empty()
    }

    /// Bytes that documents take up here. A request counts as it is before compression: that is what it becomes
    /// when its documents are refused.
    pub(super) fn bytes(&self) -> usize {
        let size = |r: &Request| r.bulk.size + size_of_val(r.bulk.entries());
        let requests = self.queue.iter().chain(&self.in_flight).map(size);
        self.builder.size() + requests.sum::<usize>() + self.waiting.bytes() + self.letters.bytes()
    }

    /// Bytes of a request.
    pub(super) fn bulk_bytes(&self) -> usize {
        self.policy.bulk_bytes
    }

    /// Says how many bytes more may be taken in.
    pub(super) fn set_room(&mut self, bytes: usize) {
        self.room = bytes;
    }

    fn has_room(&self) -> bool {
        !self.is_full() && self.room >= self.builder.limit()
    }

    /// Refused documents take up all of their room.
    fn is_full(&self) -> bool {
        self.waiting.bytes() + self.letters.bytes() >= self.policy.waiting_bytes
    }

    /// Documents of the frame into the builder, as many as fit.
    fn fill(&mut self, now_ns: u64) {
        let Some(mut taken) = self.frame.take() else { return };
        let mut parked: Option<Builder> = None;
        let count = taken.frame.document_count();
        while taken.next < count {
            let document = taken.frame.document(taken.next);
            let Some(address) = document.address(self.policy.bit) else {
                taken.next += 1;
                continue;
            };
            self.builder_full = !self.builder.has_room(document.body.len());
            if self.builder_full || !self.has_room() {
                break;
            }
            taken.next += 1;
            self.report.taken += 1;
            self.ledger.open(taken.number);
            let blocked = self.waiting.any_blocked() && self.waiting.is_blocked(address);
            let builder = if blocked {
                let form = Form { gzip: false, ..self.policy.form };
                parked.get_or_insert_with(|| Builder::new(form, usize::MAX))
            } else {
                &mut self.builder
            };
            let lent = taken.lends.then_some(&taken.frame);
            if let Err(reason) = builder.add(&document, address, taken.number, lent) {
                let mut id = Vec::new();
                document.write_id(&mut id);
                let (index, id) = (String::from_utf8_lossy(address), String::from_utf8_lossy(&id));
                let letter = DeadLetter {
                    output: self.policy.name.clone(),
                    address: index.into_owned(),
                    id: id.into_owned(),
                    reason: reason.to_string(),
                    refused_ns: 0,
                    document: document.body.to_vec(),
                };
                self.add_letter(taken.number, letter, "unsendable", now_ns);
            }
        }
        if let Some(mut parked) = parked {
            self.park(&parked.seal(), now_ns);
        }
        if taken.next < count {
            self.frame = Some(taken);
        } else {
            self.ledger.filled(taken.number);
        }
    }

    /// Documents for indices that take nothing wait at once, without asking the server.
    fn park(&mut self, bulk: &Bulk, now_ns: u64) {
        let numbers: Vec<usize> = (0..bulk.entries().len()).collect();
        bulk.pick(&numbers, |_, kept| {
            let (index, _) = kept.address();
            self.waiting.keep(&index, kept, None, now_ns, &mut self.backoff);
        });
    }

    /// What may be sent now goes to the queue: tries of refused documents first, then new ones.
    fn queue_due(&mut self, now_ns: u64) {
        while self.has_slot() && self.hosts.available(now_ns) {
            let limit = self.builder.limit();
            if let Some((index, documents)) = self.waiting.take_due(now_ns, limit) {
                let mut builder = self.spare_builder();
                for kept in &documents {
                    builder.add_again(kept);
                }
                let request = Request::new(builder.seal(), Some(index), now_ns);
                self.queue.push_back(request);
            } else if self.cut_ns(now_ns).is_some_and(|at| at <= now_ns) {
                let bulk = self.builder.seal();
                self.builder_full = false;
                self.room = self.room.saturating_sub(bulk.size);
                self.sent_ns = Some(now_ns);
                let request = Request::new(bulk, None, now_ns);
                self.queue.push_back(request);
                self.fill(now_ns);
            } else {
                return;
            }
        }
    }

    /// When the builder's documents are to be sent: at once when full or when there was silence before, else so
    /// that small requests keep a distance, and a larger one while the server has another one to answer: until then
    /// more documents come, and one request costs less than two.
    fn cut_ns(&self, now_ns: u64) -> Option<u64> {
        if self.builder.is_empty() {
            return None;
        }
        let small = self.builder.size() < self.builder.limit() / SMALL_PART;
        let waits = match self.in_flight_count() {
            0 if small => SMALL_TIMES,
            0 => 1,
            _ => HELD_TIMES,
        };
        let wait_ns = self.policy.bulk_wait_ns.saturating_mul(waits);
        let calm = self.sent_ns.map_or(now_ns, |sent| sent.saturating_add(wait_ns));
        Some(if self.builder_full { now_ns } else { calm })
    }

    /// Whether one more request may be made. Two may exist even if only one may be under way, so that one which
    /// fails again and again does not keep all others from showing that the node works.
    fn has_slot(&self) -> bool {
        self.in_flight_count() + self.queue.len() < self.window.size().max(2)
    }

    fn in_flight_count(&self) -> usize {
        self.in_flight.iter().filter(|r| !r.bulk.entries().is_empty()).count()
    }

    fn may_send(&self) -> bool {
        self.in_flight_count() < self.window.size()
    }

    fn spare_builder(&self) -> Builder {
        Builder::new(self.policy.form, usize::MAX)
    }

    fn send(&mut self, mut request: Request, host: usize, now_ns: u64) -> Step {
        self.tickets += 1;
        request.ticket = self.tickets;
        request.host = host;
        request.sent_ns = now_ns;
        let shipment = Shipment { ticket: self.tickets, host, body: request.bulk.body() };
        self.in_flight.push(request);
        Step::Send(shipment)
    }

    /// When [`Scheduler::next`] has something to do, if nothing is reported before.
    fn deadline(&self, now_ns: u64) -> Option<u64> {
        let notice_end = self.notice.as_ref().map(|(_, until)| *until).filter(|t| *t > now_ns);
        let mut times = vec![self.letters.due_ns(), self.hosts.next_try_ns(), notice_end];
        if self.hosts.available(now_ns) {
            if self.may_send() {
                times.push(self.queue.iter().map(|r| r.due_ns).min());
            }
            if self.has_slot() {
                times.push(self.waiting.next_due_ns());
                times.push(self.cut_ns(now_ns));
            }
        }
        times.into_iter().flatten().min()
    }

    fn open_documents(&self) -> usize {
        let requests = self.queue.iter().chain(&self.in_flight).map(|r| r.bulk.entries().len());
        self.builder.document_count()
            + requests.sum::<usize>()
            + self.waiting.document_count()
            + self.letters.document_count()
    }

    fn check(&self) {
        self.report.check(self.open_documents());
        self.report.set_gauges(self.in_flight.len(), self.waiting.document_count());
    }
}

/// Whether at least half of a frame's bytes are documents for this output: holding it costs no more than twice as much
/// memory as copies would.
fn is_mostly_for(frame: &Frame, bit: u32) -> bool {
    let mut bytes = 0;
    let mine = frame.documents().filter(|document| document.routes & (1 << bit) != 0);
    for document in mine {
        bytes += document.body.len();
        if bytes * 2 >= frame.bytes().len() {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests;
