//! What is done with them: `replay` and `drop`.
//!
//! The pipeline does it, because only it may write to its journal: now where it runs, else at its next start. Only
//! `drop` without an agent is done here, under the lock of the store.

use std::io::{BufRead, IsTerminal as _, Write};
use std::time::Duration;

use super::super::data::{self, JOURNAL};
use super::super::say;
use super::super::text::count;
use super::{FilterArguments, Mailbox, Refusal};
use crate::clock;
use crate::diagnostic::Diagnostic;
use crate::journal::dead_letter::{Action, Answer, Request, Selection, Store};
use crate::metrics::Metrics;
use crate::storage;

/// How long an answer is awaited; the agent goes on with the request after that.
const PATIENCE_NS: u64 = 60_000_000_000;
const PAUSE: Duration = Duration::from_millis(50);

/// Letters of one pipeline that are meant.
struct Chosen<'a> {
    from: &'a Mailbox,
    selection: Selection,
    letters: u64,
}

/// Puts letters back to their output.
pub(super) fn replay(boxes: &[Mailbox], filter: &FilterArguments) -> Result<bool, Refusal> {
    let chosen = choose(boxes, filter)?;
    if chosen.is_empty() {
        say("no dead letters to put back");
        return Ok(true);
    }
    let mut good = true;
    for one in &chosen {
        data::must_own(&one.from.pipeline.path)?;
        let asked = ask(one, Action::Replay)?;
        let name = &one.from.pipeline.name;
        match asked {
            None => say(format!(
                "{name}: no agent runs; {} will be put back at its next start",
                count(one.letters, "letter")
            )),
            Some(answer) => good &= tell(name, &answer, "put back to their output"),
        }
    }
    Ok(good)
}

/// Removes letters.
pub(super) fn drop(
    boxes: &[Mailbox],
    filter: &FilterArguments,
    yes: bool,
) -> Result<bool, Refusal> {
    let chosen = choose(boxes, filter)?;
    let all: u64 = chosen.iter().map(|one| one.letters).sum();
    if all == 0 {
        say("no dead letters to drop");
        return Ok(true);
    }
    if !yes && !confirmed(all)? {
        say("nothing is dropped");
        return Ok(false);
    }
    let mut good = true;
    for one in &chosen {
        data::must_own(&one.from.pipeline.path)?;
        let name = &one.from.pipeline.name;
        if data::user_of(&one.from.letters).is_some() {
            match ask(one, Action::Drop)? {
                Some(answer) => good &= tell(name, &answer, "dropped"),
                None => {
                    say(format!("{name}: the agent has ended; they are dropped at its next start"));
                }
            }
        } else {
            let answer = Answer { done: drop_here(one)?, ..Answer::default() };
            good &= tell(name, &answer, "dropped");
        }
    }
    Ok(good)
}

fn choose<'a>(boxes: &'a [Mailbox], filter: &FilterArguments) -> Result<Vec<Chosen<'a>>, Refusal> {
    let mut chosen = Vec::new();
    for from in boxes {
        let (mut letters, mut upto) = (0, 0);
        for stored in from.find(filter)? {
            letters += 1;
            upto = stored.key.0;
        }
        if letters > 0 {
            let selection = Selection { upto, ..filter.selection() };
            chosen.push(Chosen { from, selection, letters });
        }
    }
    Ok(chosen)
}

fn confirmed(letters: u64) -> Result<bool, Refusal> {
    if !std::io::stdin().is_terminal() {
        let what = count(letters, "dead letter");
        let problem =
            Diagnostic::error(format!("{what} would be dropped for good, and nobody can be asked"))
                .hint("add --yes; `logweir dlq show` with the same filters prints them");
        return Err(Refusal::Usage(problem));
    }
    Ok(says_yes(&mut std::io::stdin().lock(), &mut std::io::stderr(), letters))
}

/// Asks a person; only a plain yes is one.
fn says_yes(answers: &mut impl BufRead, screen: &mut impl Write, letters: u64) -> bool {
    let _ = write!(screen, "Drop {} for good? [y/N] ", count(letters, "dead letter"));
    let _ = screen.flush();
    let mut line = String::new();
    let _ = answers.read_line(&mut line);
    matches!(line.trim(), "y" | "Y" | "yes")
}

/// Leaves the request; waits for the answer where an agent runs. `None`: there is none.
fn ask(one: &Chosen<'_>, action: Action) -> Result<Option<Answer>, Refusal> {
    let requests = &one.from.requests;
    let name = format!("{:020}-{}", clock::system().now_ns(), std::process::id());
    let request = Request { action, selection: one.selection.clone() };
    requests.ask(&name, &request).map_err(|why| {
        let path = one.from.pipeline.path.display();
        Diagnostic::error(format!("cannot leave a request in `{path}`"))
            .because(why)
            .hint("run this as the user that runs the agent, on a disk with free space")
    })?;
    let journal = one.from.pipeline.path.join(JOURNAL);
    let clock = clock::system();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.map_err(|why| Diagnostic::error("cannot start a timer").because(why))?;
    runtime.block_on(async {
        loop {
            let runs = data::user_of(&journal).is_some();
            if let Some(answer) = requests.take_answer(&name) {
                return Ok(Some(answer));
            }
            if !runs {
                return Ok(None);
            }
            if clock.elapsed_ns() > PATIENCE_NS {
                let problem = Diagnostic::error("the agent has not answered within 60 s")
                    .because("the journal may be full, or the agent be older than this command")
                    .hint("the request stays and is carried out when it can be; /health says what is wrong");
                return Err(problem.into());
            }
            tokio::time::sleep(PAUSE).await;
        }
    })
}

fn drop_here(one: &Chosen<'_>) -> Result<u64, Refusal> {
    let letters = &one.from.letters;
    let (disk, clock) = (storage::disk(), clock::system());
    let store = Store::open(disk, clock, &Metrics::default(), letters, u64::MAX)?;
    let removed = store.remove(&|stored| one.selection.takes(stored));
    removed.map_err(|why| {
        let path = letters.display();
        Diagnostic::error(format!("cannot drop all dead letters in `{path}`"))
            .because(why)
            .hint("what was dropped is gone, the rest is there; give the command again")
            .into()
    })
}

/// Says what was done; `false`: not all of it.
fn tell(pipeline: &str, answer: &Answer, done: &str) -> bool {
    if let Some(why) = &answer.failed {
        eprint!(
            "{}",
            Diagnostic::error(format!("pipeline `{pipeline}`: nothing was done")).because(why)
        );
        return false;
    }
    say(format!("{pipeline}: {} {done}", count(answer.done, "letter")));
    for (output, letters) in &answer.without_output {
        let what = format!("pipeline `{pipeline}`: {} not put back", count(*letters, "letter"));
        let problem = Diagnostic::error(what)
            .because(format!("their output `outputs.{output}` is not in the pipeline any more"))
            .hint(format!(
                "add an output of that name, or remove them: logweir dlq drop --output {output} {pipeline}"
            ));
        eprint!("{problem}");
    }
    answer.without_output.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_yes_drops_and_the_question_says_how_many() {
        let ask = |answer: &str| {
            let mut screen = Vec::new();
            let yes = says_yes(&mut answer.as_bytes(), &mut screen, 2);
            assert_eq!(screen, b"Drop 2 dead letters for good? [y/N] ");
            yes
        };
        for answer in ["y\n", "Y\n", "yes\n", " y \r\n", "y"] {
            assert!(ask(answer), "{answer:?}");
        }
        for answer in ["", "\n", "n\n", "no\n", "yy\n", "yes, but\n", "N\ny\n", "\u{1b}[A\n"] {
            assert!(!ask(answer), "{answer:?}");
        }
    }
}
