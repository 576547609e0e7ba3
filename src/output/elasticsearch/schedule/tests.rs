use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::health::State;
use crate::metrics::Metrics;
use crate::output::elasticsearch::fake::{Fault, Node, frame, parse};

mod pressure;

const MS: u64 = 1_000_000;
const WAITING_BYTES: usize = 20_000;
const BULK_BYTES: usize = 2_000;

fn policy(gzip: bool) -> Policy {
    Policy {
        keeping: "everything is kept in the journal",
        name: "logs".into(),
        bit: 0,
        form: Form { operation: "create", ids: true, gzip },
        bulk_bytes: BULK_BYTES,
        bulk_wait_ns: 20 * MS,
        requests: 3,
        waiting_bytes: WAITING_BYTES,
        user: "user \"u\"".into(),
        backoff: Backoff::new(100, 30_000, 5),
    }
}

/// A scheduler with nodes, a store of letters and time, all made up.
struct World {
    scheduler: Scheduler,
    node: Node,
    frames: VecDeque<Arc<Frame>>,
    /// What each frame's documents are, by sequence.
    contents: Vec<(u64, Vec<String>)>,
    letters: Vec<DeadLetter>,
    now_ns: u64,
    under_way: Vec<Shipment>,
    cursor: u64,
    /// Whether letters can be stored.
    disk_works: bool,
    probes: usize,
    /// Most bytes that the scheduler may hold.
    budget: usize,
}

impl World {
    fn new(gzip: bool, hosts: usize, frames: Vec<Arc<Frame>>) -> World {
        let report = Report::new(&Metrics::default(), "logs");
        let names = (0..hosts).map(|n| format!("http://n{n}")).collect();
        let text = |f: &Frame| -> Vec<String> {
            let mine = f.documents().filter(|d| d.address(0).is_some());
            mine.map(|d| String::from_utf8(d.body.to_vec()).unwrap()).collect()
        };
        World {
            scheduler: Scheduler::new(policy(gzip), names, report),
            node: Node::default(),
            contents: frames.iter().map(|f| (f.sequence(), text(f))).collect(),
            frames: frames.into(),
            letters: Vec::new(),
            now_ns: 0,
            under_way: Vec::new(),
            cursor: 0,
            disk_works: true,
            probes: 0,
            budget: WAITING_BYTES + 3 * BULK_BYTES + 4 * 2 * BULK_BYTES,
        }
    }

    /// Does all that can be done now; requests stay under way. Returns the next deadline.
    fn run(&mut self) -> Option<u64> {
        loop {
            if self.scheduler.wants_frame()
                && let Some(frame) = self.frames.pop_front()
            {
                self.scheduler.take(frame, self.now_ns);
            }
            match self.scheduler.next(self.now_ns) {
                Step::Send(shipment) if shipment.body.len() == 0 => {
                    self.probes += 1;
                    let body = br#"{"error":{"type":"parse_exception","reason":"request body is required"}}"#;
                    self.answer(&shipment, 400, body.to_vec());
                }
                Step::Send(shipment) => self.under_way.push(shipment),
                Step::Store(letters) => {
                    let result = if self.disk_works {
                        self.letters.extend(letters);
                        Ok(())
                    } else {
                        Err(io::Error::other("disk full"))
                    };
                    self.scheduler.stored(&result, self.now_ns);
                }
                Step::Wait(deadline) => {
                    self.check();
                    let more = self.scheduler.wants_frame() && !self.frames.is_empty();
                    if !more {
                        return deadline;
                    }
                }
            }
        }
    }

    fn answer(&mut self, shipment: &Shipment, status: u16, body: Vec<u8>) {
        let answer = Answer { status, body: body.into(), location: None };
        self.scheduler.answered(shipment.ticket, Ok(answer), self.now_ns);
    }

    /// The node takes the documents, except where `fault` says otherwise.
    fn serve(
        &mut self,
        shipment: &Shipment,
        fault: impl FnMut(&super::super::fake::Sent) -> Fault,
    ) {
        let reply = self.node.bulk(&parse(&shipment.body), fault);
        self.answer(shipment, 200, reply.into_bytes());
    }

    /// Serves everything until nothing is left, or panics.
    fn settle(&mut self, mut fault: impl FnMut(&super::super::fake::Sent) -> Fault) {
        for _ in 0..100_000 {
            let deadline = self.run();
            if self.scheduler.is_empty() && self.frames.is_empty() {
                return;
            }
            if self.under_way.is_empty() {
                let deadline =
                    deadline.expect("something is left, so there is something to wait for");
                assert!(deadline > self.now_ns, "waiting for the past would spin");
                self.now_ns = deadline;
            }
            for shipment in std::mem::take(&mut self.under_way) {
                self.serve(&shipment, &mut fault);
            }
        }
        panic!("did not come to an end: {:?}", self.scheduler.state(self.now_ns));
    }

    /// The promises that hold at any time.
    fn check(&mut self) {
        assert!(self.scheduler.bytes() <= self.budget, "{} bytes", self.scheduler.bytes());
        let Some(cursor) = self.scheduler.progress() else { return };
        assert!(cursor > self.cursor, "the cursor only moves forward");
        self.cursor = cursor;
        let stored: HashSet<&String> = self.node.stored.values().collect();
        let dead: HashSet<&[u8]> = self.letters.iter().map(|l| &l.document[..]).collect();
        for (_, documents) in self.contents.iter().filter(|(sequence, _)| *sequence <= cursor) {
            for document in documents {
                let safe = stored.contains(document) || dead.contains(document.as_bytes());
                assert!(safe, "the cursor passed {document}");
            }
        }
    }

    fn all_documents(&self) -> Vec<String> {
        let mut all: Vec<String> = self.contents.iter().flat_map(|c| c.1.clone()).collect();
        all.sort();
        all
    }
}

fn frames(count: u64, each: usize, index: &'static str) -> Vec<Arc<Frame>> {
    let one = |sequence| {
        let body = |n| (index, format!("{{\"f\":{sequence},\"n\":{n}}}"));
        frame(sequence, &(0..each).map(body).collect::<Vec<_>>())
    };
    (1..=count).map(one).collect()
}

#[test]
fn documents_flow_and_the_cursor_reaches_the_end() {
    let mut world = World::new(true, 2, frames(50, 20, "logs-x"));
    world.settle(|_| None);
    assert_eq!(world.node.bodies(), world.all_documents());
    assert_eq!((world.cursor, world.node.conflicts), (50, 0));
    assert_eq!(world.scheduler.state(world.now_ns), State::Fine);
}

#[test]
fn a_request_that_is_not_full_waits_for_the_answer_to_the_one_before_but_not_for_ever() {
    let mut world = World::new(false, 1, frames(1, 1, "logs-x"));
    world.run();
    assert_eq!(world.under_way.len(), 1, "after silence at once");
    for answered in [true, false] {
        let sent_ns = world.now_ns;
        world.frames.extend(frames(3, 2, "logs-x").drain(1..2));
        world.now_ns += 20 * MS;
        assert_eq!(world.run(), Some(sent_ns + 100 * MS));
        assert_eq!(world.under_way.len(), 1, "the one before is not answered");
        if answered {
            let shipment = world.under_way.remove(0);
            world.serve(&shipment, |_| None);
        } else {
            world.now_ns = sent_ns + 100 * MS;
        }
        world.run();
        assert_eq!(world.under_way.len(), 1 + usize::from(!answered));
    }
}

#[test]
fn a_frame_without_documents_for_this_output_passes_at_once() {
    let other = frame(9, &[("", "{}".into())]);
    let mut world = World::new(false, 1, vec![other]);
    world.run();
    assert_eq!(world.cursor, 9);
}

#[test]
fn an_index_that_may_not_be_created_holds_up_no_other_and_ships_once_allowed() {
    let mixed: Vec<Arc<Frame>> = (1..=20)
        .map(|s| {
            let body = |n: usize| format!("{{\"f\":{s},\"n\":{n}}}");
            frame(s, &[("logs-x", body(0)), ("errors-x", body(1)), ("logs-x", body(2))])
        })
        .collect();
    let mut world = World::new(true, 1, mixed);
    let blocked: Fault = Some((404, "index_not_found_exception", "no such index [errors-x]"));
    while world.now_ns < 60_000 * MS {
        let deadline = world.run();
        for shipment in std::mem::take(&mut world.under_way) {
            world.serve(&shipment, |d| if d.index == "errors-x" { blocked } else { None });
        }
        world.now_ns = deadline.unwrap_or(0).max(world.now_ns + MS);
    }
    assert_eq!(world.node.stored.len(), 40, "all of the other index");
    assert_eq!(world.cursor, 0, "the first frame holds a document that waits");
    let State::Degraded(why) = world.scheduler.state(world.now_ns) else { panic!("not degraded") };
    assert!(why.contains("`errors-x`") && why.contains("action.auto_create_index"), "{why}");
    let asked: usize = world.node.arrivals.values().sum::<usize>() - 40;
    assert!(asked < 60, "asked with one document at a time, not with all: {asked}");
    world.settle(|_| None);
    assert_eq!(world.node.bodies(), world.all_documents());
    assert_eq!((world.cursor, world.letters.len()), (20, 0));
    assert_eq!(world.scheduler.state(world.now_ns), State::Fine);
}

#[test]
fn when_the_room_for_waiting_documents_is_full_no_more_are_taken_and_none_is_lost() {
    let mut world = World::new(false, 1, frames(2000, 10, "logs-x"));
    let blocked: Fault = Some((403, "cluster_block_exception", "index write (api)"));
    for _ in 0..300 {
        let deadline = world.run();
        for shipment in std::mem::take(&mut world.under_way) {
            world.serve(&shipment, |_| blocked);
        }
        world.now_ns = deadline.unwrap_or(0).max(world.now_ns + MS);
    }
    assert!(world.frames.len() > 1900, "frames stay in the journal");
    let State::Paused(why) = world.scheduler.state(world.now_ns) else { panic!("not paused") };
    assert!(why.contains("waiting_size") && why.contains("`logs-x`"), "{why}");
    world.settle(|_| None);
    assert_eq!(world.node.bodies(), world.all_documents());
}

#[test]
fn only_what_was_refused_is_sent_again() {
    let mut world = World::new(true, 1, frames(1, 20, "logs-x"));
    let mut first = true;
    world.settle(|document| {
        let busy = document.body.contains("\"n\":3}") && first;
        first &= !busy;
        busy.then_some((429, "es_rejected_execution_exception", "queue full"))
    });
    let twice = world.node.arrivals.values().filter(|n| **n == 2).count();
    assert_eq!((world.node.stored.len(), twice, world.node.conflicts), (20, 1, 0));
}

#[test]
fn a_refused_document_is_settled_only_when_its_letter_is_on_disk() {
    let mut world = World::new(true, 1, frames(3, 4, "logs-x"));
    world.disk_works = false;
    let bad = |d: &super::super::fake::Sent| -> Fault {
        d.body.contains("\"f\":1,\"n\":2").then_some((400, "document_parsing_exception", "no"))
    };
    for _ in 0..50 {
        let deadline = world.run();
        for shipment in std::mem::take(&mut world.under_way) {
            world.serve(&shipment, bad);
        }
        world.now_ns = deadline.unwrap_or(0).max(world.now_ns + MS);
    }
    assert_eq!((world.cursor, world.node.stored.len()), (0, 11));
    let State::Degraded(why) = world.scheduler.state(world.now_ns) else { panic!("not degraded") };
    assert!(why.contains("disk full"), "{why}");
    world.disk_works = true;
    world.settle(bad);
    assert_eq!((world.cursor, world.letters.len()), (3, 1));
    let letter = &world.letters[0];
    assert_eq!(letter.reason, "document_parsing_exception: no");
    assert_eq!(
        (letter.address.as_str(), letter.id.as_str()),
        ("logs-x", "0000000000000007-0000000001-000002")
    );
    assert_eq!(letter.document, b"{\"f\":1,\"n\":2}");
}

#[test]
fn a_request_too_large_is_halved_and_a_document_too_large_is_a_dead_letter() {
    let mut documents: Vec<(&str, String)> =
        (0..30).map(|n| ("x", format!("{{\"n\":{n}}}"))).collect();
    documents.insert(9, ("x", format!("{{\"big\":\"{}\"}}", "b".repeat(900))));
    let mut world = World::new(true, 1, vec![frame(1, &documents)]);
    for _ in 0..100 {
        let deadline = world.run();
        for shipment in std::mem::take(&mut world.under_way) {
            let sent = parse(&shipment.body);
            let size: usize = sent.iter().map(|s| s.body.len() + 60).sum();
            if size > 700 {
                world.answer(&shipment, 413, Vec::new());
            } else {
                world.serve(&shipment, |_| None);
            }
        }
        world.now_ns = deadline.unwrap_or(0).max(world.now_ns);
    }
    assert_eq!((world.node.stored.len(), world.letters.len(), world.cursor), (30, 1, 1));
    assert!(world.letters[0].reason.contains("too large"), "{}", world.letters[0].reason);
}

#[test]
fn one_document_that_makes_a_proven_node_refuse_all_is_found() {
    let mut world = World::new(true, 1, frames(2, 16, "logs-x"));
    let body = br#"{"error":{"type":"action_request_validation_exception","reason":"id is too long"},"status":400}"#;
    for round in 0..200 {
        let deadline = world.run();
        for shipment in std::mem::take(&mut world.under_way) {
            let sent = parse(&shipment.body);
            let poisoned = sent.iter().any(|s| s.body == "{\"f\":2,\"n\":5}");
            if poisoned && round > 0 {
                world.answer(&shipment, 400, body.to_vec());
            } else if poisoned {
                world.answer(&shipment, 503, Vec::new());
            } else {
                world.serve(&shipment, |_| None);
            }
        }
        world.now_ns = deadline.unwrap_or(0).max(world.now_ns);
        // Something must prove the node first.
        if round == 3 {
            world.frames.push_back(frame(3, &[("logs-x", "{\"late\":1}".into())]));
            world.contents.push((3, vec!["{\"late\":1}".into()]));
        }
    }
    assert_eq!((world.letters.len(), world.node.stored.len()), (1, 32));
    assert_eq!(world.cursor, 3);
}

#[test]
fn a_wrong_key_pauses_keeps_everything_and_asks_again() {
    let mut world = World::new(true, 1, frames(5, 4, "logs-x"));
    let body = br#"{"error":{"type":"security_exception","reason":"unable to authenticate user [u]"},"status":401}"#;
    for _ in 0..30 {
        world.run();
        for shipment in std::mem::take(&mut world.under_way) {
            world.answer(&shipment, 401, body.to_vec());
        }
        let deadline = world.run();
        assert!(world.under_way.is_empty(), "not asked again before its time");
        let state = world.scheduler.state(world.now_ns);
        let State::Paused(why) = &state else { panic!("not paused: {state:?}") };
        assert!(why.contains("http://n0 refuses user \"u\""), "{why}");
        assert!(why.contains("unable to authenticate") && why.contains("api_key"), "{why}");
        let at = deadline.expect("asked again");
        assert!(at > world.now_ns);
        world.now_ns = at;
    }
    world.settle(|_| None);
    assert_eq!(world.node.bodies(), world.all_documents());
    assert_eq!((world.node.conflicts, world.letters.len()), (0, 0));
}

#[test]
fn a_node_without_gzip_gets_plain_text() {
    let mut world = World::new(true, 1, frames(30, 20, "logs-x"));
    for _ in 0..200 {
        let deadline = world.run();
        for shipment in std::mem::take(&mut world.under_way) {
            if shipment.body.is_packed() {
                world.answer(&shipment, 415, Vec::new());
            } else {
                world.serve(&shipment, |_| None);
            }
        }
        world.now_ns = deadline.unwrap_or(0).max(world.now_ns);
    }
    assert_eq!((world.node.bodies(), world.cursor), (world.all_documents(), 30));
}

#[test]
fn a_failed_node_is_left_out_and_its_documents_go_to_the_other() {
    let mut world = World::new(true, 2, frames(30, 20, "logs-x"));
    let mut to_broken = 0;
    for _ in 0..400 {
        let deadline = world.run();
        for shipment in std::mem::take(&mut world.under_way) {
            if shipment.host == 0 {
                to_broken += 1;
                let message = "cannot be reached".to_string();
                let failure = Failure { kind: FailureKind::Unreachable, lasting: false, message };
                world.scheduler.answered(shipment.ticket, Err(failure), world.now_ns);
            } else {
                world.serve(&shipment, |_| None);
            }
        }
        world.now_ns = deadline.unwrap_or(0).max(world.now_ns);
    }
    assert_eq!((world.node.bodies(), world.cursor), (world.all_documents(), 30));
    assert!(to_broken > 0);
}

#[test]
fn a_document_that_is_always_answered_500_becomes_a_dead_letter_only_while_others_pass() {
    let mut world = World::new(true, 1, frames(1, 3, "logs-x"));
    let odd = |d: &super::super::fake::Sent| -> Fault {
        d.body.contains("\"n\":1").then_some((500, "null_pointer_exception", "oops"))
    };
    let rounds = |world: &mut World, count: usize, feeding: bool| {
        for n in 0..count {
            if feeding {
                let (sequence, body) = (2 + n as u64, format!("{{\"later\":{n}}}"));
                world.contents.push((sequence, vec![body.clone()]));
                world.frames.push_back(frame(sequence, &[("logs-x", body)]));
            }
            let deadline = world.run();
            for shipment in std::mem::take(&mut world.under_way) {
                world.serve(&shipment, odd);
            }
            world.now_ns = deadline.unwrap_or(0).max(world.now_ns + 20 * MS);
        }
    };
    rounds(&mut world, 200, false);
    assert_eq!(world.letters.len(), 0, "nothing shows that the document is the reason");
    rounds(&mut world, 3000, true);
    assert_eq!(world.letters.len(), 1);
    assert!(world.letters[0].reason.contains("500"), "{}", world.letters[0].reason);
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Serve,
    ServeThenBreak,
    Break,
    Refuse(u16),
    Garble,
    Busy(u8),
    TimeOut,
    Idle(u16),
    DiskFails,
    DiskWorks,
}

fn acts() -> impl Strategy<Value = Vec<(usize, Act)>> {
    let act = prop_oneof![
        4 => Just(Act::Serve),
        2 => Just(Act::ServeThenBreak),
        1 => Just(Act::Break),
        2 => prop_oneof![Just(503), Just(429), Just(401), Just(404), Just(502), Just(413), Just(415)]
            .prop_map(Act::Refuse),
        1 => Just(Act::Garble),
        4 => any::<u8>().prop_map(Act::Busy),
        1 => Just(Act::TimeOut),
        3 => (1_u16..5000).prop_map(Act::Idle),
        1 => Just(Act::DiskFails),
        1 => Just(Act::DiskWorks),
    ];
    proptest::collection::vec((0_usize..4, act), 0..120)
}

fn apply(world: &mut World, at: usize, act: Act) {
    match act {
        Act::Idle(ms) => return world.now_ns += u64::from(ms) * MS,
        Act::DiskFails => return world.disk_works = false,
        Act::DiskWorks => return world.disk_works = true,
        _ => {}
    }
    if world.under_way.is_empty() {
        return;
    }
    let shipment = world.under_way.swap_remove(at % world.under_way.len());
    let broken = |kind| Err(Failure { kind, lasting: false, message: "failed".into() });
    let now = world.now_ns;
    match act {
        Act::Serve => world.serve(&shipment, bad),
        Act::Busy(mask) => {
            let mut n = 0;
            world.serve(&shipment, |d| {
                n += 1;
                let busy = bad(d).is_none() && mask & (1 << (n % 8)) != 0;
                let faults = [
                    (429, "es_rejected_execution_exception", ""),
                    (404, "index_not_found_exception", ""),
                    (503, "unavailable_shards_exception", ""),
                ];
                if busy { Some(faults[n % 3]) } else { bad(d) }
            });
        }
        Act::ServeThenBreak => {
            world.node.bulk(&parse(&shipment.body), bad);
            world.scheduler.answered(shipment.ticket, broken(FailureKind::Broken), now);
        }
        Act::Break => {
            world.scheduler.answered(shipment.ticket, broken(FailureKind::Broken), now);
        }
        Act::TimeOut => {
            world.scheduler.answered(shipment.ticket, broken(FailureKind::TimedOut), now);
        }
        // One document alone would rightly become a dead letter.
        Act::Refuse(413) if parse(&shipment.body).len() == 1 => {
            world.answer(&shipment, 503, Vec::new());
        }
        Act::Refuse(status) => world.answer(&shipment, status, b"no".to_vec()),
        _ => {
            let reply = world.node.bulk(&parse(&shipment.body), bad);
            world.answer(&shipment, 200, reply.as_bytes()[..reply.len() / 2].to_vec());
        }
    }
}

fn bad(document: &super::super::fake::Sent) -> Fault {
    document.body.contains("bad").then_some((400, "document_parsing_exception", "no"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever the nodes, the network and the disk do: when they work again, each document is stored once or is
    /// a dead letter once, and the cursor was never ahead.
    #[test]
    fn each_document_is_stored_once_or_is_one_dead_letter(
        acts in acts(),
        sizes in proptest::collection::vec(0_usize..30, 1..12),
        gzip in any::<bool>(),
        hosts in 1_usize..4,
    ) {
        let frames = (1..).zip(&sizes).map(|(s, count)| {
            let document = |n: usize| {
                let index = ["logs-a", "logs-b", ""][n * 7 % 3];
                let word = if n % 11 == 5 { "bad" } else { "good" };
                (index, format!("{{\"f\":{s},\"n\":{n},\"is\":\"{word}\"}}"))
            };
            frame(s, &(0..*count).map(document).collect::<Vec<_>>())
        });
        let mut world = World::new(gzip, hosts, frames.collect());
        for (at, act) in acts {
            world.run();
            apply(&mut world, at, act);
        }
        world.disk_works = true;
        for shipment in std::mem::take(&mut world.under_way) {
            world.serve(&shipment, bad);
        }
        world.settle(bad);
        let mut found = world.node.bodies();
        found.extend(world.letters.iter().map(|l| String::from_utf8(l.document.clone()).unwrap()));
        found.sort();
        prop_assert_eq!(found, world.all_documents());
        prop_assert_eq!(world.cursor, sizes.len() as u64);
    }
}
