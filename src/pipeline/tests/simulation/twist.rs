//! What a run tries beyond the plain form, each by its name.
//!
//! The plain form of a seed never changes: what a twist draws comes from a generator of its own, so that a seed that
//! once found something finds it again. A run is named `SEED` or `SEED+TWIST+TWIST`.

use super::actions::{Action, Fault, UNREAD};
use super::life::Options;
use super::random::Random;
use super::writer::Form;

/// One thing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Twist {
    /// Files move, once and again, without a look or a sync of the agent in between, also while it is away.
    Moves,
    /// Several workers: batches are decoded and filtered in any order, and are under way when the end comes.
    Workers,
    /// The journal keeps its frames in memory.
    Memory,
    /// A full journal drops its oldest frames.
    DropOldest,
    /// The number of a removed file's inode is given to the next new one.
    Inodes,
    /// A power cut takes the log's own last writes, which nobody synced.
    LogEnds,
    /// Files move while the log cannot be read.
    Blind,
    /// The clock on the wall jumps, back and forth.
    Clock,
    /// Events have several lines, so that the last one is held until it is certain that it ends.
    Multiline,
    /// An output `file` more, whose files logrotate moves away.
    Files,
    /// The device gives nothing of the agent's own files, or of some of them, when it starts.
    Unread,
    /// Events have several lines, which the filter `multiline` joins; what it holds is in the journal.
    Joined,
}

pub const TWISTS: [(&str, Twist); 12] = [
    ("moves", Twist::Moves),
    ("workers", Twist::Workers),
    ("memory", Twist::Memory),
    ("drop_oldest", Twist::DropOldest),
    ("inodes", Twist::Inodes),
    ("log_ends", Twist::LogEnds),
    ("blind", Twist::Blind),
    ("clock", Twist::Clock),
    ("multiline", Twist::Multiline),
    ("files", Twist::Files),
    ("unread", Twist::Unread),
    ("joined", Twist::Joined),
];

/// Those of which no fault is open that a usual number of seeds finds.
const SETTLED: [Twist; 5] =
    [Twist::Workers, Twist::Inodes, Twist::Files, Twist::Unread, Twist::Joined];

/// The twists of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Twists(u16);

impl Twists {
    pub fn of(twist: Twist) -> Twists {
        Twists(1 << twist as u16)
    }

    pub fn has(self, twist: Twist) -> bool {
        self.0 & 1 << twist as u16 != 0
    }

    pub fn with(self, twist: Twist) -> Twists {
        Twists(self.0 | 1 << twist as u16)
    }

    /// What a seed has when nothing is asked for: the forms of [`SETTLED`] take turns with the plain one.
    pub fn in_turn(seed: u64) -> Twists {
        let turn = (seed % (SETTLED.len() as u64 + 1)) as usize;
        SETTLED.get(turn).copied().map_or(Twists::default(), Twists::of)
    }

    /// Of names with `+` or `,` between them; `plain` is none.
    pub fn parse(text: &str) -> Option<Twists> {
        let mut twists = Twists::default();
        for name in text.split(['+', ',']).map(str::trim).filter(|n| !n.is_empty() && *n != "plain")
        {
            twists = twists.with(TWISTS.iter().find(|(known, _)| *known == name)?.1);
        }
        Some(twists)
    }
}

/// As in the file of seeds, behind the seed.
impl std::fmt::Display for Twists {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        TWISTS.iter().filter(|(_, t)| self.has(*t)).try_for_each(|(name, _)| write!(f, "+{name}"))
    }
}

/// The generator of what twists draw.
pub fn generator(seed: u64) -> Random {
    Random(seed ^ 0x7477_6973_7400)
}

/// Changes the plain story of a seed.
pub fn apply(seed: u64, twists: Twists, options: &mut Options, actions: &mut Vec<Action>) {
    options.twists = twists;
    let mut random = generator(seed);
    if twists.has(Twist::Workers) {
        options.workers = 2 + random.below(3) as usize;
    }
    if twists.has(Twist::Multiline) {
        options.form = Form::Stack;
    }
    if twists.has(Twist::DropOldest) {
        options.max_bytes = 6_000 + random.below(30_000);
    }
    if twists.has(Twist::Moves) {
        more_moves(&mut random, actions);
    }
    if twists.has(Twist::Clock) {
        add(&mut random, actions, 8, |random| {
            let most = [5, 300, 4_000_000][random.below(3) as usize];
            let seconds = random.below(most) as i64;
            Action::Jump(if random.one_in(3) { seconds } else { -seconds })
        });
    }
    if twists.has(Twist::Files) {
        add(&mut random, actions, 12, |_| Action::MoveOutput);
    }
    if twists.has(Twist::Unread) {
        unread_starts(&mut random, actions);
    }
    if twists.has(Twist::Blind) {
        add(&mut random, actions, 20, |_| Action::Disk(Fault::LogReads));
    }
    if twists.has(Twist::Joined) {
        options.form = Form::Stack;
        options.halves = !random.one_in(3);
        if options.halves {
            half_events(&mut random, actions);
        }
    }
}

/// Puts other actions behind one in so many.
fn add(
    random: &mut Random,
    actions: &mut Vec<Action>,
    one_in: u64,
    new: impl Fn(&mut Random) -> Action,
) {
    let mut more = Vec::with_capacity(actions.len());
    for action in actions.drain(..) {
        more.push(action);
        if random.one_in(one_in) {
            more.push(new(random));
        }
    }
    *actions = more;
}

/// Most ends of the process come while the device does not give something.
fn unread_starts(random: &mut Random, actions: &mut Vec<Action>) {
    let mut more = Vec::with_capacity(actions.len());
    for action in actions.drain(..) {
        let ends = matches!(action, Action::Crash { .. } | Action::Stop { .. });
        if ends && !random.one_in(4) || random.one_in(20) {
            let of = UNREAD[random.below(UNREAD.len() as u64) as usize];
            let reads = random.one_in(4).then(|| 1 + random.below(12));
            let fault = Action::Disk(Fault::Unread(of, reads));
            // Before the end, or while nobody is there.
            let before = random.one_in(2);
            more.extend(if before { [fault, action] } else { [action, fault] });
        } else {
            more.push(action);
        }
    }
    *actions = more;
}

/// Events are read while only some of their lines are there.
fn half_events(random: &mut Random, actions: &mut Vec<Action>) {
    let mut more = Vec::with_capacity(actions.len());
    for action in actions.drain(..) {
        more.push(action);
        if random.one_in(4) {
            more.extend([Action::Begin, Action::Look, Action::Read(1 + random.below(3))]);
            more.push(Action::Work(1 + random.below(3)));
            more.extend(random.one_in(3).then_some(Action::Turn));
            more.extend(random.one_in(2).then_some(Action::Complete));
        }
    }
    *actions = more;
}

/// Some moves become two or three, each of a file that was written to.
fn more_moves(random: &mut Random, actions: &mut Vec<Action>) {
    let moves = |action: &Action| {
        matches!(action, Action::Rotate | Action::CopyTruncate | Action::Recreate | Action::Gzip(_))
    };
    let mut more = Vec::with_capacity(actions.len());
    for action in actions.drain(..) {
        more.push(action);
        if !moves(&action) || !random.one_in(2) {
            continue;
        }
        for _ in 0..=random.below(2) {
            more.extend([Action::Reopen, Action::Append(1 + random.below(20))]);
            more.push(match random.below(4) {
                0 | 1 => Action::Rotate,
                2 => Action::CopyTruncate,
                _ => Action::Gzip(1 + random.below(2) as usize),
            });
        }
    }
    *actions = more;
}
