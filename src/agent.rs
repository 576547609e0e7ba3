//! All pipelines of the process: start, reload, stop.
//!
//! In: paths, a data folder, an admin address. Out: the end of the process, as [`End`]. Promises: all configuration
//! errors are shown before anything starts; SIGTERM drains for at most [`limits::DRAIN_MS`], a second one leaves at
//! once, and neither loses anything; SIGHUP restarts only pipelines whose file changed, and a bad file leaves the
//! old ones running. On failure: see [`End`].

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::admin;
use crate::config::{self, Plan, Surroundings};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::health::State;
use crate::limits;
use crate::pipeline::{Pipeline, Services};

/// What `logweir run` was asked to do.
pub struct Options {
    /// Pipeline files and folders.
    pub paths: Vec<PathBuf>,
    /// Where journals live.
    pub data: PathBuf,
    /// Where the admin server listens; `None`: nowhere.
    pub admin: Option<SocketAddr>,
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

struct Running {
    pipeline: Pipeline,
    text: String,
}

struct Agent {
    options: Options,
    around: Surroundings,
    services: Services,
    running: Vec<Running>,
}

/// Runs until told to stop.
pub fn run(options: Options, around: Surroundings, services: Services) -> End {
    let (plans, problems) = config::load(&options.paths, &around);
    if problems.has_errors() {
        return End::Configuration(problems);
    }
    for warning in &problems.0 {
        tracing::warn!("{warning}");
    }
    if let Err(why) = services.storage.create_directory(&options.data) {
        return End::Failed(unusable_folder(&options.data, &why));
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(why) => return End::Failed(Diagnostic::error("cannot start threads").because(why)),
    };
    let mut agent = Agent { options, around, services, running: Vec::new() };
    let end = runtime.block_on(agent.live(plans));
    runtime.shutdown_timeout(Duration::from_secs(1));
    end
}

fn unusable_folder(path: &std::path::Path, why: &std::io::Error) -> Diagnostic {
    let hint = "give a folder that the user running logweir may write: --data-dir DIR, or chown it";
    Diagnostic::error(format!("cannot use the data folder `{}`", path.display()))
        .because(why)
        .hint(hint)
}

impl Agent {
    async fn live(&mut self, plans: Vec<Plan>) -> End {
        let (mut terminate, mut interrupt, mut hang_up) = match (
            signal(SignalKind::terminate()),
            signal(SignalKind::interrupt()),
            signal(SignalKind::hangup()),
        ) {
            (Ok(t), Ok(i), Ok(h)) => (t, i, h),
            _ => return End::Failed(Diagnostic::error("cannot listen for signals")),
        };
        for plan in plans {
            if let Err(problem) = self.start(plan) {
                return End::Failed(problem);
            }
        }
        self.serve_admin();
        let count = self.running.len();
        tracing::info!(pipelines = count, "started");
        let _ = sd_notify::notify(&[
            sd_notify::NotifyState::Ready,
            sd_notify::NotifyState::Status(&format!("{count} pipelines running")),
        ]);
        loop {
            tokio::select! {
                _ = terminate.recv() => return self.stop(&mut terminate, &mut interrupt).await,
                _ = interrupt.recv() => return self.stop(&mut terminate, &mut interrupt).await,
                _ = hang_up.recv() => self.reload().await,
                () = all_inputs_ended(&mut self.running) => {
                    return self.finish(&mut terminate, &mut interrupt).await;
                }
            }
        }
    }

    fn start(&mut self, plan: Plan) -> Result<(), Diagnostic> {
        let text = plan.source.text.clone();
        let pipeline = Pipeline::start(plan, &self.options.data, &self.services)?;
        self.running.push(Running { pipeline, text });
        Ok(())
    }

    fn serve_admin(&self) {
        let part = self.services.health.part("admin");
        let Some(address) = self.options.admin else {
            part.set(State::Fine);
            return;
        };
        let (health, metrics) = (self.services.health.clone(), self.services.metrics.clone());
        tokio::spawn(admin::serve(address, health, metrics, part));
    }

    /// All inputs have ended: everything is delivered, however long it takes, unless a signal says otherwise.
    async fn finish(&mut self, terminate: &mut Signal, interrupt: &mut Signal) -> End {
        let pipelines = std::mem::take(&mut self.running);
        let stop = async {
            for running in pipelines {
                running.pipeline.stop(None).await;
            }
        };
        tokio::select! {
            () = stop => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        End::Stopped
    }

    async fn stop(&mut self, terminate: &mut Signal, interrupt: &mut Signal) -> End {
        tracing::info!("stopping; a second signal leaves at once");
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
        let drain = Some(Duration::from_millis(limits::DRAIN_MS));
        let pipelines = std::mem::take(&mut self.running);
        let stop = async {
            let mut all = tokio::task::JoinSet::new();
            for running in pipelines {
                all.spawn(running.pipeline.stop(drain));
            }
            while all.join_next().await.is_some() {}
        };
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

    /// Restarts the pipelines whose file changed; a bad configuration changes nothing.
    async fn reload(&mut self) {
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Reloading]);
        let (plans, problems) = config::load(&self.options.paths, &self.around);
        if problems.has_errors() {
            tracing::error!("not reloaded, the old configuration goes on:\n{problems}");
        } else {
            self.replace(plans).await;
        }
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    }

    async fn replace(&mut self, plans: Vec<Plan>) {
        let drain = Some(Duration::from_millis(limits::DRAIN_MS));
        let unchanged = |running: &Running| {
            plans.iter().any(|p| p.name == running.pipeline.name && p.source.text == running.text)
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
        for plan in plans {
            if self.running.iter().any(|r| r.pipeline.name == plan.name) {
                continue;
            }
            let name = plan.name.clone();
            match self.start(plan) {
                Ok(()) => tracing::info!(pipeline = %name, "started with the new configuration"),
                Err(problem) => tracing::error!(pipeline = %name, "not started: {problem}"),
            }
        }
    }
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
