//! The whole flow on one page: input → decode → filter → route → journal → output.
//!
//! Is: one running pipeline. In: a [`Plan`]. Out: documents delivered. Promises: stopping at any instant loses
//! nothing: what is not in the journal was not acknowledged, what is not delivered stays in the journal.
//! On failure: start fails with a diagnostic (data folder in use or not writable); afterwards parts say in health
//! what is wrong and go on.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::budget::Budget;
use crate::chunk;
use crate::clock::SharedClock;
use crate::config::Plan;
use crate::decode::Codec;
use crate::delivery::{BoxFuture, DeadLetters, OutputContext, Stop};
use crate::diagnostic::Diagnostic;
use crate::filter::States;
use crate::health::{Health, Part, State};
use crate::input::{self, InputContext};
use crate::journal::{Journal, OnFull, Opened, OutputSlot, Parts, Recovery, dead_letter};
use crate::metrics::Metrics;
use crate::route::Route;
use crate::storage::SharedStorage;
use crate::tap::Taps;
use crate::trace::Tracer;

mod flow;
mod gate;
mod pieces;
mod requests;
mod traced;
mod worker;

pub use flow::{Flow, FlowPlan};

/// Chunks that wait for each worker at most.
const CHUNKS_PER_WORKER: usize = 4;

/// What a pipeline gets from the agent.
#[derive(Clone)]
pub struct Services {
    /// Time.
    pub clock: SharedClock,
    /// Files.
    pub storage: SharedStorage,
    /// Metrics of the process.
    pub metrics: Metrics,
    /// Health of the process.
    pub health: Health,
    /// Memory of the process for buffers.
    pub budget: Budget,
    /// Where somebody may look at events.
    pub taps: Taps,
    /// Where the stories of batches go.
    pub tracer: Tracer,
}

/// A pipeline at work.
pub struct Pipeline {
    /// Its name.
    pub name: String,
    /// Its journal.
    pub journal: Journal,
    inputs: JoinSet<()>,
    workers: Vec<std::thread::JoinHandle<()>>,
    outputs: JoinSet<()>,
    requests: tokio::task::JoinHandle<()>,
    stop_inputs: watch::Sender<bool>,
    stop_outputs: watch::Sender<bool>,
    states: States,
    health: Health,
    taps: Taps,
}

impl Pipeline {
    /// Opens the journal in `data`/NAME/journal and starts everything. Must be called within a tokio runtime.
    pub fn start(plan: Plan, data: &Path, services: &Services) -> Result<Pipeline, Diagnostic> {
        let metrics = services.metrics.with("pipeline", &plan.name);
        let budget = services.budget.pipeline();
        let directory = data.join(&plan.name);
        let opened = open_journal(&plan, &directory, services, &metrics, &budget)?;
        let store = Arc::new(open_dead_letters(&plan, &directory, services, &metrics)?);
        let dead_letters: Arc<dyn DeadLetters> = Arc::clone(&store) as _;
        let journal = opened.journal;
        let (stop_inputs, inputs_stop) = watch::channel(false);
        let (stop_outputs, outputs_stop) = watch::channel(false);

        let part = |name: String| services.health.part(&format!("{}/{name}", plan.name));
        let mut routes = Vec::new();
        let mut outputs = JoinSet::new();
        let bits = plan.outputs.iter().map(|o| o.name.clone()).zip(opened.bits.iter().copied());
        let desk = requests::Desk::new(
            &directory,
            (&services.storage, &metrics),
            (store, journal.clone()),
            bits.collect(),
            &opened.positions,
            inputs_stop.clone(),
        );
        let tracer = services.tracer.pipeline(&plan.name, plan.outputs.iter().map(|o| &o.name));
        for (output, bit) in plan.outputs.into_iter().zip(&opened.bits) {
            let labelled = metrics.with("output", &output.name);
            let Some(feed) = journal.feed(*bit) else { continue };
            let context = OutputContext {
                feed: traced::watched(feed, tracer.as_ref(), &output.name),
                dead_letters: Arc::clone(&dead_letters),
                clock: Arc::clone(&services.clock),
                storage: Arc::clone(&services.storage),
                metrics: labelled.clone(),
                budget: budget.clone(),
                keeping: keeping(output.required, plan.journal.on_full),
                health: part(format!("outputs.{}", output.name)),
                stop: outputs_stop.clone(),
                name: output.name.clone(),
                bit: *bit,
            };
            let (health, stop) = (context.health.clone(), context.stop.clone());
            let address = output.output.address().cloned();
            routes.push(Route::new(output.name, *bit, output.when, address, &labelled));
            outputs.spawn(guarded(output.output.run(context), health, stop));
        }

        // So many that a worker finds one while the reader rests; everything else waits in the files and sockets.
        let (intake, queue) = chunk::intake(plan.workers * CHUNKS_PER_WORKER, budget);
        let mut codecs: Vec<(Arc<str>, Codec)> = Vec::new();
        let mut inputs = JoinSet::new();
        for planned in plan.inputs {
            let name: Arc<str> = planned.name.as_str().into();
            codecs.push((Arc::clone(&name), planned.codec));
            let labelled = metrics.with("input", &name);
            labelled.gauge(input::LAG_BYTES.0, input::LAG_BYTES.1).set(0);
            labelled.gauge(input::LAG_SECONDS.0, input::LAG_SECONDS.1).set(0);
            let context = InputContext {
                intake: intake.clone(),
                positions: opened.positions.clone(),
                clock: Arc::clone(&services.clock),
                storage: Arc::clone(&services.storage),
                metrics: labelled,
                health: part(format!("inputs.{name}")),
                stop: inputs_stop.clone(),
                name,
            };
            let (health, stop) = (context.health.clone(), context.stop.clone());
            inputs.spawn(guarded(planned.input.run(context), health, stop));
        }

        let flow = Arc::new(FlowPlan::new(plan.keys, plan.chain, codecs, routes, &metrics));
        let states = flow.states().clone();
        forget_unknown(&plan.name, &states, &opened.positions, &journal, &metrics);
        let work = worker::Shared {
            gate: gate::Gate::new(queue, &intake, Arc::clone(&services.clock), Handle::current()),
            order: worker::Order::default(),
            filters: worker::Order::default(),
            intake: intake.buffers(),
            flow,
            journal: journal.clone(),
            tracer,
        };
        let workers = worker::start(work, plan.workers, &plan.name, services.health.pulses())
            .map_err(|why| no_threads(&plan.name, why))?;
        let requests = tokio::spawn(Arc::new(desk).serve());
        services.taps.add(&plan.name, states.tap());
        Ok(Pipeline {
            name: plan.name,
            journal,
            inputs,
            workers,
            outputs,
            requests,
            stop_inputs,
            stop_outputs,
            states,
            health: services.health.clone(),
            taps: services.taps.clone(),
        })
    }

    /// Waits until every input has ended by itself (standard input at its end); for others this never returns.
    pub async fn inputs_ended(&mut self) {
        while self.inputs.join_next().await.is_some() {}
    }

    /// Stops reading, lets what was read go out for at most `drain`, keeps the rest in the journal.
    /// `None`: waits until everything is delivered.
    pub async fn stop(mut self, drain: Option<Duration>) {
        if drain.is_some() {
            // What `throttle` makes wait must not make the stop wait.
            self.states.hurry();
        }
        let _ = self.stop_inputs.send(true);
        let workers = std::mem::take(&mut self.workers);
        let finish = async {
            while self.inputs.join_next().await.is_some() {}
            // The queue closed with the inputs: workers end when it is empty.
            let _ = tokio::task::spawn_blocking(move || {
                for worker in workers {
                    let _ = worker.join();
                }
            })
            .await;
            self.journal.until_drained().await;
        };
        match drain {
            None => finish.await,
            Some(limit) => {
                if tokio::time::timeout(limit, finish).await.is_err() {
                    let outputs = self.journal.stats().outputs;
                    let lag: u64 = outputs.iter().map(|o| o.documents).sum();
                    tracing::warn!(
                        pipeline = %self.name,
                        "stopped with {lag} documents undelivered; they are in the journal \
                         and go out after the next start"
                    );
                }
            }
        }
        let _ = self.stop_outputs.send(true);
        let end = async { while self.outputs.join_next().await.is_some() {} };
        if tokio::time::timeout(Duration::from_secs(5), end).await.is_err() {
            self.outputs.abort_all();
        }
        self.taps.remove(&self.name);
        self.journal.close();
        // Those that wait for a full journal, or for somebody: what they hold was acknowledged to nobody.
        self.inputs.abort_all();
        self.inputs_ended().await;
        // It holds the store of dead letters, which the next start opens.
        let _ = self.requests.await;
        self.health.forget(&format!("{}/", self.name));
    }
}

fn no_threads(pipeline: &str, why: std::io::Error) -> Diagnostic {
    Diagnostic::error(format!("cannot start the threads of pipeline `{pipeline}`"))
        .because(why)
        .hint("raise the limit of threads (TasksMax, ulimit -u) and restart")
}

fn open_journal(
    plan: &Plan,
    directory: &Path,
    services: &Services,
    metrics: &Metrics,
    budget: &Budget,
) -> Result<Opened, Diagnostic> {
    let slot = |o: &crate::config::OutputPlan| OutputSlot {
        name: o.name.clone(),
        required: o.required,
        max_lag: o.max_lag,
    };
    let slots: Vec<OutputSlot> = plan.outputs.iter().map(slot).collect();
    let parts = Parts {
        storage: Arc::clone(&services.storage),
        clock: Arc::clone(&services.clock),
        metrics: metrics.clone(),
        health: services.health.part(&format!("{}/journal", plan.name)),
        budget: budget.clone(),
    };
    let opened = Journal::open(parts, &directory.join("journal"), plan.journal.clone(), &slots)?;
    tell_recovery(&plan.name, &opened.report);
    Ok(opened)
}

/// Gives filters what the journal kept for them, and lets the journal forget what is of no filter any more.
fn forget_unknown(
    pipeline: &str,
    states: &States,
    positions: &[chunk::Position],
    journal: &Journal,
    metrics: &Metrics,
) {
    let unknown = states.restore(positions);
    if unknown.is_empty() {
        return;
    }
    let help =
        "Windows of filters that were changed or removed while logweir was not running properly.";
    metrics.counter("logweir_filter_windows_forgotten_total", help).add(unknown.len() as u64);
    tracing::warn!(
        pipeline,
        "{} windows of filters that are not in the pipeline any more, or were changed, are forgotten: logweir was \
         killed before they ended",
        unknown.len()
    );
    let mut draft = crate::frame::Draft::new(journal.buffer());
    for position in unknown {
        draft.position(position);
    }
    let journal = journal.clone();
    // The start does not wait while the journal is full. A closed journal: they are found again at the next start.
    drop(tokio::task::spawn_blocking(move || journal.append(draft, None)));
}

fn open_dead_letters(
    plan: &Plan,
    directory: &Path,
    services: &Services,
    metrics: &Metrics,
) -> Result<dead_letter::Store, Diagnostic> {
    dead_letter::Store::open(
        Arc::clone(&services.storage),
        Arc::clone(&services.clock),
        metrics,
        &directory.join("dead-letters"),
        plan.dead_letters_bytes,
    )
}

/// Runs a part. If it panics, its health says so until the stop, instead of silence; dropping this drops the part.
async fn guarded(part: BoxFuture<'static, ()>, health: Part, mut stop: Stop) {
    let mut task = JoinSet::new();
    task.spawn(part);
    let Some(Err(ended)) = task.join_next().await else { return };
    if ended.is_panic() {
        let what = "it ended by a fault of logweir (the log has a line with `panicked`); nothing that was \
                    acknowledged is lost; restart logweir, and please report that line";
        health.set(State::Paused(what.into()));
        let _ = stop.wait_for(|stop| *stop).await;
    }
}

/// What becomes of the documents of an output that does not work.
fn keeping(required: bool, on_full: OnFull) -> &'static str {
    match (required, on_full) {
        (true, OnFull::Block) => "everything is kept in the journal",
        (true, OnFull::DropOldest) => {
            "the journal keeps what fits its quota; beyond that the oldest documents are dropped and counted \
             (on_full = \"drop_oldest\")"
        }
        (false, _) => {
            "the journal keeps what is not more than `max_lag` behind and fits its quota; older documents are \
             dropped for this output and counted (best_effort)"
        }
    }
}

/// Says what was wrong with the journal, each wound with its place.
fn tell_recovery(pipeline: &str, report: &Recovery) {
    for wound in report.wounds.iter().filter(|w| !w.known && !w.unfinished) {
        tracing::error!(
            pipeline,
            segment = wound.segment,
            offset = wound.offset,
            bytes = wound.bytes,
            frames_lost = wound.frames_lost_estimate,
            "a part of the journal cannot be read ({}); its bytes are kept in `quarantine`, the rest is shipped",
            wound.reason
        );
    }
    for (path, why) in &report.foreign {
        tracing::warn!(
            pipeline,
            "`{}` is not a part of the journal and is left alone: {why}",
            path.display()
        );
    }
    if report.frames > 0 {
        tracing::info!(pipeline, frames = report.frames, bytes = report.bytes, "journal recovered");
    }
}

#[cfg(test)]
mod tests;
