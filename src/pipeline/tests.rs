mod full;
mod parts;
mod simulation;
mod steady;

use super::flow::{Flow, FlowPlan};
use super::*;
use crate::chunk::{Chunk, Intake};
use crate::config::{self, Surroundings};
use crate::event::{Batch, Key, Source, SourceKind, Value};
use crate::filter::Closing;
use crate::frame::{Draft, Frame};
use crate::limits::{CUT_VALUE_BYTES, DOCUMENT_BYTES_MAX, FRAME_BYTES_USUAL};
use crate::settings::ProcessEnvironment;

const TOML: &str = r#"
[inputs.in]
type = "stdin"
[outputs.logs]
type = "elasticsearch"
hosts = ["http://localhost:9200"]
index = "logs-{message}"
[outputs.all]
type = "stdout"
"#;

fn around() -> Surroundings {
    Surroundings {
        environment: Arc::new(ProcessEnvironment),
        clock: crate::clock::system(),
        metrics: Metrics::default(),
        host_name: "h".into(),
    }
}

fn plan(toml: &str) -> Plan {
    let mut problems = crate::diagnostic::Diagnostics::default();
    let path = Path::new("/nowhere/t.toml");
    let plan = config::load_text("t.toml", toml.into(), path, &around(), &mut problems);
    plan.unwrap_or_else(|| panic!("{problems}"))
}

fn flow() -> (Flow, Batch) {
    let plan = plan(TOML);
    let metrics = Metrics::default();
    let route = |(bit, output): (usize, config::OutputPlan)| Route {
        name: output.name,
        bit: bit as u32,
        when: output.when,
        address: output.output.address().cloned(),
        incomplete: metrics.counter("x", "x"),
    };
    let routes = plan.outputs.into_iter().enumerate().map(route).collect();
    let (kind, fields) = (SourceKind::File { generation: 7 }, Vec::new());
    let source = Arc::new(Source { id: 1, input: "in".into(), kind, fields });
    let batch = Batch::new(Arc::clone(&plan.keys), source);
    let flow = FlowPlan::new(plan.keys, plan.chain, Vec::new(), routes, &metrics);
    (Flow::new(Arc::new(flow)), batch)
}

fn add(batch: &mut Batch, offset: u64, message: &[u8]) {
    let event = batch.add_event(0, offset);
    let span = batch.push_text(message);
    batch.set_root(event, Key::MESSAGE, Value::Str(span));
}

fn frames(flow: &mut Flow, batch: &mut Batch) -> Vec<Frame> {
    let (mut frames, mut next) = (Vec::new(), Some(0));
    while let Some(from) = next {
        let mut draft = Draft::new(Vec::new());
        next = flow.encode(batch, from, &mut draft);
        frames.push(draft.seal(1, frames.len() as u64 + 1));
    }
    frames
}

#[test]
fn a_batch_with_more_indices_than_a_frame_takes_goes_on_in_another_and_loses_nothing() {
    let (mut flow, mut batch) = flow();
    for n in 0..70_000_u64 {
        add(&mut batch, n, format!("m{n}").as_bytes());
    }
    let frames = frames(&mut flow, &mut batch);
    assert!(frames.len() > 60);
    let mut expected = 0_u64;
    for frame in &frames {
        for document in frame.documents() {
            let index = format!("logs-m{expected}");
            let found = (0..2).find_map(|bit| document.address(bit).filter(|a| !a.is_empty()));
            assert_eq!(found, Some(index.as_bytes()));
            assert_eq!(document.routes, 0b11, "both outputs get every document");
            let mut id = Vec::new();
            document.write_id(&mut id);
            assert!(
                id.ends_with(format!("{expected:x}").as_bytes()),
                "ids do not depend on frames"
            );
            expected += 1;
        }
    }
    assert_eq!(expected, 70_000);
}

#[test]
fn a_batch_that_grew_large_goes_on_in_another_frame() {
    let (mut flow, mut batch) = flow();
    let long = vec![b'x'; 1 << 20];
    for n in 0..20 {
        add(&mut batch, n, &long);
    }
    let frames = frames(&mut flow, &mut batch);
    assert_eq!(frames.iter().map(Frame::document_count).sum::<usize>(), 20);
    assert!(frames.iter().all(|f| f.bytes().len() < FRAME_BYTES_USUAL * 3));
}

#[test]
fn a_document_that_no_frame_could_hold_is_cut_and_says_so() {
    let (mut flow, mut batch) = flow();
    let mut huge = vec![b'a'; DOCUMENT_BYTES_MAX + 1];
    // A character on the cut.
    huge[(CUT_VALUE_BYTES - 1)..=CUT_VALUE_BYTES].copy_from_slice("é".as_bytes());
    add(&mut batch, 0, b"before");
    add(&mut batch, 1, &huge);
    let frames = frames(&mut flow, &mut batch);
    let documents: Vec<_> = frames.iter().flat_map(Frame::documents).collect();
    assert_eq!(documents.len(), 2);
    let cut: serde_json::Value = serde_json::from_slice(documents[1].body).unwrap();
    assert_eq!(cut["message"].as_str().map(str::len), Some(CUT_VALUE_BYTES - 1));
    assert_eq!(cut["tags"], serde_json::json!(["_document_cut"]));
}

#[test]
fn pieces_of_a_chunk_give_the_documents_of_the_whole() {
    for kind in [SourceKind::File { generation: 7 }, SourceKind::Stream] {
        pieces_give_the_whole(kind);
    }
}

fn pieces_give_the_whole(kind: SourceKind) {
    use crate::decode::Place;
    let Plan { keys, chain, inputs, .. } = plan(TOML);
    let source = Arc::new(Source { id: 1, input: "in".into(), kind, fields: Vec::new() });
    let codecs = inputs.into_iter().map(|input| (Arc::clone(&source.input), input.codec)).collect();
    let route = Route::new("all".into(), 0, None, None, &Metrics::default());
    let flow = FlowPlan::new(Arc::clone(&keys), chain, codecs, vec![route], &Metrics::default());
    let mut flow = Flow::new(Arc::new(flow));
    let text: String = (0..12_000).map(|n| format!("line {n} \"{}\"\n", n * 7919)).collect();
    let place = Place { offset: 500, received_ns: 3, piece: false, last: false };
    let mut documents = |in_pieces: bool| {
        let mut batch = Batch::new(Arc::clone(&keys), Arc::clone(&source));
        batch.text = text.clone().into_bytes();
        let mut draft = Draft::new(Vec::new());
        let mut pieces = pieces::Pieces::default();
        let mut number = 0;
        if in_pieces {
            pieces.begin(&mut batch, Some(place));
        }
        let mut next = |batch: &mut Batch, number: usize| match in_pieces {
            true => pieces.next(batch),
            false => (number == 0).then_some(place),
        };
        while let Some(place) = next(&mut batch, number) {
            flow.decoder(&source.input).unwrap().decode(place, &mut batch);
            flow.filter(&mut batch);
            assert_eq!(flow.encode(&mut batch, 0, &mut draft), None);
            number += 1;
        }
        assert_eq!(number > 2, in_pieces);
        let frame = draft.seal(1, 1);
        let document = |document: crate::frame::Document<'_>| {
            let mut id = Vec::new();
            document.write_id(&mut id);
            (id, document.time_ns, document.body.to_vec())
        };
        frame.documents().map(document).collect::<Vec<_>>()
    };
    let whole = documents(false);
    assert_eq!(whole.len(), 12_000);
    assert!(documents(true) == whole);
}

#[tokio::test]
async fn a_part_that_panics_says_so_until_the_stop() {
    let health = Health::default();
    let (stop, stopped) = watch::channel(false);
    let part = Box::pin(async { panic!("on purpose") });
    let running = tokio::spawn(guarded(part, health.part("p/inputs.x"), stopped));
    let says =
        || matches!(&health.states()[0].1, State::Paused(why) if why.contains("fault of logweir"));
    while !says() {
        tokio::task::yield_now().await;
    }
    assert!(!running.is_finished(), "the others go on");
    stop.send(true).unwrap();
    running.await.unwrap();
}

#[test]
fn a_chunk_of_very_many_short_lines_is_taken_in_parts_and_acknowledged_with_the_last() {
    use crate::chunk::{Position, ack, intake};
    use crate::limits::BATCH_LINES_MAX;
    let (_, mut batch) = flow();
    let source = Arc::clone(&batch.source);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (intake, queue) = intake(1, Budget::default());
    let gate = gate::Gate::new(queue, &intake, crate::clock::system(), runtime.handle().clone());
    let flow = FlowPlan::new(
        Arc::clone(&batch.keys),
        plan(TOML).chain,
        Vec::new(),
        Vec::new(),
        &Metrics::default(),
    );
    let lines = 2 * BATCH_LINES_MAX + 7;
    let position = Position { key: 1, offset: lines as u64 * 2, identity: vec![1], new: true };
    let chunk = Chunk {
        text: b"x\n".repeat(lines),
        source,
        offset: 1000,
        received_ns: 0,
        piece: false,
        last: true,
        position: Some(position.clone()),
        told: Vec::new(),
        ack: Some(ack().0),
        memory: None,
    };
    intake.submit_blocking(chunk).unwrap();
    drop(intake);
    let mut parts = Vec::new();
    while let Some(work) = gate.take(&flow, &mut batch, |_| {}) {
        let place = work.place.unwrap();
        let first = work.position.map(|p| (p.offset, p.new));
        parts.push((place.offset, batch.text.len() / 2, place.last, first, work.ack.is_some()));
        assert_eq!(work.memory.is_some(), place.last, "it is held until all parts are journaled");
    }
    let (part, end) = (BATCH_LINES_MAX, position.offset);
    let offset = |parts: usize| 1000 + (parts * part * 2) as u64;
    assert_eq!(
        parts,
        [
            (offset(0), part, false, Some((1000, true)), false),
            (offset(1), part, false, None, false),
            (offset(2), 7, true, Some((end, false)), true),
        ]
    );
}

#[test]
fn held_lines_are_handed_on_after_their_time_whatever_the_clock_on_the_wall_does() {
    use crate::chunk::intake;
    use crate::clock::ManualClock;
    const START_NS: i64 = 1_800_000_000_000_000_000;
    let codec = "codec = { type = \"multiline\", continue = '^\\s', timeout = \"2s\" }";
    let toml = TOML.replace("type = \"stdin\"", &format!("type = \"stdin\"\n{codec}"));
    let Plan { keys, chain, inputs, .. } = plan(&toml);
    let source = Arc::clone(&flow().1.source);
    let mut batch = Batch::new(Arc::clone(&keys), Arc::clone(&source));
    let codecs = inputs.into_iter().map(|input| (Arc::clone(&source.input), input.codec)).collect();
    let flow = FlowPlan::new(keys, chain, codecs, Vec::new(), &Metrics::default());
    let clock = Arc::new(ManualClock::at(START_NS));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (intake, queue) = intake(1, Budget::default());
    let gate = gate::Gate::new(queue, &intake, clock.clone(), runtime.handle().clone());
    for hours in [-1, 0, 1] {
        let text = b"first\n  second\n".to_vec();
        let (source, received_ns) = (Arc::clone(&source), crate::clock::Clock::now_ns(&*clock));
        let (position, ack, memory) = (None, None, None);
        let (offset, piece, last, told) = (0, false, false, Vec::new());
        let chunk =
            Chunk { text, source, offset, received_ns, piece, last, position, told, ack, memory };
        intake.submit_blocking(chunk).unwrap();
        assert!(gate.take_now(&flow, &mut batch, |_| {}).is_some());
        assert!(batch.events.is_empty(), "held");
        clock.jump_to_ns(received_ns + hours * 3_600_000_000_000);
        clock.advance_ns(1_900_000_000);
        assert!(gate.take_now(&flow, &mut batch, |_| {}).is_none(), "{hours} hours: too early");
        clock.advance_ns(200_000_000);
        assert!(gate.take_now(&flow, &mut batch, |_| {}).is_some(), "{hours} hours: too late");
        assert_eq!(batch.events.len(), 1);
    }
}

/// A gate with what is before and behind it, and time.
struct Held {
    flow: Arc<FlowPlan>,
    worker: Flow,
    batch: Batch,
    gate: gate::Gate,
    intake: Intake,
    clock: Arc<crate::clock::ManualClock>,
    source: Arc<Source>,
    _runtime: tokio::runtime::Runtime,
}

impl Held {
    fn new(toml: &str) -> Held {
        let clock = Arc::new(crate::clock::ManualClock::at(1_800_000_000_000_000_000));
        let around = Surroundings { clock: clock.clone(), ..around() };
        let mut problems = crate::diagnostic::Diagnostics::default();
        let path = Path::new("/nowhere/t.toml");
        let plan = config::load_text("t.toml", toml.into(), path, &around, &mut problems);
        let Plan { keys, chain, inputs, .. } = plan.unwrap_or_else(|| panic!("{problems}"));
        let source = Arc::clone(&flow().1.source);
        let batch = Batch::new(Arc::clone(&keys), Arc::clone(&source));
        let codecs = inputs.into_iter().map(|i| (Arc::clone(&source.input), i.codec)).collect();
        let flow = FlowPlan::new(keys, chain, codecs, Vec::new(), &Metrics::default());
        let flow = Arc::new(flow);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (intake, queue) = chunk::intake(2, Budget::default());
        let gate = gate::Gate::new(queue, &intake, clock.clone(), runtime.handle().clone());
        let worker = Flow::new(Arc::clone(&flow));
        Held { flow, worker, batch, gate, intake, clock, source, _runtime: runtime }
    }

    fn submit(&self, text: &str) {
        self.submit_with(0, text, None);
    }

    fn submit_with(&self, offset: u64, text: &str, ack: Option<chunk::Ack>) {
        let chunk = Chunk {
            text: text.into(),
            source: Arc::clone(&self.source),
            offset,
            received_ns: crate::clock::Clock::now_ns(&*self.clock),
            piece: false,
            last: false,
            position: None,
            told: Vec::new(),
            ack,
            memory: None,
        };
        self.intake.submit_blocking(chunk).unwrap();
    }

    /// What the next work is, and how many events come of it.
    fn work(&mut self) -> (&'static str, usize) {
        let Held { flow, worker, batch, gate, source, .. } = self;
        let Some(work) = gate.take_now(flow, batch, |_| {}) else { return ("nothing", 0) };
        if let (Some(place), Some(decoder)) = (work.place, worker.decoder(&source.input)) {
            decoder.decode(place, batch);
        }
        match work.close {
            Some(closing) => worker.close_windows(batch, closing, &mut Vec::new()),
            None => {
                worker.filter_first(batch);
                worker.filter_in_order(batch, &mut Vec::new());
            }
        }
        if let Some(ack) = work.ack {
            ack.stored();
        }
        let events = batch.events.iter().filter(|event| !event.dropped).count();
        (if work.bytes > 0 { "a chunk" } else { "what was held" }, events)
    }
}

#[test]
fn who_holds_lines_waits_for_what_could_not_be_read_and_for_what_is_in_the_queue() {
    let joining = "type = \"multiline\", continue = '^\\s', timeout = \"2s\"";
    let codec = format!("type = \"stdin\"\ncodec = {{ {joining} }}");
    let filter = format!("filters = [{{ {joining} }}]\n{TOML}");
    for toml in [TOML.replace("type = \"stdin\"", &codec), filter] {
        let mut held = Held::new(&toml);
        held.submit("first\n  second\n");
        assert_eq!(held.work(), ("a chunk", 0));
        let waiting = held.intake.watermark().wait();
        held.clock.advance_ns(10_000_000_000);
        for _ in 0..3 {
            let (what, events) = held.work();
            assert!(what != "a chunk" && events == 0, "the next line may wait to be read");
            held.clock.advance_ns(1_000_000_000);
        }
        held.submit("  third\n");
        drop(waiting);
        let works: Vec<_> = (0..3).map(|_| held.work()).collect();
        assert!(works.contains(&("a chunk", 0)), "{works:?}");
        assert!(works.iter().all(|(_, events)| *events == 0), "what is in the queue comes first");
        held.clock.advance_ns(1_900_000_000);
        assert!((0..3).all(|_| held.work().1 == 0), "too early");
        held.clock.advance_ns(200_000_000);
        assert_eq!(held.work(), ("what was held", 1));
        let message = held.batch.get_root(0, Key::MESSAGE).unwrap();
        assert_eq!(&*held.batch.str_bytes(message).unwrap(), b"first\n  second\n  third");
    }
}

#[test]
fn nobody_is_told_that_lines_are_stored_which_a_codec_holds() {
    let joining = "type = \"multiline\", continue = '^\\s', timeout = \"2s\"";
    let codec = format!("type = \"stdin\"\ncodec = {{ {joining} }}");
    let mut held = Held::new(&TOML.replace("type = \"stdin\"", &codec));
    let mut offset = 0;
    let mut take = |held: &mut Held, text: &str| {
        let (ack, stored) = chunk::ack();
        held.submit_with(offset, text, Some(ack));
        offset += text.len() as u64;
        assert_eq!(held.work().0, "a chunk");
        stored
    };
    let mut first = take(&mut held, "a\n a\n");
    let mut second = take(&mut held, " a\n");
    assert_eq!((first.told(), second.told()), (None, None));
    let mut third = take(&mut held, "b\n");
    let told = (first.told(), second.told(), third.told());
    assert_eq!(told, (Some(true), Some(true), None), "the first event is out");
    held.clock.advance_ns(3_000_000_000);
    assert_eq!(held.work(), ("what was held", 1));
    assert_eq!(third.told(), Some(true));
    let mut last = take(&mut held, "c\n");
    drop(held);
    assert_eq!(last.told(), Some(false), "who waits sends it again");
}

/// The sum of a metric's series.
fn total(metrics: &Metrics, name: &str) -> u64 {
    let text = metrics.render();
    let lines =
        text.lines().filter(|l| l.strip_prefix(name).is_some_and(|l| l.starts_with(['{', ' '])));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

#[test]
fn what_was_read_and_made_is_journaled_or_dropped_whatever_filters_make_and_drop() {
    let toml = format!(
        "{TOML}[[filters]]\ntype = \"split\"\n\
         [[filters]]\ntype = \"clone\"\nclones = [\"c\"]\n\
         [[filters]]\ntype = \"if\"\nwhen = 'exists(tags)'\n\
         [[filters.then]]\ntype = \"sample\"\none_in = 2\n\
         [[filters.else]]\ntype = \"dedupe\"\n\
         [[filters]]\ntype = \"aggregate\"\nfields = {{ n = \"count\" }}\n\
         [[filters]]\ntype = \"drop\"\nwhen = 'message == \"b\"'\n"
    );
    let around = around();
    let mut problems = crate::diagnostic::Diagnostics::default();
    let path = Path::new("/nowhere/t.toml");
    let plan = config::load_text("t.toml", toml, path, &around, &mut problems).expect("a plan");
    let route = |(bit, output): (usize, config::OutputPlan)| Route {
        name: output.name,
        bit: bit as u32,
        when: output.when,
        address: None,
        incomplete: around.metrics.counter("x", "x"),
    };
    let routes = plan.outputs.into_iter().enumerate().map(route).collect();
    let codecs = plan.inputs.into_iter().map(|i| (Arc::from(i.name.as_str()), i.codec)).collect();
    let kind = SourceKind::Stream;
    let source = Arc::new(Source { id: 1, input: "in".into(), kind, fields: Vec::new() });
    let mut batch = Batch::new(Arc::clone(&plan.keys), Arc::clone(&source));
    let flow_plan = Arc::new(FlowPlan::new(plan.keys, plan.chain, codecs, routes, &around.metrics));
    let mut flow = Flow::new(Arc::clone(&flow_plan));
    let balanced = || {
        let total = |name| total(&around.metrics, name);
        let came = total("logweir_events_read_total") + total("logweir_filter_events_made_total");
        let went = total("logweir_events_journaled_total") + total("logweir_events_dropped_total");
        assert!(came > 0);
        assert_eq!(came, went);
        let by_filters = total("logweir_filter_events_dropped_total");
        assert_eq!(
            by_filters,
            total("logweir_events_dropped_total"),
            "every output takes everything"
        );
    };
    for round in 0..5 {
        batch.recycle(Vec::new(), Arc::clone(&source));
        for (n, message) in ["a\nb\nb", "b", "c", "a\na\na\na", "d"].iter().enumerate() {
            add(&mut batch, n as u64, message.as_bytes());
        }
        flow_plan.count("in", batch.events.len(), 1);
        flow.filter(&mut batch);
        flow.encode(&mut batch, 0, &mut Draft::new(Vec::new()));
        balanced();
        batch.recycle(Vec::new(), Arc::clone(&source));
        let closing = if round == 4 { Closing::All } else { Closing::DUE };
        flow.close_windows(&mut batch, closing, &mut Vec::new());
        flow.encode(&mut batch, 0, &mut Draft::new(Vec::new()));
        balanced();
    }
    assert!(total(&around.metrics, "logweir_filter_events_made_total") > 30);
}
