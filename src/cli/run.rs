//! `logweir run`: the daemon.

use std::path::PathBuf;

use super::{CONFIGURATION, FAILED, OK, RunArguments, logging, surroundings};
use crate::agent::{self, End, Options};
use crate::health::Health;
use crate::metrics::Metrics;
use crate::pipeline::Services;
use crate::storage;

pub(super) fn run(arguments: RunArguments) -> u8 {
    logging::start(arguments.log_level, arguments.log_format);
    let metrics = Metrics::default();
    let around = surroundings(metrics.clone());
    let services = Services {
        clock: around.clock.clone(),
        storage: storage::disk(),
        metrics,
        health: Health::default(),
    };
    let data = arguments.data_dir.unwrap_or_else(default_data_directory);
    let options = Options { paths: arguments.paths, data, admin: arguments.admin.0 };
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

/// `$STATE_DIRECTORY` (systemd), else `/var/lib/logweir` for root, else `$XDG_STATE_HOME/logweir`.
fn default_data_directory() -> PathBuf {
    if let Some(given) = std::env::var_os("STATE_DIRECTORY") {
        return given.into();
    }
    let system = PathBuf::from("/var/lib/logweir");
    if rustix::process::geteuid().is_root() || system.is_dir() {
        return system;
    }
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".local/state");
    std::env::var_os("XDG_STATE_HOME").map_or_else(home, PathBuf::from).join("logweir")
}
