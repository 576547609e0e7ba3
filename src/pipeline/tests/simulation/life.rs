//! One life of the process: the pipeline put together as [`Pipeline::start`] does, but stepped by one thread.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::archive;
use super::cluster::{Cluster, Mood};
use super::twist::{Twist, Twists};
use super::writer::{FOLDER, Form};
use crate::budget::Budget;
use crate::chunk::{self, Chunk, Intake};
use crate::clock::SharedClock;
use crate::decode::Codec;
use crate::delivery::{DeadLetters, OutputContext};
use crate::diagnostic::Diagnostics;
use crate::health::Health;
use crate::input::stepped as tail;
use crate::journal::{Journal, Mode, OnFull, OutputSlot, Parts, SyncPolicy, dead_letter};
use crate::metrics::Metrics;
use crate::output::file_stepped;
use crate::output::simulated::{self, Tuning};
use crate::pipeline::flow::FlowPlan;
use crate::pipeline::{gate, worker};
use crate::route::Route;
use crate::storage::SharedStorage;
use crate::storage::simulated::SimulatedStorage;
use crate::watermark::Waiting;
use crate::{config, settings};

pub const JOURNAL: &str = "/data/app/journal";
pub const DEAD_LETTERS: &str = "/data/app/dead-letters";
/// The third one only where there is an output `file`.
/// Seconds for which an event waits for lines that come one after the other: longer than all actions take.
pub const JOINED_S: u64 = 3_600;
pub const OUTPUTS: [&str; 3] = ["logs", "errors", "archive"];

/// What one seed decides once.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub form: Form,
    pub sync: SyncPolicy,
    pub max_bytes: u64,
    pub segment_bytes: u64,
    pub queue: usize,
    pub tuning: Tuning,
    pub workers: usize,
    /// The lines of an event are written one after the other, and it waits for them long.
    pub halves: bool,
    pub twists: Twists,
}

/// What outlives a process.
#[derive(Clone)]
pub struct Outside {
    pub runtime: Arc<Runtime>,
    pub clock: SharedClock,
    pub storage: SimulatedStorage,
    /// Of the first outputs.
    pub clusters: [Cluster; 2],
}

pub struct Life {
    pub journal: Journal,
    pub metrics: Metrics,
    pub health: Health,
    /// Documents that each output had before it when it started.
    pub backlog: [u64; 3],
    tailer: tail::Tailer,
    looked_ns: u64,
    waiting: Waiting,
    intake: Intake,
    held: Option<Chunk>,
    shared: worker::Shared,
    /// Idle ones, and those whose batch waits for its turn.
    workers: Vec<worker::Worker>,
    ready: VecDeque<(worker::Worker, worker::Ready)>,
    outputs: JoinSet<()>,
    stop: watch::Sender<bool>,
    outside: Outside,
    /// Order of events by source, as they were journaled.
    last: std::collections::BTreeMap<u64, (u64, u16)>,
}

const REDACT: &str = r#"
[[filters]]
type = "redact"
keys = ["password"]
"#;

/// The filter that joins lines.
fn join(options: &Options) -> String {
    let timeout_s = if options.halves { JOINED_S } else { 2 };
    format!("[[filters]]\ntype = \"multiline\"\ncontinue = '^\\s'\ntimeout = \"{timeout_s}s\"\n")
}

/// The flow of a pipeline file.
fn toml(options: &Options) -> String {
    let joined = options.twists.has(Twist::Joined);
    let codec = match options.form {
        Form::Json => "\"json\"",
        Form::Words => "\"plain\"",
        Form::Stack if joined => "\"plain\"",
        Form::Stack => "{ type = \"multiline\", continue = '^\\s', timeout = \"2s\" }",
    };
    let grok = r#"
[[filters]]
type = "grok"
field = "message"
patterns = ['(?m)\A%{WORD:level} n=%{INT:n:int} kind=%{WORD:kind} %{GREEDYDATA:text}\z']
[[filters]]
type = "remove"
fields = ["message"]
"#;
    let grok = if options.form == Form::Json { "" } else { grok };
    // What is kept in the journal is redacted before.
    let join = if joined { join(options) } else { String::new() };
    let (before, after) = if joined { (REDACT, "") } else { ("", REDACT) };
    let archive = if options.twists.has(Twist::Files) { archive::OUTPUT } else { "" };
    format!(
        r#"
[inputs.app]
type = "file"
paths = ["{FOLDER}/app.log*"]
codec = {codec}
{before}{join}{grok}{after}
[[filters]]
type = "drop"
when = 'level == "debug"'
[outputs.logs]
type = "elasticsearch"
hosts = ["http://logs.test"]
index = "logs"
[outputs.errors]
type = "elasticsearch"
hosts = ["http://errors.test"]
index = "logs"
when = 'level == "error"'
{archive}"#
    )
}

fn plan(options: &Options, clock: &SharedClock, metrics: &Metrics) -> config::Plan {
    let around = config::Surroundings {
        environment: Arc::new(settings::ProcessEnvironment),
        clock: Arc::clone(clock),
        metrics: metrics.clone(),
        host_name: "h".into(),
    };
    let mut problems = Diagnostics::default();
    let path = Path::new("/pipelines/app.toml");
    let toml = toml(options);
    let plan = config::load_text("app.toml", toml, path, &around, &mut problems);
    plan.unwrap_or_else(|| panic!("{problems}"))
}

impl Life {
    /// Starts; must succeed unless the device gives nothing.
    pub fn start(outside: &Outside, options: &Options) -> Result<Life, String> {
        let (metrics, health) = (Metrics::default(), Health::default());
        let plan = plan(options, &outside.clock, &metrics);
        let metrics = metrics.with("pipeline", "app");
        let storage: SharedStorage = Arc::new(outside.storage.clone());
        let slot = |o: &config::OutputPlan| OutputSlot {
            name: o.name.clone(),
            required: o.required,
            max_lag: o.max_lag,
        };
        let slots: Vec<OutputSlot> = plan.outputs.iter().map(slot).collect();
        let budget = Budget::default();
        let parts = Parts {
            storage: Arc::clone(&storage),
            clock: Arc::clone(&outside.clock),
            metrics: metrics.clone(),
            health: health.part("app/journal"),
            budget: budget.clone(),
        };
        let settings = crate::journal::Settings {
            max_bytes: options.max_bytes,
            sync: options.sync,
            segment_bytes: options.segment_bytes,
            mode: if options.twists.has(Twist::Memory) { Mode::Memory } else { Mode::Disk },
            on_full: if options.twists.has(Twist::DropOldest) {
                OnFull::DropOldest
            } else {
                OnFull::Block
            },
        };
        let pause = pause(outside, health.clone());
        let opened = Journal::open_stepped(parts, Path::new(JOURNAL), settings, &slots, pause)
            .map_err(|why| format!("the journal does not open: {why}"))?;
        let store = dead_letter::Store::open(
            Arc::clone(&storage),
            Arc::clone(&outside.clock),
            &metrics,
            Path::new(DEAD_LETTERS),
            plan.dead_letters_bytes,
        )
        .map_err(|why| format!("the dead letters do not open: {why}"))?;
        let dead_letters: Arc<dyn DeadLetters> = Arc::new(store);
        let journal = opened.journal;
        let stats = journal.stats();
        let (stop, stopped) = watch::channel(false);
        let (mut outputs, mut routes, mut backlog) = (JoinSet::new(), Vec::new(), [0; 3]);
        for (number, (output, bit)) in plan.outputs.into_iter().zip(&opened.bits).enumerate() {
            assert_eq!(output.name, OUTPUTS[number]);
            backlog[number] = stats.outputs[number].documents;
            let labelled = metrics.with("output", &output.name);
            let context = OutputContext {
                feed: journal.feed(*bit).unwrap(),
                dead_letters: Arc::clone(&dead_letters),
                clock: Arc::clone(&outside.clock),
                storage: Arc::clone(&storage),
                metrics: labelled.clone(),
                budget: budget.clone(),
                keeping: "everything is kept in the journal",
                health: health.part(&format!("app/outputs.{}", output.name)),
                stop: stopped.clone(),
                name: output.name.clone(),
                bit: *bit,
            };
            let address = output.output.address().cloned();
            routes.push(Route::new(output.name, *bit, output.when, address, &labelled));
            let Some(cluster) = outside.clusters.get(number).cloned() else {
                outputs.spawn_on(file_stepped(context), outside.runtime.handle());
                continue;
            };
            cluster.set_sender(&outside.storage);
            outputs.spawn_on(
                simulated::output(options.tuning, Arc::new(cluster), context),
                outside.runtime.handle(),
            );
        }
        let (intake, queue) = chunk::intake(options.queue, budget);
        let input = plan.inputs.into_iter().next().unwrap();
        let name: Arc<str> = input.name.as_str().into();
        let glob = tail::Glob::parse(&Path::new(FOLDER).join("app.log*")).unwrap();
        let mut tail_settings = tail::Settings::of(vec![glob]);
        tail_settings.partial_line_ns = u64::MAX / 4;
        let parts = tail::Parts {
            input: Arc::clone(&name),
            fields: input.fields,
            storage,
            clock: Arc::clone(&outside.clock),
            intake: intake.clone(),
            counts: tail::Counts::new(&metrics.with("input", &name)),
        };
        let waiting = intake.watermark().wait();
        let mut tailer = tail::Tailer::new(tail_settings, parts);
        tailer.start(&opened.positions);
        let codecs: Vec<(Arc<str>, Codec)> = vec![(name, input.codec)];
        let flow = Arc::new(FlowPlan::new(plan.keys, plan.chain, codecs, routes, &metrics));
        let unknown = flow.states().restore(&opened.positions);
        if !unknown.is_empty() {
            return Err(format!("{} windows are of no filter", unknown.len()));
        }
        let runtime = outside.runtime.handle().clone();
        let shared = worker::Shared {
            gate: gate::Gate::new(queue, &intake, Arc::clone(&outside.clock), runtime),
            order: worker::Order::default(),
            filters: worker::Order::default(),
            intake: intake.buffers(),
            flow,
            journal: journal.clone(),
            tracer: None,
        };
        let workers = (0..options.workers).map(|_| worker::Worker::new(&shared)).collect();
        Ok(Life {
            journal,
            metrics,
            health,
            backlog,
            looked_ns: tailer.elapsed_ns(),
            tailer,
            waiting,
            intake,
            held: None,
            shared,
            workers,
            ready: VecDeque::new(),
            outputs,
            stop,
            outside: outside.clone(),
            last: std::collections::BTreeMap::new(),
        })
    }

    pub fn look(&mut self, wakes: &mut Vec<tail::Wake>) {
        self.looked_ns = self.tailer.elapsed_ns();
        self.tailer.look(wakes);
        for _ in 0..10 {
            if self.tailer.due_ns() > 0 {
                break;
            }
            self.tailer.look(&mut Vec::new());
        }
        self.say_waiting();
    }

    // What was written since the last look waits.
    fn say_waiting(&mut self) {
        let since_ns = self.tailer.waits_since_ns(self.held.is_some());
        self.waiting.since(Some(since_ns.unwrap_or(u64::MAX).min(self.looked_ns)));
    }

    /// Reads chunks into the queue; whether it did anything.
    pub fn read(&mut self, most: u64) -> bool {
        let read = self.read_most(most);
        self.say_waiting();
        read
    }

    fn read_most(&mut self, most: u64) -> bool {
        for done in 0..most {
            let Some(chunk) = self.held.take().or_else(|| self.tailer.read()) else {
                return done > 0;
            };
            if let Some(chunk) = self.intake.offer(chunk).unwrap_or_else(|_| unreachable!()) {
                self.held = Some(chunk);
                self.tailer.hold();
                return done > 0;
            }
        }
        true
    }

    /// Takes chunks from the queue to the journal; whether it did anything.
    pub fn work(&mut self, most: u64) -> Result<bool, String> {
        for done in 0..most {
            self.take_work();
            let Some((mut worker, ready)) = self.ready.pop_front() else { return Ok(done > 0) };
            let source = worker.batch.source.id;
            if !worker.finish(&self.shared, ready) {
                self.workers.push(worker);
                return Ok(true);
            }
            // What comes of windows has no source.
            let events = worker.batch.events.iter().filter(|_| source != 0);
            for place in events.map(|event| (event.offset, event.sub)) {
                let last = self.last.insert(source, place);
                if last.is_some_and(|last| last >= place) {
                    return Err(format!("source {source}: {place:?} after {last:?}"));
                }
            }
            self.workers.push(worker);
            if self.outside.storage.has_ended() {
                // Nobody lives who could do or count anything.
                return Ok(true);
            }
            self.check_account()?;
        }
        Ok(true)
    }

    /// Gives every idle worker a batch; what came last is decoded and filtered first, unless filters need order.
    fn take_work(&mut self) {
        let mut taken = Vec::new();
        while let Some(mut worker) = self.workers.pop() {
            let spare = &self.shared.intake;
            let give_back = |buffer| spare.give_back(buffer);
            let work = self.shared.gate.take_now(&self.shared.flow, &mut worker.batch, give_back);
            let Some(work) = work else {
                self.workers.push(worker);
                break;
            };
            taken.push((worker, work));
        }
        let at = self.ready.len();
        if self.shared.flow.filters_in_order() {
            for (mut worker, work) in taken.drain(..) {
                let ready = worker.prepare(&self.shared, work);
                self.ready.push_back((worker, ready));
            }
        }
        while let Some((mut worker, work)) = taken.pop() {
            let ready = worker.prepare(&self.shared, work);
            self.ready.insert(at, (worker, ready));
        }
    }

    pub fn turn(&mut self) {
        self.journal.turn();
    }

    pub fn pass(&mut self, ms: u64) {
        self.outside.runtime.block_on(tokio::time::sleep(Duration::from_millis(ms)));
    }

    pub fn problem(&self) -> Option<String> {
        self.tailer.problem()
    }

    /// One round of everything; whether anything is left to do now.
    pub fn round(&mut self, wakes: &mut Vec<tail::Wake>) -> Result<(), String> {
        self.look(wakes);
        self.read(16);
        self.work(64)?;
        self.turn();
        self.pass(100);
        Ok(())
    }

    /// Reads until nothing of the log is left; `false`: it could not.
    pub fn read_all(&mut self, wakes: &mut Vec<tail::Wake>) -> Result<bool, String> {
        for _ in 0..50 {
            self.round(wakes)?;
            let idle = self.held.is_none() && self.ready.is_empty() && !self.work(1)?;
            if idle && self.metric("logweir_input_lag_bytes", "") == 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A stop as at SIGTERM: what was read goes to the journal, outputs get `ms`.
    /// Gives back what [`Life::dropped_at_end`] says.
    pub fn stop(mut self, ms: u64) -> Result<[u64; 3], String> {
        self.work(u64::MAX)?;
        if self.shared.flow.states().timed() {
            self.shared.gate.close();
            self.work(u64::MAX)?;
        }
        for _ in 0..ms / 100 {
            if self.journal.drained() || self.outside.storage.has_ended() {
                break;
            }
            self.turn();
            self.pass(100);
        }
        let _ = self.stop.send(true);
        self.pass(5_100);
        let dropped = self.dropped_at_end();
        self.end();
        self.journal.close();
        Ok(dropped)
    }

    /// The process ends now.
    pub fn crash(mut self) {
        self.journal.abandon();
        self.end();
    }

    fn end(&mut self) {
        self.outputs.abort_all();
        let outputs = &mut self.outputs;
        self.outside.runtime.block_on(async { while outputs.join_next().await.is_some() {} });
    }

    /// `read + made = journaled + dropped`, and no output has settled or lost more than it was given.
    pub fn check_account(&self) -> Result<(), String> {
        if !self.ready.is_empty() {
            // Counted, and not in the journal yet.
            return Ok(());
        }
        let read = self.metric("logweir_events_read_total", "");
        let made = self.metric("logweir_filter_events_made_total", "");
        let journaled = self.metric("logweir_events_journaled_total", "");
        let dropped = self.metric("logweir_events_dropped_total", "");
        if read + made != journaled + dropped {
            return Err(format!(
                "read {read}, made {made}, journaled {journaled}, dropped {dropped}"
            ));
        }
        let (settled, waiting) = self.fates(0);
        let given = self.backlog[0] + journaled;
        let gone = self.dropped(0);
        // A frame waits until all of it is settled.
        if settled + waiting + gone < given || settled + gone > given {
            return Err(format!(
                "given {given}, settled {settled}, waiting {waiting}, dropped by a full journal {gone}"
            ));
        }
        Ok(())
    }

    /// As [`Life::check_account`] when nothing waits any more.
    pub fn check_drained(&self) -> Result<(), String> {
        self.check_account()?;
        let (settled, waiting) = self.fates(0);
        let given = self.backlog[0] + self.metric("logweir_events_journaled_total", "");
        let gone = self.dropped(0);
        if settled + gone != given || waiting != 0 || !self.ready.is_empty() {
            return Err(format!(
                "drained: given {given}, settled {settled}, waiting {waiting}, dropped by a full journal {gone}"
            ));
        }
        let lag = self.metric("logweir_input_lag_bytes", "");
        if lag != 0 {
            return Err(format!("drained, but the input lags by {lag} bytes"));
        }
        Ok(())
    }

    /// Settled and waiting documents of an output.
    fn fates(&self, output: usize) -> (u64, u64) {
        let name = format!("output=\"{}\"", OUTPUTS[output]);
        let of = |result: &str| {
            self.metrics
                .render()
                .lines()
                .filter(|l| l.starts_with("logweir_output_documents_total") && l.contains(&name))
                .filter(|l| l.contains(&format!("result=\"{result}\"")))
                .filter_map(|l| l.rsplit_once(' ')?.1.parse::<u64>().ok())
                .sum::<u64>()
        };
        let settled = of("delivered") + of("deduplicated") + of("dead");
        (settled, self.journal.stats().outputs[output].documents)
    }

    /// Documents of an output that a full journal has dropped.
    pub fn dropped(&self, output: usize) -> u64 {
        let label = format!("output=\"{}\"", OUTPUTS[output]);
        self.metric("logweir_journal_dropped_documents_total", &label)
    }

    /// Documents of each output that the end of the process loses to a full journal, or that it lost before.
    pub fn dropped_at_end(&self) -> [u64; 3] {
        let outputs = self.journal.stats().outputs.len();
        let in_hand = |o: usize| if o < outputs { self.journal.dropped_in_hand(o) } else { 0 };
        [0, 1, 2].map(|output| self.dropped(output) + in_hand(output))
    }

    pub fn metric(&self, name: &str, label: &str) -> u64 {
        let text = self.metrics.render();
        let of = |l: &&str| l.starts_with(&format!("{name}{{")) && l.contains(label);
        let values =
            text.lines().filter(of).filter_map(|l| l.rsplit_once(' ')?.1.parse::<u64>().ok());
        values.sum()
    }
}

/// Lets the rest of the world go on while the journal makes a worker wait; what is broken is repaired in time.
fn pause(outside: &Outside, health: Health) -> impl Fn(Duration) -> bool + Send + Sync + 'static {
    let (outside, waits) = (outside.clone(), Arc::new(AtomicU32::new(0)));
    move |pause| {
        if outside.storage.has_ended() {
            return false;
        }
        outside.runtime.block_on(tokio::time::sleep(pause.max(Duration::from_millis(1))));
        let waited = waits.fetch_add(1, Ordering::Relaxed);
        if waited % 12 == 11 {
            heal_disk(&outside.storage);
        }
        if waited % 24 == 23 {
            outside.clusters.iter().for_each(|cluster| cluster.set_mood(Mood::Up));
        }
        assert!(waited < 20_000, "it waits without end: {:?}", health.states());
        !outside.storage.has_ended()
    }
}

pub fn heal_disk(storage: &SimulatedStorage) {
    storage.fail_reads(None);
    storage.fail_names_below(Path::new("/"), None);
    storage.fail_writes(None);
    storage.fail_syncs(None);
    storage.set_space(None);
    storage.read_short(false);
}
