//! A whole pipeline from one seed: file input, filters, journal, two or three outputs, on a disk, a clock and clusters that
//! behave as badly as the seed says.
//!
//! After each run every line was stored exactly once by each output that it goes to, or is a dead letter, or was
//! dropped by a rule and counted; only lines of files that were removed or cut may be missing.
//! `LOGWEIR_SIM_SEEDS` says how many seeds, `LOGWEIR_TEST_SEED` with which to begin, `LOGWEIR_SIM_TWISTS` what is
//! tried beyond the plain form (`plain`, or names of [`twist::TWISTS`]; without it the forms take turns by the seed);
//! `tests/long/simulate.sh` runs many. Seeds that once found something are kept in `tests/simulation-seeds.txt` and
//! always run first.

mod actions;
mod archive;
mod cluster;
mod life;
mod random;
mod run;
mod twist;
mod writer;

use std::panic::{AssertUnwindSafe, catch_unwind};

use actions::Action;
use life::Options;
use random::Random;
use run::Outcome;
use twist::Twists;

/// Seeds of the short form.
const SEEDS: u64 = 60;
/// Longest list of actions.
const ACTIONS_MAX: u64 = 120;
const KEPT_SEEDS: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/simulation-seeds.txt"));

fn story(seed: u64, twists: Twists) -> (Options, Vec<Action>) {
    let mut random = Random(seed);
    let mut options = actions::options(&mut random);
    let count = 5 + random.below(ACTIONS_MAX);
    let mut actions = actions::draw(&mut random, count);
    twist::apply(seed, twists, &mut options, &mut actions);
    (options, actions)
}

/// As [`run::run`]; a panic is an error too.
fn attempt(seed: u64, options: Options, actions: &[Action]) -> Result<Outcome, String> {
    let tried = catch_unwind(AssertUnwindSafe(|| run::run(seed, options, actions)));
    tried.unwrap_or_else(|why| {
        let text = why.downcast_ref::<String>().cloned();
        let text = text.or_else(|| why.downcast_ref::<&str>().map(ToString::to_string));
        Err(format!("panicked: {}", text.unwrap_or_default()))
    })
}

/// What was wrong, without numbers and the action at which it showed.
fn kind(why: &str) -> String {
    let first = why.lines().find(|line| line.contains("line ")).or(why.lines().next());
    let text = first.unwrap_or_default();
    let text =
        text.split_once(": ").filter(|(at, _)| at.starts_with("action")).map_or(text, |(_, t)| t);
    let text = text.split_once("; in ").map_or(text, |(text, _)| text);
    text.chars().filter(|c| !c.is_ascii_digit()).collect()
}

/// Leaves out what is not needed for a fault of this kind.
fn shrink(seed: u64, options: Options, kind_of: &str, mut actions: Vec<Action>) -> Vec<Action> {
    let fails = |actions: &[Action]| {
        attempt(seed, options, actions).is_err_and(|why| kind(&why) == kind_of)
    };
    let mut size = actions.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < actions.len() {
            let mut fewer = actions.clone();
            fewer.drain(at..(at + size).min(actions.len()));
            if fails(&fewer) {
                actions = fewer;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    actions
}

fn play(seed: u64, twists: Twists) -> Result<Outcome, String> {
    let (options, actions) = story(seed, twists);
    attempt(seed, options, &actions).map_err(|why| {
        let fewer = shrink(seed, options, &kind(&why), actions.clone());
        let what = attempt(seed, options, &fewer).err().unwrap_or_default();
        let list: String = fewer.iter().map(|action| format!("    {action:?}\n")).collect();
        format!(
            "seed {seed}{twists} ({} actions): {why}\nthe shortest list found, {what}\n{options:?}\n{list}",
            actions.len()
        )
    })
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// The runs that once found something.
fn kept() -> Vec<(u64, Twists)> {
    let names = KEPT_SEEDS.lines().filter_map(|line| Some(line.split('#').next()?.trim()));
    let run = |name: &str| {
        let (seed, twists) = name.split_once('+').unwrap_or((name, ""));
        Some((seed.parse().ok()?, Twists::parse(twists)?))
    };
    let named = names.filter(|name| !name.is_empty());
    named.map(|name| run(name).unwrap_or_else(|| panic!("kept seed `{name}`"))).collect()
}

#[test]
fn every_line_arrives_once_or_is_accounted_for_whatever_happens() {
    let (first, count) = (number("LOGWEIR_TEST_SEED", 1), number("LOGWEIR_SIM_SEEDS", SEEDS));
    let asked = std::env::var("LOGWEIR_SIM_TWISTS").ok();
    let asked = asked.map(|names| Twists::parse(&names).expect("names of twists"));
    let twists = |seed| asked.unwrap_or_else(|| Twists::in_turn(seed));
    let runs = (first..first + count).map(|seed| (seed, twists(seed)));
    let (mut failed, mut lines, mut lives) = (Vec::new(), 0, 0);
    for (seed, twists) in kept().into_iter().chain(runs) {
        match play(seed, twists) {
            Ok(outcome) => {
                lines += outcome.lines;
                lives += outcome.lives;
            }
            Err(why) => {
                eprintln!("{why}");
                failed.push(format!("{seed}{twists}"));
            }
        }
        assert!(failed.len() < 20, "seeds that fail: {failed:?}");
    }
    assert!(failed.is_empty(), "seeds that fail: {failed:?}");
    println!("{count} seeds from {first}: {lines} lines, {lives} lives");
}

#[test]
fn one_seed_gives_one_run() {
    for seed in 1..8 {
        let (options, actions) = story(seed, Twists::in_turn(seed));
        let outcomes = [0; 2].map(|_| attempt(seed, options, &actions));
        assert_eq!(outcomes[0], outcomes[1], "seed {seed}");
    }
}
