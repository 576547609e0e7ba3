//! The output at work: the scheduler's steps carried out.
//!
//! In: frames, answers, time, the stop signal. Out: requests, dead letters, the cursor, health. Promises: all waiting
//! is done here and in one place; dropping the output drops its requests, and their documents come again.
//! On failure: see [`super::schedule`].

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};

use super::bulk::Form;
use super::failure::Failure;
use super::report::Report;
use super::request::{Answer, Client};
use super::retry::Backoff;
use super::schedule::{Policy, Scheduler, Step};
use super::settings::{Settings, shown};
use super::setup;
use crate::budget::{Memory, Use};
use crate::delivery::{DeadLetter, OutputContext};
use crate::frame::Frame;
use crate::health::State;

/// How long requests under way may take after the stop signal; less than the agent waits.
const STOP_NS: u64 = 5_000_000_000;
const _: () = assert!(
    STOP_NS < crate::limits::DRAIN_MS * 1_000_000,
    "an output ends by itself before the agent gives up waiting for it"
);

/// While documents wait for more of them anyway, frames gather for so long before the output looks again: a wake-up
/// for each frame costs more than what is done with it.
const GATHER_NS: u64 = 5_000_000;

/// What a task reports.
enum Done {
    Answered(u64, Result<Answer, Failure>),
    Stored(io::Result<()>),
}

/// Why the output goes on.
enum Woken {
    Stop,
    Done(Result<Done, JoinError>),
    Frame(Option<Arc<Frame>>),
    Time,
}

struct Runner {
    context: OutputContext,
    client: Client,
    scheduler: Scheduler,
    tasks: JoinSet<Done>,
    /// What the scheduler holds.
    memory: Memory,
    state: State,
    /// The journal gave out everything.
    closed: bool,
}

/// Works until told to stop.
pub(super) async fn run(settings: Settings, mut context: OutputContext) {
    let client = match Client::new(&settings) {
        Ok(client) => client,
        Err(why) => {
            context.health.set(State::Paused(format!("no requests can be made: {why}")));
            let _ = context.stop.wait_for(|stop| *stop).await;
            return;
        }
    };
    run_with(settings, client, context).await;
}

/// As [`run`], over this client.
pub(super) async fn run_with(settings: Settings, client: Client, mut context: OutputContext) {
    if !set_up(&settings, &client, &mut context).await {
        return;
    }
    let report = Report::new(&context.metrics, &context.name);
    let hosts = settings.hosts.iter().map(shown).collect();
    let scheduler = Scheduler::new(policy(&settings, &context), hosts, report);
    let state = State::Starting;
    let tasks = JoinSet::new();
    let memory = context.budget.hold(Use::Outputs, 0);
    let mut runner = Runner { context, client, scheduler, tasks, memory, state, closed: false };
    runner.work().await;
    runner.finish().await;
}

fn policy(settings: &Settings, context: &OutputContext) -> Policy {
    let seed = context.clock.random();
    let (first_ms, max_ms) = settings.retry_ms;
    Policy {
        keeping: context.keeping,
        name: context.name.clone(),
        bit: context.bit,
        form: Form {
            operation: settings.operation(),
            ids: settings.stable_ids,
            gzip: settings.gzip,
        },
        bulk_bytes: context.budget.part_of(settings.bulk_bytes, 16),
        bulk_wait_ns: u64::try_from(settings.bulk_wait.as_nanos()).unwrap_or(u64::MAX / 2),
        requests: settings.requests,
        waiting_bytes: context.budget.part_of(settings.waiting_bytes, 8),
        user: settings.credentials.who(),
        backoff: Backoff::new(first_ms, max_ms, seed),
    }
}

/// `false`: told to stop before it was done.
async fn set_up(settings: &Settings, client: &Client, context: &mut OutputContext) -> bool {
    let Some(template) = &settings.template else { return true };
    let (first_ms, max_ms) = settings.retry_ms;
    let mut backoff = Backoff::new(first_ms, max_ms, context.clock.random());
    for attempt in 0_usize.. {
        let host = attempt % settings.hosts.len();
        let result = tokio::select! {
            result = setup::put_template(client, host, template) => result,
            _ = context.stop.wait_for(|stop| *stop) => return false,
        };
        let Err(why) = result else { return true };
        let name = shown(&settings.hosts[host]);
        context.health.set(State::Paused(format!("{name} {why}; {}", context.keeping)));
        let failures = u32::try_from(attempt + 1).unwrap_or(u32::MAX);
        let pause = Duration::from_nanos(backoff.pause_ns(failures));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = context.stop.wait_for(|stop| *stop) => return false,
        }
    }
    true
}

impl Runner {
    async fn work(&mut self) {
        let mut took = false;
        loop {
            self.book();
            while !self.closed
                && self.scheduler.wants_frame()
                && let Some(frame) = self.context.feed.next_now()
            {
                let now = self.now();
                self.scheduler.take(frame, now);
                self.book();
                took = true;
                // Compressing a batch takes a while: others on this thread come in between.
                tokio::task::yield_now().await;
            }
            let deadline = self.steps();
            self.tell();
            if self.closed && self.scheduler.is_empty() {
                return;
            }
            let gathers = std::mem::take(&mut took) && self.scheduler.is_collecting();
            let gathered = gathers.then(|| self.now() + GATHER_NS);
            let pause = self.pause(deadline.into_iter().chain(gathered).min());
            let wants_frame = !self.closed && !gathers && self.scheduler.wants_frame();
            let busy = !self.tasks.is_empty();
            let woken = tokio::select! {
                biased;
                _ = self.context.stop.wait_for(|stop| *stop) => Woken::Stop,
                Some(done) = self.tasks.join_next(), if busy => Woken::Done(done),
                frame = self.context.feed.next(), if wants_frame => Woken::Frame(frame),
                () = sleep(pause), if pause.is_some() => Woken::Time,
                // Something is under way or due whenever anything is held: a wake-up that is missed does no harm.
                () = self.context.budget.freed(), if self.memory.bytes() > 0 => Woken::Time,
            };
            match woken {
                Woken::Stop => return,
                Woken::Done(done) => self.done(done),
                Woken::Frame(None) => self.closed = true,
                Woken::Frame(Some(frame)) => {
                    let now = self.now();
                    self.scheduler.take(frame, now);
                    took = true;
                }
                Woken::Time => {}
            }
        }
    }

    /// Books what is held and says how much more may be: an output that holds nothing may always make a request.
    fn book(&mut self) {
        self.memory.set(self.scheduler.bytes() as u64);
        let room = usize::try_from(self.context.budget.room()).unwrap_or(usize::MAX);
        let least = if self.memory.bytes() == 0 { self.scheduler.bulk_bytes() } else { 0 };
        self.scheduler.set_room(room.max(least));
    }

    /// After the stop signal: answers to what is under way still count.
    async fn finish(&mut self) {
        let end = self.now() + STOP_NS;
        while self.scheduler.is_busy() {
            let pause = self.pause(Some(end));
            tokio::select! {
                biased;
                Some(done) = self.tasks.join_next() => {
                    self.done(done);
                    let now = self.now();
                    if let Step::Store(letters) = self.scheduler.next_letters(now) {
                        self.store(letters);
                    }
                    self.tell();
                }
                () = sleep(pause) => break,
            }
        }
        self.tell();
        self.tasks.abort_all();
    }

    /// Carries out all steps; returns when there is something to do again.
    fn steps(&mut self) -> Option<u64> {
        loop {
            let now = self.now();
            self.book();
            match self.scheduler.next(now) {
                Step::Wait(deadline) => return deadline,
                Step::Store(letters) => self.store(letters),
                Step::Send(shipment) => {
                    let client = self.client.clone();
                    self.tasks.spawn(async move {
                        let answer = client.bulk(shipment.host, shipment.body).await;
                        Done::Answered(shipment.ticket, answer)
                    });
                }
            }
        }
    }

    fn store(&mut self, mut letters: Vec<DeadLetter>) {
        let now_ns = self.context.clock.now_ns();
        for letter in &mut letters {
            letter.refused_ns = now_ns;
        }
        let store = Arc::clone(&self.context.dead_letters);
        let put = move || Done::Stored(store.put(&letters));
        #[cfg(test)]
        if self.client.is_simulated() {
            // One thread does everything, or one seed would not give one run.
            self.tasks.spawn(async move { put() });
            return;
        }
        self.tasks.spawn_blocking(put);
    }

    fn done(&mut self, done: Result<Done, JoinError>) {
        let now = self.now();
        match done {
            Ok(Done::Answered(ticket, result)) => self.scheduler.answered(ticket, result, now),
            Ok(Done::Stored(result)) => self.scheduler.stored(&result, now),
            // Only the store can panic; its letters are offered again.
            Err(why) => {
                let result = Err(io::Error::other(format!("the store failed: {why}")));
                self.scheduler.stored(&result, now);
            }
        }
    }

    /// Moves the cursor and says how it is.
    fn tell(&mut self) {
        if let Some(sequence) = self.scheduler.progress() {
            self.context.feed.done(sequence);
        }
        let state = self.scheduler.state(self.now());
        if state != self.state {
            self.context.health.set(state.clone());
            self.state = state;
        }
    }

    fn pause(&self, deadline: Option<u64>) -> Option<Duration> {
        let now = self.now();
        deadline.map(|at| Duration::from_nanos(at.saturating_sub(now)))
    }

    fn now(&self) -> u64 {
        self.context.clock.elapsed_ns()
    }
}

async fn sleep(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
