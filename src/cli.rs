//! Arguments in, exit code out.
//!
//! Is: the command line, as `--help` shows it. Promises: exit codes are 0 (ok), 1 (failed at run time), 64 (usage),
//! 78 (configuration), as in `sysexits.h`. On failure: what failed goes to standard error.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::clock;
use crate::config::Surroundings;
use crate::metrics::Metrics;
use crate::settings::ProcessEnvironment;

mod audit;
mod check;
mod data;
mod dlq;
mod grok;
mod import;
mod inspect;
mod logging;
mod man;
mod progress;
mod report;
mod run;
mod tap;
mod test;
mod text;
mod top;
mod trial;

/// Nothing went wrong.
pub const OK: u8 = 0;
/// Something failed at run time.
pub const FAILED: u8 = 1;
/// The command line is wrong.
pub const USAGE: u8 = 64;
/// The configuration is wrong.
pub const CONFIGURATION: u8 = 78;

/// A log-shipping agent that loses nothing.
#[derive(Parser)]
#[command(name = "logweir", version, about, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the agent
    Run(RunArguments),
    /// Check pipelines as a start would, and print all problems at once
    Check {
        /// Pipeline files or folders
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Send lines from standard input through decode and filters; print the events
    Try {
        /// A pipeline file
        pipeline: PathBuf,
        /// Each line is a finished event (a JSON object) instead of a line of input
        #[arg(long)]
        json: bool,
        /// The input whose codec and fields the lines get (default: the first)
        #[arg(long)]
        input: Option<String>,
    },
    /// Run the [[tests]] written in pipelines
    Test {
        /// Pipeline files or folders
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Try grok patterns on lines from standard input; print the captured fields
    Grok(GrokArguments),
    /// Turn a configuration of Logstash, Fluentd or Fluent Bit into pipelines
    Import(import::ImportArguments),
    /// Show what is in a journal: segments, outputs, positions, damage
    Inspect(inspect::InspectArguments),
    /// Prove that every delivered document that is still in the journal is in Elasticsearch
    Audit(audit::AuditArguments),
    /// List, show, put back or remove dead letters
    Dlq(dlq::DlqArguments),
    /// Follow events at a point of a running pipeline, without their secrets
    Tap(tap::TapArguments),
    /// Watch a running agent: rates, lag, outputs, journal
    Top(top::TopArguments),
    /// Count what logs say: errors by kind, response times, traffic, tools, clients
    Report(report::ReportArguments),
    /// Print a completion script
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages and completion scripts of a package into a folder
    #[command(hide = true)]
    Man {
        /// The folder, which must be there
        folder: PathBuf,
    },
}

/// `logweir run`.
#[derive(Args)]
struct RunArguments {
    /// Where journals live [default: $STATE_DIRECTORY, /var/lib/logweir, or $XDG_STATE_HOME/logweir]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Address of /health, /ready, /metrics, the status page and /tap; "off" for none
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9600", value_parser = admin_address)]
    admin: AdminAddress,
    /// A file with the token that /metrics, the page and /tap then need [default: $LOGWEIR_ADMIN_TOKEN, or none;
    /// without one the page and /tap are shown on loopback only]
    #[arg(long, value_name = "FILE")]
    admin_token_file: Option<PathBuf>,
    /// Do not reload when a file of the configuration changes, only on SIGHUP
    #[arg(long)]
    no_watch: bool,
    /// Most memory that all buffers of the process take up together, such as 256MiB [default: 256MiB, or what the
    /// pipelines need at least]
    #[arg(long, value_name = "SIZE", env = "LOGWEIR_MEMORY_MAX", value_parser = memory_size)]
    memory_max: Option<u64>,
    /// Send traces of batches to this OpenTelemetry collector, by OTLP over HTTP as JSON, such as http://127.0.0.1:4318
    #[arg(long, value_name = "URL", env = "LOGWEIR_OTLP_ENDPOINT", value_parser = endpoint)]
    otlp_endpoint: Option<String>,
    /// The share of batches that are traced
    #[arg(long, value_name = "SHARE", default_value = "0.01", env = "LOGWEIR_OTLP_SAMPLE", value_parser = sample)]
    otlp_sample: Sample,
    /// Whether the process gives up what it does not need: writing outside of its folders, running programs
    #[arg(long, value_enum, default_value_t = Switch::On, env = "LOGWEIR_SANDBOX")]
    sandbox: Switch,
    /// How much the agent says about itself
    #[arg(long, value_enum, default_value_t = LogLevel::Info, env = "LOGWEIR_LOG")]
    log_level: LogLevel,
    /// The form of its own log, on standard error
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// Pipeline files or folders
    #[arg(default_value = "/etc/logweir/pipelines")]
    paths: Vec<PathBuf>,
}

/// `logweir grok`.
#[derive(Args)]
struct GrokArguments {
    /// Which dictionary and field names are in force
    #[arg(long, value_enum, default_value_t = EcsMode::V1)]
    ecs: EcsMode,
    /// A definition of your own; may be given several times
    #[arg(long = "define", value_name = "NAME=REGEX")]
    definitions: Vec<String>,
    /// Each line is a JSON string, so that a text may hold line feeds
    #[arg(long)]
    json: bool,
    /// Show how the patterns are compiled, instead of reading lines
    #[arg(long)]
    explain: bool,
    /// Patterns, tried in this order
    #[arg(required = true)]
    patterns: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EcsMode {
    V1,
    V8,
    Disabled,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

/// One of so many batches.
#[derive(Clone, Copy)]
struct Sample(u64);

#[derive(Clone, Copy)]
struct AdminAddress(Option<SocketAddr>);

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

fn memory_size(text: &str) -> Result<u64, String> {
    let size = crate::settings::parse_bytes(text).filter(|bytes| *bytes > 0);
    size.ok_or_else(|| "write a size such as 256MiB or 1GiB".to_string())
}

fn endpoint(text: &str) -> Result<String, String> {
    let known = text.starts_with("http://") || text.starts_with("https://");
    let hint = "write the collector's address without a path, such as http://127.0.0.1:4318";
    if known { Ok(text.to_string()) } else { Err(hint.to_string()) }
}

fn sample(text: &str) -> Result<Sample, String> {
    let share = text.parse::<f64>().ok().filter(|share| *share > 0.0 && *share <= 1.0);
    let every = share.map(|share| Sample((1.0 / share).round() as u64));
    every.ok_or_else(|| {
        "write a number above 0 up to 1, such as 0.01 for one of a hundred".to_string()
    })
}

fn admin_address(text: &str) -> Result<AdminAddress, String> {
    if text == "off" {
        return Ok(AdminAddress(None));
    }
    let parsed =
        text.parse().map_err(|_| "write an address such as 127.0.0.1:9600, or off".to_string());
    parsed.map(|address| AdminAddress(Some(address)))
}

/// Does what the arguments say.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { USAGE } else { OK });
        }
    };
    ExitCode::from(match arguments.command {
        Command::Run(run) => run::run(run),
        Command::Check { paths } => check::check(&paths),
        Command::Try { pipeline, json, input } => trial::run(&pipeline, json, input.as_deref()),
        Command::Test { paths } => test::run(&paths),
        Command::Grok(arguments) => grok::run(&arguments),
        Command::Import(arguments) => import::run(&arguments),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Audit(arguments) => audit::run(&arguments),
        Command::Dlq(arguments) => dlq::run(arguments),
        Command::Tap(arguments) => tap::run(&arguments),
        Command::Top(arguments) => top::run(&arguments),
        Command::Report(arguments) => report::run(&arguments),
        Command::Completions { shell } => {
            let mut command = Arguments::command();
            clap_complete::generate(shell, &mut command, "logweir", &mut std::io::stdout());
            OK
        }
        Command::Man { folder } => man::run(&folder),
    })
}

/// Prints a line; a reader that has gone away (`| head`) is no error.
fn say(text: impl std::fmt::Display) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// As [`say`]; `false`: nobody reads any more.
fn say_or_stop(text: impl std::fmt::Display) -> bool {
    use std::io::Write as _;
    writeln!(std::io::stdout(), "{text}").is_ok()
}

/// The machine, for commands that read pipelines.
fn surroundings(metrics: Metrics) -> Surroundings {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let host_name = std::env::var("LOGWEIR_HOST_NAME").unwrap_or(name);
    Surroundings {
        environment: Arc::new(ProcessEnvironment),
        clock: clock::system(),
        metrics,
        host_name,
    }
}
