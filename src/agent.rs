//! All pipelines of the process: start, reload, stop.
//!
//! In: paths, a data folder, an admin address. Out: the end of the process, as [`End`]. Promises: all configuration
//! errors are shown before anything starts; SIGTERM drains for at most [`limits::DRAIN_MS`], a second one leaves at
//! once, and neither loses anything; a changed file (or SIGHUP) restarts only pipelines whose file changed, or a
//! secret or certificate that it names, and a bad file leaves the old ones running and is said in the log, in health
//! and in a metric. On failure: see [`End`].

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::admin::{self, Shown};
use crate::budget::Budget;
use crate::config::{self, Plan, Surroundings, WatchedEnvironment, WatchedFiles};
use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::health::{Part, State};
use crate::limits;
use crate::metrics::Metrics;
use crate::pipeline::{Pipeline, Services};
use crate::settings::Secret;
use crate::trace::Tracer;
use sandbox::Sandbox;

mod heap;
mod otlp;
mod sandbox;
mod service;

/// What `logweir run` was asked to do.
pub struct Options {
    /// Pipeline files and folders.
    pub paths: Vec<PathBuf>,
    /// Where journals live.
    pub data: PathBuf,
    /// Where the admin server listens; `None`: nowhere.
    pub admin: Option<SocketAddr>,
    /// What who asks it must know.
    pub admin_token: Option<Secret>,
    /// Reload when a file of the configuration changes, not only when told to.
    pub watch: bool,
    /// Whether the process gives up what it does not need.
    pub sandbox: bool,
    /// Bytes of all buffers; `None`: the usual, or what the pipelines need.
    pub memory_max: Option<u64>,
    /// The collector of traces, and of how many batches one is traced; `None`: none.
    pub traces: Option<(String, u64)>,
}

/// How a run ended.
pub enum End {
    /// As asked.
    Stopped,
    /// The configuration has errors; nothing was started.
    Configuration(Diagnostics),
    /// The start failed.
    Failed(Diagnostic),
}

/// Between two looks at the configuration's files.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Between two tries to start pipelines that could not be started at a reload.
const TRY_EVERY: Duration = Duration::from_secs(10);

struct Running {
    pipeline: Pipeline,
    text: String,
    files: u64,
}

struct Agent {
    options: Options,
    around: Surroundings,
    services: Services,
    files: WatchedFiles,
    /// Whether the configuration on disk is the one that runs.
    configuration: Part,
    running: Vec<Running>,
    sandbox: Sandbox,
    /// How many pipelines run.
    count: tokio::sync::watch::Sender<usize>,
    /// When pipelines that could not be started at a reload are tried again, nanoseconds of elapsed time.
    again_ns: Option<u64>,
}

/// Runs until told to stop.
pub fn run(options: Options, mut around: Surroundings, mut services: Services) -> End {
    heap::settle();
    let environment = WatchedEnvironment::new(std::sync::Arc::clone(&around.environment));
    around.environment = std::sync::Arc::clone(&environment) as _;
    let (plans, problems) = config::load(&options.paths, &around);
    if problems.has_errors() {
        return End::Configuration(problems);
    }
    for warning in &problems.0 {
        tracing::warn!("{warning}");
    }
    services.budget = match budget(&plans, options.memory_max, &services.metrics) {
        Ok(budget) => budget,
        Err(problem) => return End::Configuration(Diagnostics(vec![problem])),
    };
    if let Err(why) = services.storage.create_directory(&options.data) {
        return End::Failed(unusable_folder(&options.data, &why));
    }
    let sandbox = match options.sandbox {
        true => Sandbox::enter(&options.data, &plans),
        false => Sandbox::default(),
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(why) => return End::Failed(Diagnostic::error("cannot start threads").because(why)),
    };
    if let Some((endpoint, every)) = &options.traces {
        match otlp::Exporter::new(endpoint, &services.metrics) {
            Ok(exporter) => {
                let clock = services.clock.clone();
                let (tracer, traces) = Tracer::new(*every, clock, &services.metrics);
                services.tracer = tracer;
                runtime.spawn(exporter.run(traces));
            }
            Err(why) => {
                let what = format!("cannot send traces to {endpoint}");
                return End::Failed(Diagnostic::error(what).because(why));
            }
        }
    }
    let count = tokio::sync::watch::Sender::new(0);
    let files = WatchedFiles::new(options.paths.clone(), environment);
    let configuration = services.health.part("configuration");
    configuration.set(State::Fine);
    let running = Vec::new();
    let mut agent = Agent {
        options,
        around,
        services,
        files,
        configuration,
        running,
        sandbox,
        count,
        again_ns: None,
    };
    let end = runtime.block_on(agent.live(plans));
    runtime.shutdown_timeout(Duration::from_secs(1));
    end
}

/// The memory that the pipelines share. An error: what was asked for is less than they need.
fn budget(plans: &[Plan], asked: Option<u64>, metrics: &Metrics) -> Result<Budget, Diagnostic> {
    let outputs: usize = plans.iter().map(|plan| plan.outputs.len()).sum();
    let least = Budget::least(plans.len(), outputs);
    let limit = asked.unwrap_or(limits::MEMORY_BYTES_MAX.max(least));
    if limit >= least {
        return Ok(Budget::new(limit, plans.len(), metrics));
    }
    let mib = |bytes: u64| bytes.div_ceil(1024 * 1024);
    let message = format!(
        "--memory-max is {} MiB, but {} pipelines with {outputs} outputs need at least {} MiB",
        mib(limit),
        plans.len(),
        mib(least)
    );
    let hint = format!("write --memory-max {}MiB or more, or leave it out", mib(least));
    Err(Diagnostic::error(message).hint(hint))
}

fn unusable_folder(path: &std::path::Path, why: &std::io::Error) -> Diagnostic {
    let hint = "give a folder that the user running logweir may write: --data-dir DIR, or chown it";
    Diagnostic::error(format!("cannot use the data folder `{}`", path.display()))
        .because(why)
        .hint(hint)
}

impl Agent {
    async fn live(&mut self, plans: Vec<Plan>) -> End {
        let (Ok(mut terminate), Ok(mut interrupt), Ok(mut hang_up)) = (
            signal(SignalKind::terminate()),
            signal(SignalKind::interrupt()),
            signal(SignalKind::hangup()),
        ) else {
            return End::Failed(Diagnostic::error("cannot listen for signals"));
        };
        for plan in plans {
            if let Err(problem) = self.start(plan) {
                return End::Failed(problem);
            }
        }
        self.serve_admin();
        let count = self.running.len();
        self.count.send_replace(count);
        tracing::info!(pipelines = count, "started");
        service::ready(&self.services.health, count);
        let (health, threads) = (&self.services.health, self.services.health.pulses().watch());
        tokio::spawn(service::watch(health.clone(), self.count.subscribe(), threads));
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = terminate.recv() => return self.stop(&mut terminate, &mut interrupt).await,
                _ = interrupt.recv() => return self.stop(&mut terminate, &mut interrupt).await,
                _ = hang_up.recv() => self.reload().await,
                _ = look.tick(), if self.options.watch => {
                    if self.files.changed() {
                        tracing::info!("the configuration has changed");
                        self.reload().await;
                    }
                }
                () = self.due() => self.reload().await,
                () = all_inputs_ended(&mut self.running) => {
                    return self.finish(&mut terminate, &mut interrupt).await;
                }
            }
        }
    }

    fn start(&mut self, plan: Plan) -> Result<(), Diagnostic> {
        let (text, files) = (plan.source.text.clone(), plan.files);
        let pipeline = Pipeline::start(plan, &self.options.data, &self.services)?;
        self.running.push(Running { pipeline, text, files });
        Ok(())
    }

    fn serve_admin(&self) {
        let part = self.services.health.part("admin");
        let Some(address) = self.options.admin else {
            part.set(State::Fine);
            return;
        };
        let shown = Shown {
            health: self.services.health.clone(),
            metrics: self.services.metrics.clone(),
            taps: self.services.taps.clone(),
            clock: std::sync::Arc::clone(&self.services.clock),
            storage: std::sync::Arc::clone(&self.services.storage),
            data: self.options.data.clone(),
            token: self.options.admin_token.clone(),
        };
        tokio::spawn(admin::serve(address, shown, part));
    }

    /// All inputs have ended: everything is delivered, however long it takes, unless a signal says otherwise.
    async fn finish(&mut self, terminate: &mut Signal, interrupt: &mut Signal) -> End {
        let stop = stopped(std::mem::take(&mut self.running), None);
        tokio::pin!(stop);
        tokio::select! {
            () = &mut stop => return End::Stopped,
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        let drain = Duration::from_millis(limits::DRAIN_MS);
        leave(async { drop(tokio::time::timeout(drain, stop).await) }, terminate, interrupt).await
    }

    async fn stop(&mut self, terminate: &mut Signal, interrupt: &mut Signal) -> End {
        let drain = Some(Duration::from_millis(limits::DRAIN_MS));
        leave(stopped(std::mem::take(&mut self.running), drain), terminate, interrupt).await
    }

    /// Restarts the pipelines whose file, secrets or certificates changed; a bad configuration changes nothing.
    async fn reload(&mut self) {
        service::reloading();
        self.files.begin();
        let (plans, problems) = config::load(&self.options.paths, &self.around);
        self.files.was_read();
        let (state, result) = if problems.has_errors() {
            tracing::error!("not reloaded, the old configuration goes on:\n{problems}");
            let error = problems.0.iter().find(|p| p.severity == Severity::Error);
            let text = error.map_or_else(String::new, ToString::to_string);
            let first = text.lines().take(2).map(str::trim).collect::<Vec<_>>().join(" ");
            let why =
                format!("the files on disk have mistakes, the old configuration goes on: {first}");
            (State::Degraded(why), "refused")
        } else if let Some(problem) = self.sandbox.refuses(&plans) {
            tracing::error!("not reloaded, the old configuration goes on:\n{problem}");
            (
                State::Degraded(format!(
                    "not reloaded, the old configuration goes on: {}",
                    problem.message
                )),
                "refused",
            )
        } else {
            match self.replace(plans).await {
                Ok(()) => (State::Fine, "done"),
                Err(why) => (State::Degraded(why), "failed"),
            }
        };
        // Who wants a reload only when told to gets none of files that changed meanwhile.
        let tries = result == "failed" && self.options.watch;
        let now_ns = self.services.clock.elapsed_ns();
        self.again_ns = tries.then(|| now_ns + TRY_EVERY.as_nanos() as u64);
        self.configuration.set(state);
        self.count_reload(result);
        self.count.send_replace(self.running.len());
        service::ready(&self.services.health, self.running.len());
    }

    /// Ends when a try is due.
    fn due(&self) -> impl Future<Output = ()> + use<> {
        let now_ns = self.services.clock.elapsed_ns();
        let left = self.again_ns.map(|at_ns| Duration::from_nanos(at_ns.saturating_sub(now_ns)));
        async move {
            match left {
                Some(left) => tokio::time::sleep(left).await,
                None => std::future::pending().await,
            }
        }
    }

    fn count_reload(&self, result: &str) {
        let metrics = self.services.metrics.with("result", result);
        metrics
            .counter("logweir_reloads_total", "Reloads of the configuration, by result.")
            .increment();
    }

    /// An error: pipelines that could not be started.
    async fn replace(&mut self, plans: Vec<Plan>) -> Result<(), String> {
        let drain = Some(Duration::from_millis(limits::DRAIN_MS));
        let unchanged = |running: &Running| {
            let plan = plans.iter().find(|plan| plan.name == running.pipeline.name);
            plan.is_some_and(|p| p.source.text == running.text && p.files == running.files)
        };
        let (kept, ended): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.running).into_iter().partition(unchanged);
        self.running = kept;
        // Side by side: one whose output is dead takes the whole time.
        let mut stopping = tokio::task::JoinSet::new();
        for running in ended {
            stopping.spawn(running.pipeline.stop(drain));
        }
        while stopping.join_next().await.is_some() {}
        let mut failed = Vec::new();
        for plan in plans {
            if self.running.iter().any(|r| r.pipeline.name == plan.name) {
                continue;
            }
            let name = plan.name.clone();
            match self.start(plan) {
                Ok(()) => tracing::info!(pipeline = %name, "started with the new configuration"),
                Err(problem) => {
                    tracing::error!(pipeline = %name, "not started: {problem}");
                    failed.push(name);
                }
            }
        }
        if failed.is_empty() {
            return Ok(());
        }
        let names = failed.join(", ");
        let next = match self.options.watch {
            true => format!("it is tried again every {} seconds", TRY_EVERY.as_secs()),
            false => "reload when it is repaired".to_string(),
        };
        Err(format!("pipelines were not started: {names}; the log says why; {next}"))
    }
}

/// Ends when all pipelines have stopped; see [`Pipeline::stop`] for `drain`.
async fn stopped(pipelines: Vec<Running>, drain: Option<Duration>) {
    let mut all = tokio::task::JoinSet::new();
    for running in pipelines {
        all.spawn(running.pipeline.stop(drain));
    }
    while all.join_next().await.is_some() {}
}

/// The first signal came: waits for `stop`, unless a second one comes.
async fn leave(
    stop: impl Future<Output = ()>,
    terminate: &mut Signal,
    interrupt: &mut Signal,
) -> End {
    tracing::info!("stopping; a second signal leaves at once");
    service::stopping();
    let again = async {
        // Service managers and terminals may signal the process and its group: twins are one signal.
        tokio::time::sleep(Duration::from_millis(limits::SIGNAL_TWIN_MS)).await;
        while take_arrived(terminate, interrupt) {}
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    tokio::select! {
        () = stop => tracing::info!("stopped"),
        () = again => tracing::warn!("left at once; what is undelivered is in the journal"),
    }
    End::Stopped
}

/// Takes a signal that has already arrived; whether there was one.
fn take_arrived(terminate: &mut Signal, interrupt: &mut Signal) -> bool {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    terminate.poll_recv(&mut context).is_ready() || interrupt.poll_recv(&mut context).is_ready()
}

async fn all_inputs_ended(running: &mut [Running]) {
    if running.is_empty() {
        // Nothing to wait for: only a signal ends this.
        std::future::pending::<()>().await;
    }
    for one in running {
        one.pipeline.inputs_ended().await;
    }
}
