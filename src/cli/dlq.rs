//! `logweir dlq`: dead letters.
//!
//! In: a data folder and filters. Out: lists, or requests to the pipeline. Promises: `ls` and `show` change nothing;
//! `replay` and `drop` act on exactly the letters that were there when they were called, and say how many.
//! On failure: what is wrong and what to do; nothing is lost, and the same command may be given again.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::data::{self, DEAD_LETTERS, PipelineFolder};
use super::progress::Progress;
use super::{FAILED, OK, USAGE};
use crate::diagnostic::Diagnostic;
use crate::journal::dead_letter::{self, Requests, Selection, StoredLetter};
use crate::storage;

mod change;
mod list;

/// `logweir dlq`.
#[derive(Args)]
pub(super) struct DlqArguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Count dead letters by pipeline, output and reason
    Ls {
        #[command(flatten)]
        place: PlaceArguments,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Print dead letters, oldest first
    Show {
        #[command(flatten)]
        place: PlaceArguments,
        #[command(flatten)]
        filter: FilterArguments,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Put dead letters back to their output, with the ids that they had
    Replay {
        #[command(flatten)]
        place: PlaceArguments,
        #[command(flatten)]
        filter: FilterArguments,
    },
    /// Remove dead letters for good
    Drop {
        #[command(flatten)]
        place: PlaceArguments,
        #[command(flatten)]
        filter: FilterArguments,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// Whose letters.
#[derive(Args)]
struct PlaceArguments {
    /// Where the agent keeps its data [default: as for `logweir run`]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// A pipeline (default: all)
    pipeline: Option<String>,
}

/// Which letters.
#[derive(Args)]
struct FilterArguments {
    /// Only of this output
    #[arg(long, value_name = "NAME")]
    output: Option<String>,
    /// Only with this text in the reason, as `show` or `ls` prints it
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Only of the document with this id
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// At most so many of each pipeline, the oldest first
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

/// A pipeline's letters.
struct Mailbox {
    pipeline: PipelineFolder,
    letters: PathBuf,
    requests: Requests,
}

/// Why a command ends.
enum Refusal {
    Failed(Diagnostic),
    Usage(Diagnostic),
}

impl From<Diagnostic> for Refusal {
    fn from(problem: Diagnostic) -> Self {
        Refusal::Failed(problem)
    }
}

pub(super) fn run(arguments: DlqArguments) -> u8 {
    let done = match arguments.command {
        Command::Ls { place, json } => boxes(&place).and_then(|boxes| list::ls(&boxes, json)),
        Command::Show { place, filter, json } => {
            boxes(&place).and_then(|boxes| list::show(&boxes, &filter, json))
        }
        Command::Replay { place, filter } => {
            boxes(&place).and_then(|boxes| change::replay(&boxes, &filter))
        }
        Command::Drop { place, filter, yes } => {
            boxes(&place).and_then(|boxes| change::drop(&boxes, &filter, yes))
        }
    };
    match done {
        Ok(true) => OK,
        Ok(false) => FAILED,
        Err(Refusal::Failed(problem)) => {
            eprint!("{problem}");
            FAILED
        }
        Err(Refusal::Usage(problem)) => {
            eprint!("{problem}");
            USAGE
        }
    }
}

fn boxes(place: &PlaceArguments) -> Result<Vec<Mailbox>, Refusal> {
    let data = place.data_dir.clone().unwrap_or_else(data::default_directory);
    let found = data::pipelines(&data, place.pipeline.as_deref())?;
    let disk = storage::disk();
    let with = |pipeline: PipelineFolder| Mailbox {
        letters: pipeline.path.join(DEAD_LETTERS),
        requests: Requests::new(&disk, &pipeline.path),
        pipeline,
    };
    Ok(found.into_iter().map(with).collect())
}

impl Mailbox {
    /// All letters, oldest first.
    fn read(&self) -> Result<Box<dyn Iterator<Item = StoredLetter>>, Refusal> {
        if !self.letters.is_dir() {
            return Ok(Box::new(std::iter::empty()));
        }
        let disk = storage::disk();
        let size = |path: &PathBuf| disk.facts(path).map_or(0, |facts| facts.size);
        let total: u64 = disk.list(&self.letters).unwrap_or_default().iter().map(size).sum();
        let counted =
            Progress::beside_output(&format!("reading {}", self.pipeline.name), total * 2);
        let letters = dead_letter::read_all(&counted.count(&disk), &self.letters);
        let letters = letters.map_err(|why| {
            let path = self.letters.display();
            Diagnostic::error(format!("cannot read the dead letters in `{path}`"))
                .because(why)
                .hint("run this as the user that runs the agent, or as root")
        })?;
        Ok(Box::new(letters))
    }

    /// The letters that the filters mean.
    fn find(
        &self,
        filter: &FilterArguments,
    ) -> Result<Box<dyn Iterator<Item = StoredLetter>>, Refusal> {
        let selection = filter.selection();
        let limit = filter.limit.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
        let found = self.read()?.filter(move |stored| selection.takes(stored)).take(limit);
        Ok(Box::new(found))
    }
}

impl FilterArguments {
    /// All letters that there are, if the filters take them.
    fn selection(&self) -> Selection {
        Selection {
            output: self.output.clone(),
            reason: self.reason.clone(),
            id: self.id.clone(),
            upto: u64::MAX,
        }
    }
}
