//! What happens in a run, drawn from its seed.

use std::time::Duration;

use super::cluster::{MOODS, Mood};
use super::life::Options;
use super::random::Random;
use super::twist::Twists;
use super::writer::Form;
use crate::journal::SyncPolicy;
use crate::output::simulated::Tuning;

/// What goes wrong with the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Writes,
    Syncs,
    /// Of the agent's own files, until the next start.
    Reads,
    /// Of the log.
    LogReads,
    /// So many bytes are left.
    Space(u64),
    Short,
    /// The device gives nothing of these files; of so many reads, or until something else happens to it.
    Unread(Unread, Option<u64>),
    None,
}

/// Which of the agent's own files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    All,
    Names,
    Segments,
    Newest,
    Cursors,
    Letters,
}

pub const UNREAD: [Unread; 6] = [
    Unread::All,
    Unread::Names,
    Unread::Segments,
    Unread::Newest,
    Unread::Cursors,
    Unread::Letters,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    // The program that writes the log, and logrotate.
    Append(u64),
    Begin,
    Complete,
    Rotate,
    Reopen,
    CopyTruncate,
    Truncate,
    Recreate,
    Gzip(usize),
    /// What the output `file` wrote gets another name.
    MoveOutput,
    // The agent's parts.
    Look,
    Read(u64),
    Work(u64),
    Turn,
    Pass(u64),
    Rounds(u64),
    // Its surroundings.
    Disk(Fault),
    Cluster(usize, Mood),
    /// The clock on the wall, by so many seconds.
    Jump(i64),
    // Its ends; it stays away for so many actions.
    Crash {
        machine: bool,
        after: u64,
        seed: u64,
        away: u64,
    },
    Stop {
        ms: u64,
        away: u64,
    },
}

pub fn options(random: &mut Random) -> Options {
    let sync = match random.below(4) {
        0 => SyncPolicy::Always,
        1 => SyncPolicy::Os,
        _ => SyncPolicy::Interval(Duration::from_millis(200)),
    };
    let form = if random.one_in(3) { Form::Words } else { Form::Json };
    let small = random.one_in(3);
    Options {
        form,
        sync,
        max_bytes: if small { 20_000 } else { 1 << 24 },
        segment_bytes: [600, 5_000, 1 << 20][random.below(3) as usize],
        queue: 1 + random.below(4) as usize,
        tuning: Tuning {
            hosts: 1 + random.below(2) as usize,
            bulk_bytes: [1_500, 20_000][random.below(2) as usize],
            requests: 1 + random.below(4) as usize,
            waiting_bytes: [2_000, 1 << 20][random.below(2) as usize],
            gzip: random.one_in(4),
        },
        workers: 1,
        halves: false,
        twists: Twists::default(),
    }
}

/// `count` actions.
pub fn draw(random: &mut Random, count: u64) -> Vec<Action> {
    (0..count).map(|_| action(random)).collect()
}

fn action(random: &mut Random) -> Action {
    let number = |random: &mut Random, most: u64| 1 + random.below(most);
    match random.below(100) {
        0..20 => Action::Append(number(random, 40)),
        20..22 => Action::Begin,
        22..24 => Action::Complete,
        24..27 => Action::Rotate,
        27..30 => Action::Reopen,
        30..33 => Action::CopyTruncate,
        33 => Action::Truncate,
        34 => Action::Recreate,
        35..37 => Action::Gzip(1 + random.below(3) as usize),
        37..45 => Action::Look,
        45..53 => Action::Read(number(random, 3)),
        53..63 => Action::Work(number(random, 3)),
        63..70 => Action::Turn,
        70..76 => Action::Pass(number(random, 3_000)),
        76..81 => Action::Rounds(number(random, 5)),
        81..86 => Action::Disk(match random.below(9) {
            0 => Fault::Writes,
            1 | 2 => Fault::Syncs,
            3 => Fault::Reads,
            4 => Fault::Space(random.below(5_000)),
            5 => Fault::Short,
            6 => Fault::LogReads,
            _ => Fault::None,
        }),
        86..93 => Action::Cluster(random.below(2) as usize, MOODS[random.below(13) as usize]),
        93..97 => Action::Crash {
            machine: random.one_in(2),
            after: random.below(30),
            seed: random.next() % 1_000_000,
            away: random.below(6),
        },
        _ => Action::Stop { ms: random.below(10_000), away: random.below(4) },
    }
}
