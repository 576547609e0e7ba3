//! `logweir run`: the daemon.

use std::path::Path;

use super::{CONFIGURATION, FAILED, OK, RunArguments, Switch, data, logging, surroundings};
use crate::agent::{self, End, Options};
use crate::budget::Budget;
use crate::diagnostic::Diagnostic;
use crate::health::Health;
use crate::metrics::Metrics;
use crate::pipeline::Services;
use crate::settings::Secret;
use crate::storage;
use crate::tap::Taps;
use crate::trace::Tracer;

pub(super) fn run(arguments: RunArguments) -> u8 {
    logging::start(arguments.log_level, arguments.log_format);
    raise_descriptors();
    let metrics = Metrics::default();
    let around = surroundings(metrics.clone());
    let services = Services {
        clock: around.clock.clone(),
        storage: storage::disk(),
        metrics,
        health: Health::default(),
        budget: Budget::default(),
        taps: Taps::default(),
        tracer: Tracer::default(),
    };
    let data = arguments.data_dir.unwrap_or_else(data::default_directory);
    let (paths, admin) = (arguments.paths, arguments.admin.0);
    let admin_token = match admin_token(arguments.admin_token_file.as_deref()) {
        Ok(token) => token,
        Err(problem) => {
            eprint!("{problem}");
            return CONFIGURATION;
        }
    };
    let memory_max = arguments.memory_max;
    let watch = !arguments.no_watch;
    let sandbox = arguments.sandbox == Switch::On;
    let every = arguments.otlp_sample.0;
    let traces = arguments.otlp_endpoint.map(|endpoint| (endpoint, every));
    let options = Options { paths, data, admin, sandbox, admin_token, watch, memory_max, traces };
    match agent::run(options, around, services) {
        End::Stopped => OK,
        End::Configuration(problems) => {
            eprint!("{problems}");
            CONFIGURATION
        }
        End::Failed(problem) => {
            eprint!("{problem}");
            FAILED
        }
    }
}

/// What who asks the admin server must know: the text of a file, else of `LOGWEIR_ADMIN_TOKEN`.
pub(super) fn admin_token(file: Option<&Path>) -> Result<Option<Secret>, Diagnostic> {
    let Some(path) = file else {
        let token = std::env::var("LOGWEIR_ADMIN_TOKEN").ok().filter(|token| !token.is_empty());
        return Ok(token.map(Secret::new));
    };
    let what = format!("cannot use the admin token in `{}`", path.display());
    let hint = "name a file with the token as its only line";
    match std::fs::read_to_string(path) {
        Ok(text) if text.trim().is_empty() => {
            Err(Diagnostic::error(what).because("the file is empty").hint(hint))
        }
        Ok(text) => Ok(Some(Secret::new(text.trim()))),
        Err(why) => Err(Diagnostic::error(what).because(why).hint(hint)),
    }
}

/// Shells and service managers give 1,024 descriptors so that programs with `select` work; we may have as many as are
/// allowed, one for each connection and file being read.
fn raise_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => tracing::debug!(?current, ?maximum, "raised the limit of open files"),
        Err(why) => tracing::warn!("cannot raise the limit of open files: {why}; set LimitNOFILE"),
    }
}
