//! A chunk that needs several frames, and a process that ends at any moment between them.

use std::ops::ControlFlow;

use super::*;
use crate::budget::Budget;
use crate::chunk::{Chunk, Position, intake};
use crate::clock::SharedClock;
use crate::journal::{Mode, Settings, SyncPolicy};
use crate::limits::{BATCH_LINES_MAX, FRAME_STRINGS_USUAL};
use crate::storage::simulated::SimulatedStorage;

const DIRECTORY: &str = "/data/journal";
/// Where the chunk begins: what stands before it in its source is not read.
const BEGIN: u64 = 5_000;
const LINES: usize = 3 * FRAME_STRINGS_USUAL;

/// How chunks are decoded and filtered.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// Piece by piece, on any worker.
    Pieces,
    /// By the gate, since the codec holds lines back.
    Gate,
    /// In order, since a filter remembers.
    Filters,
}

/// What a process has.
struct Life {
    storage: SimulatedStorage,
    journal: Journal,
    shared: worker::Shared,
    intake: Intake,
    source: Arc<Source>,
    /// Keeps the handle of the gate alive.
    _runtime: tokio::runtime::Runtime,
}

fn toml(way: Way) -> String {
    match way {
        Way::Pieces => TOML.to_string(),
        Way::Gate => {
            let codec = "codec = { type = \"multiline\", continue = '^\\s' }";
            TOML.replace("type = \"stdin\"", &format!("type = \"stdin\"\n{codec}"))
        }
        Way::Filters => format!("{TOML}[[filters]]\ntype = \"dedupe\"\n"),
    }
}

/// Opens the journal; what it knows of the source, and how many documents it holds for the first output.
fn open(storage: &SimulatedStorage, mode: Mode) -> (Opened, Option<u64>, usize) {
    let parts = Parts {
        storage: Arc::new(storage.clone()),
        clock: crate::clock::system(),
        metrics: Metrics::default(),
        health: Health::default().part("journal"),
        budget: Budget::default(),
    };
    let settings = Settings {
        max_bytes: 1 << 30,
        sync: SyncPolicy::Os,
        segment_bytes: 1 << 20,
        mode,
        on_full: OnFull::Block,
    };
    let slot = |name: &str| OutputSlot { name: name.into(), required: true, max_lag: None };
    let slots = [slot("logs"), slot("all")];
    let lives = storage.clone();
    let pause = move |_| !lives.has_ended();
    let opened = Journal::open_stepped(parts, Path::new(DIRECTORY), settings, &slots, pause)
        .unwrap_or_else(|why| panic!("{why}"));
    let known = opened.positions.iter().find(|position| position.key == 1);
    let known = known.map(|position| position.offset);
    let documents = opened.journal.stats().outputs[0].documents;
    (opened, known, documents as usize)
}

impl Life {
    fn start(storage: &SimulatedStorage, mode: Mode, way: Way) -> Life {
        let (opened, ..) = open(storage, mode);
        let Plan { keys, chain, inputs, outputs, .. } = plan(&toml(way));
        let metrics = Metrics::default();
        let route = |(output, bit): (config::OutputPlan, &u32)| {
            let address = output.output.address().cloned();
            Route::new(output.name, *bit, output.when, address, &metrics)
        };
        let routes = outputs.into_iter().zip(&opened.bits).map(route).collect();
        let codecs = inputs.into_iter().map(|i| (i.name.into(), i.codec)).collect();
        let flow = Arc::new(FlowPlan::new(keys, chain, codecs, routes, &metrics));
        let clock: SharedClock = crate::clock::system();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (intake, queue) = intake(4, Budget::default());
        let kind = SourceKind::File { generation: 7 };
        let source = Arc::new(Source { id: 1, input: "in".into(), kind, fields: Vec::new() });
        let shared = worker::Shared {
            gate: gate::Gate::new(queue, &intake, clock, runtime.handle().clone()),
            order: worker::Order::default(),
            filters: worker::Order::default(),
            intake: intake.buffers(),
            flow,
            journal: opened.journal.clone(),
            tracer: None,
        };
        let (storage, journal) = (storage.clone(), opened.journal);
        Life { storage, journal, shared, intake, source, _runtime: runtime }
    }

    /// Reads one chunk whose lines all go to indices of their own; its first line stands at [`BEGIN`].
    fn read(&self, lines: usize) {
        let text: Vec<u8> = (0..lines).flat_map(|n| format!("{n:05}\n").into_bytes()).collect();
        let end = BEGIN + text.len() as u64;
        let position = Position { key: 1, offset: end, identity: vec![1], new: true };
        let chunk = Chunk {
            text,
            source: Arc::clone(&self.source),
            offset: BEGIN,
            received_ns: 0,
            piece: false,
            last: false,
            position: Some(position),
            told: Vec::new(),
            ack: None,
            memory: None,
        };
        self.intake.submit_blocking(chunk).unwrap();
        let mut worker = worker::Worker::new(&self.shared);
        let spare = &self.shared.intake;
        let give_back = |buffer| spare.give_back(buffer);
        while let Some(work) =
            self.shared.gate.take_now(&self.shared.flow, &mut worker.batch, give_back)
        {
            let ready = worker.prepare(&self.shared, work);
            if !worker.finish(&self.shared, ready) || self.storage.has_ended() {
                return;
            }
        }
    }
}

/// Where reading goes on after an end behind so many changes on the disk, with the documents that are journaled;
/// `Break`: all was done before that.
fn killed_after(changes: u64, lines: usize, way: Way) -> ControlFlow<(), (Option<u64>, usize)> {
    let storage = SimulatedStorage::default();
    let life = Life::start(&storage, Mode::Disk, way);
    storage.end_after(changes);
    life.read(lines);
    if !storage.has_ended() {
        return ControlFlow::Break(());
    }
    life.journal.abandon();
    let (_, known, documents) = open(&storage.kill(), Mode::Disk);
    ControlFlow::Continue((known, documents))
}

#[test]
fn a_new_source_whose_chunk_is_journaled_in_part_is_read_from_where_it_began() {
    for (way, lines) in [
        (Way::Pieces, LINES),
        (Way::Gate, LINES),
        (Way::Filters, LINES),
        (Way::Pieces, BATCH_LINES_MAX + LINES),
        (Way::Gate, BATCH_LINES_MAX + LINES),
    ] {
        let (mut in_part, mut changes) = (0, 0);
        while let ControlFlow::Continue((known, documents)) = killed_after(changes, lines, way) {
            assert!(documents == 0 || known.is_some(), "documents of a source that nobody knows");
            if known.is_some() {
                assert_eq!(known, Some(BEGIN), "{way:?}: {documents} of {lines} documents");
                in_part += 1;
            }
            changes += 1;
        }
        assert!(in_part > 0, "{way:?}: it was never journaled in part");
    }
}

#[test]
fn in_memory_a_new_source_whose_chunk_is_delivered_in_part_is_read_from_where_it_began() {
    for way in [Way::Pieces, Way::Gate, Way::Filters] {
        let storage = SimulatedStorage::default();
        let life = Life::start(&storage, Mode::Memory, way);
        let told = Position { key: 1, offset: BEGIN, identity: vec![1], new: true };
        let mut draft = Draft::new(Vec::new());
        draft.position(told);
        life.journal.append(draft, None).unwrap();
        life.read(LINES);
        let known = || open(&storage.kill(), Mode::Memory).1;
        life.journal.turn();
        assert_eq!(known(), Some(BEGIN), "{way:?}: nothing is delivered");
        let mut feeds = [0, 1].map(|bit| life.journal.feed(bit).unwrap());
        let mut sequences = Vec::new();
        while let Some(frame) = feeds[0].next_now() {
            sequences.push(frame.sequence());
        }
        while feeds[1].next_now().is_some() {}
        assert!(sequences.len() > 2, "{way:?}: it needs several frames");
        let (last, before) = sequences.split_last().unwrap();
        for done in before {
            for feed in &mut feeds {
                feed.done(*done);
            }
            life.journal.turn();
            assert_eq!(known(), Some(BEGIN), "{way:?}: a part is delivered");
        }
        for feed in &mut feeds {
            feed.done(*last);
        }
        life.journal.turn();
        assert!(known() > Some(BEGIN), "{way:?}: all is delivered");
    }
}
