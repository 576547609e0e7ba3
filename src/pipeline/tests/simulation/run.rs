//! One run: actions done to the whole pipeline, then everything heals, and the account is made up.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use super::actions::{Action, Fault, Unread};
use super::archive::Archive;
use super::cluster::{Cluster, Mood};
use super::life::{DEAD_LETTERS, JOINED_S, JOURNAL, Life, OUTPUTS, Options, Outside, heal_disk};
use super::random::{PausedClock, Random};
use super::twist::Twist;
use super::writer::{FOLDER, Form, Kind, Writer, more_lines};
use crate::clock::SharedClock;
use crate::input::stepped::Wake;
use crate::journal::{Journal, SyncPolicy, dead_letter};
use crate::storage::SharedStorage;
use crate::storage::simulated::{EIO, ENOSPC, SimulatedStorage};

/// Rounds that may pass until everything is delivered once all faults are over; 100 ms each.
const HEALING_ROUNDS: u64 = 3_000;

/// What a run ended with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Differs when anything that can be seen from outside differs.
    pub trace: u64,
    pub lines: u64,
    pub lives: u64,
}

struct Run {
    outside: Outside,
    options: Options,
    writer: Writer,
    wall: Arc<PausedClock>,
    life: Option<Life>,
    /// A file changed its name since the agent ended.
    moved: bool,
    /// Actions until the next start.
    away: u64,
    /// The end that the storage will have.
    end: Option<(bool, u64, u64)>,
    /// A power cut took frames of the journal that outputs had seen.
    forgot: bool,
    /// Documents of each output that full journals of earlier lives have dropped.
    dropped: [u64; 3],
    archive: Archive,
    lives: u64,
    trace: u64,
}

/// Does the actions of a seed; an error says what was wrong.
pub fn run(seed: u64, options: Options, actions: &[Action]) -> Result<Outcome, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let runtime = Arc::new(runtime);
    let _within = runtime.enter();
    let storage = SimulatedStorage::default();
    let wall = Arc::new(PausedClock::new(seed));
    let clock: SharedClock = wall.clone();
    let clusters = [Cluster::new(seed ^ 1), Cluster::new(seed ^ 2)];
    if options.twists.has(Twist::Inodes) {
        storage.reuse_inodes();
    }
    let writer = Writer::new(&storage, options.form, options.halves);
    let outside = Outside { runtime: Arc::clone(&runtime), clock, storage, clusters };
    let (life, end) = (None, None);
    let (moved, forgot, away, lives) = (false, false, 0, 0);
    let (dropped, trace, archive) = ([0; 3], seed, Archive::default());
    let mut run = Run {
        outside,
        options,
        writer,
        wall,
        life,
        moved,
        away,
        end,
        forgot,
        dropped,
        archive,
        lives,
        trace,
    };
    run.start()?;
    for (number, action) in actions.iter().enumerate() {
        let done = run.act(*action).and_then(|()| run.after());
        done.map_err(|why| format!("action {number}, {action:?}: {why}"))?;
        run.note();
    }
    run.heal()?;
    run.check()?;
    run.note();
    let outcome = Outcome { trace: run.trace, lines: run.writer.lines, lives: run.lives };
    if let Some(life) = run.life.take() {
        life.crash();
    }
    Ok(outcome)
}

impl Run {
    fn start(&mut self) -> Result<(), String> {
        self.lives += 1;
        let storage = &self.outside.storage;
        if !self.options.twists.has(Twist::Unread) {
            storage.fail_reads_below(Path::new("/data"), None);
        }
        let gives = !storage.fails_reads_below(Path::new("/data"));
        self.archive.begin(storage);
        match Life::start(&self.outside, &self.options) {
            Ok(life) => {
                self.moved = false;
                self.writer.wakes.clear();
                self.life = Some(life);
            }
            // As a service manager does, it is started again.
            Err(why) if !gives && why.contains("nothing was changed") => {}
            Err(why) => return Err(why),
        }
        Ok(())
    }

    fn act(&mut self, action: Action) -> Result<(), String> {
        if let Action::Rotate | Action::CopyTruncate | Action::Recreate | Action::Gzip(_) = action
            && !self.make_known()
        {
            return Ok(());
        }
        let Run { writer, outside, .. } = self;
        match action {
            Action::Append(count) => writer.append(count),
            Action::Begin => writer.begin(),
            Action::Complete => writer.complete(),
            Action::Rotate => writer.rotate(),
            Action::Reopen => writer.reopen(),
            Action::CopyTruncate => writer.copy_truncate(),
            Action::Truncate => writer.truncate(),
            Action::Recreate => writer.recreate(),
            Action::Gzip(n) => writer.gzip(n),
            Action::MoveOutput => self.archive.rotate(&outside.storage),
            Action::Jump(seconds) => self.wall.jump(seconds),
            Action::Disk(Fault::LogReads) if self.options.twists.has(Twist::Blind) => {
                harm(&outside.storage, Fault::LogReads);
            }
            Action::Disk(Fault::LogReads) => {
                let Some(life) = &mut self.life else { return Ok(()) };
                // Whether a new file is a copy is found out by reading it.
                for _ in 0..60 {
                    life.round(&mut writer.wakes)?;
                }
                harm(&outside.storage, Fault::LogReads);
            }
            Action::Disk(fault) => harm(&outside.storage, fault),
            Action::Cluster(number, mood) => outside.clusters[number].set_mood(mood),
            other => return self.act_within(other),
        }
        Ok(())
    }

    /// Before a file moves: what comes and goes between two looks of the agent is not promised, nor is that a copy
    /// is known for one when the power goes before anything of its original is on disk. `false`: it may not move.
    fn make_known(&mut self) -> bool {
        if self.options.twists.has(Twist::Moves) {
            heal_disk(&self.outside.storage);
            return true;
        }
        let Some(life) = &mut self.life else { return !std::mem::replace(&mut self.moved, true) };
        let blind = self.options.twists.has(Twist::Blind)
            && self.outside.storage.fails_reads_below(Path::new(FOLDER));
        heal_disk(&self.outside.storage);
        if blind {
            harm(&self.outside.storage, Fault::LogReads);
        }
        life.look(&mut self.writer.wakes);
        life.journal.sync();
        !self.outside.storage.has_ended()
    }

    /// What only a living process does.
    fn act_within(&mut self, action: Action) -> Result<(), String> {
        let Some(life) = &mut self.life else { return Ok(()) };
        match action {
            Action::Look => life.look(&mut self.writer.wakes),
            Action::Read(most) => _ = life.read(most),
            Action::Work(most) => _ = life.work(most)?,
            Action::Turn => life.turn(),
            Action::Pass(ms) => life.pass(ms),
            Action::Rounds(count) => {
                for _ in 0..count {
                    life.round(&mut self.writer.wakes)?;
                }
            }
            Action::Crash { machine, after, seed, away } if self.end.is_none() => {
                self.outside.storage.end_after(after);
                self.end = Some((machine, seed, away));
            }
            Action::Crash { .. } => {}
            Action::Stop { away, .. } if self.options.halves && !self.read_all()? => {
                // A stop in the midst of an event gives out what was read of it, as its user wants it.
                return self.crash(away);
            }
            Action::Stop { ms, away } => {
                if let Some(life) = self.life.take() {
                    let journal = life.journal.clone();
                    let dropped = life.stop(ms)?;
                    let machine = self.end.is_some_and(|(machine, ..)| machine);
                    self.forgot |= machine && is_behind(&journal);
                    self.count_dropped(dropped);
                    // What it could not write is as after a crash.
                    let memory = self.options.twists.has(Twist::Memory);
                    self.archive.end(self.outside.storage.is_sound() && !memory);
                }
                self.away = away;
                if self.end.is_none() {
                    return Ok(());
                }
                // What was to come at its end comes now, with nobody there.
                self.crash(away)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Completes the last event and reads all; `false`: it could not.
    fn read_all(&mut self) -> Result<bool, String> {
        let Some(life) = &mut self.life else { return Ok(true) };
        heal_disk(&self.outside.storage);
        self.writer.complete();
        life.read_all(&mut self.writer.wakes)
    }

    /// Ends and starts that are due.
    fn after(&mut self) -> Result<(), String> {
        if self.life.is_some() {
            if self.outside.storage.has_ended() {
                let away = self.end.map_or(0, |(.., away)| away);
                self.crash(away)?;
            }
        } else if self.away == 0 {
            self.start()?;
        } else {
            self.away -= 1;
        }
        Ok(())
    }

    fn crash(&mut self, away: u64) -> Result<(), String> {
        let (machine, seed, _) = self.end.take().unwrap_or_default();
        if let Some(life) = self.life.take() {
            self.count_dropped(life.dropped_at_end());
            self.forgot |= machine && is_behind(&life.journal);
            life.crash();
            self.archive.end(false);
        }
        self.writer.complete();
        let old = &self.outside.storage;
        self.outside.storage = if machine { old.crash(seed) } else { old.kill() };
        self.writer.moved_to(&self.outside.storage);
        if machine && self.options.twists.has(Twist::LogEnds) {
            self.writer.lose_end(&mut Random(seed ^ 0x656e_6473));
        }
        self.away = away;
        if away == 0 {
            self.start()?;
        }
        Ok(())
    }

    fn count_dropped(&mut self, dropped: [u64; 3]) {
        for (sum, more) in self.dropped.iter_mut().zip(dropped) {
            *sum += more;
        }
    }

    fn heal(&mut self) -> Result<(), String> {
        if self.end.is_some() {
            self.crash(0)?;
        }
        heal_disk(&self.outside.storage);
        self.outside.clusters.iter().for_each(|cluster| cluster.set_mood(Mood::Up));
        self.writer.complete();
        if self.life.is_none() {
            self.start()?;
        }
        let Some(life) = &mut self.life else { return Err("it does not start".into()) };
        drain(life, &mut self.writer.wakes)?;
        if self.options.halves {
            // The last event waits for more lines.
            life.pass(JOINED_S * 1_000);
            drain(life, &mut self.writer.wakes)?;
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        let letters = self.letters()?;
        let again = self.may_be_joined_again();
        let mut ids: BTreeMap<u64, String> = BTreeMap::new();
        let mut taken: BTreeSet<u64> = BTreeSet::new();
        let mut faults = String::new();
        for (number, cluster) in self.outside.clusters.iter().enumerate() {
            let output = OUTPUTS[number];
            for wrong in cluster.wrong() {
                let _ = writeln!(faults, "{output}: {wrong}");
            }
            for (id, known, new) in cluster.taken() {
                if self.may_be_taken(&known)? {
                    taken.extend(self.number_of(&new)?);
                } else {
                    let _ = writeln!(faults, "{output}: id {id} is `{known}`, and now `{new}`");
                }
            }
            let mut stored: BTreeSet<u64> = BTreeSet::new();
            for (id, body) in cluster.documents() {
                let Some(n) = self.number_of(&body)? else { continue };
                // A torn line may end before its secret.
                let twists = self.options.twists;
                let torn = (twists.has(Twist::LogEnds) || self.options.halves)
                    && self.writer.perhaps.contains(&n);
                let whole = more_lines(n).replace('\n', "\\n");
                if self.options.form == Form::Stack && !torn && !body.contains(&whole) {
                    let _ =
                        writeln!(faults, "{output}: a part of an event of several lines: {body}");
                }
                if body.contains("hunter2") || (!body.contains("***") && !torn) {
                    let _ = writeln!(faults, "{output}: not redacted: {body}");
                }
                let twice = again || self.writer.perhaps_twice.contains(&n);
                if !stored.insert(n) && !twice {
                    let _ = writeln!(faults, "{output}: line {n} is there twice");
                }
                if !twice {
                    same_id(&mut ids, n, &id, &mut faults);
                }
            }
            let mut dead: BTreeSet<u64> = BTreeSet::new();
            for (_, id, n) in letters.iter().filter(|(name, ..)| name == output) {
                dead.insert(*n);
                if !again && !self.writer.perhaps_twice.contains(n) {
                    same_id(&mut ids, *n, id, &mut faults);
                }
            }
            self.check_fates(number, (&stored, &dead, &taken), &mut faults);
        }
        if self.options.twists.has(Twist::LogEnds) && self.forgot {
            ids.retain(|n, _| !self.writer.perhaps.contains(n));
        }
        if self.options.twists.has(Twist::Files) {
            let all = again.then(|| (1..=self.writer.lines).collect());
            let twice = all.as_ref().unwrap_or(&self.writer.perhaps_twice);
            let stored = self.archive.check(&self.outside.storage, &ids, twice, &mut faults);
            let none = BTreeSet::new();
            self.check_fates(2, (&stored, &none, &none), &mut faults);
        }
        order_within_files(&ids, &mut faults);
        if faults.is_empty() {
            return Ok(());
        }
        let many = faults.lines().count();
        let first: Vec<&str> = faults.lines().take(12).collect();
        Err(format!("{many} faults at the end:\n{}", first.join("\n")))
    }

    /// Whether a line may have got the id of this stored document: a power cut took the end of the log *and* the
    /// frames of the journal that told how far it had been read, and the outputs had them already.
    fn may_be_taken(&self, known: &str) -> Result<bool, String> {
        let lost = self.number_of(known)?.is_none_or(|n| self.writer.perhaps.contains(&n));
        Ok(lost && self.forgot && self.options.twists.has(Twist::LogEnds))
    }

    /// Whether events may come a second time, under other ids: outputs had them, and a power cut took the frames of
    /// the journal that said so, with what the filter held before them. It joins them again, in other batches.
    fn may_be_joined_again(&self) -> bool {
        let Options { twists, sync, .. } = self.options;
        // With `sync = "always"` outputs see only what is on disk.
        let seen_too_early = self.forgot && sync != SyncPolicy::Always;
        twists.has(Twist::Joined) && (seen_too_early || twists.has(Twist::Memory))
    }

    /// Whether each line is where it belongs: stored by this output, or a dead letter of it. `taken`: its id was.
    fn check_fates(
        &self,
        number: usize,
        (stored, dead, taken): (&BTreeSet<u64>, &BTreeSet<u64>, &BTreeSet<u64>),
        faults: &mut String,
    ) {
        let output = OUTPUTS[number];
        let now = self.life.as_ref().map_or(0, |life| life.dropped(number));
        let mut may_miss = self.dropped[number] + now;
        for n in 1..=self.writer.lines {
            let (to, refused) = fate(number, n);
            let place = (stored.contains(&n), dead.contains(&n));
            let fits = place == (to && !refused, to && refused);
            let missing = place == (false, false);
            let gone = missing && (self.writer.perhaps.contains(&n) || taken.contains(&n));
            // What a full journal has dropped is counted.
            let dropped = !fits && !gone && missing && may_miss > 0;
            may_miss -= u64::from(dropped);
            if !fits && !gone && !dropped {
                let at = self.writer.place_of(n);
                let _ =
                    writeln!(faults, "{output}: line {n}: (stored, dead) is {place:?}; in {at:?}");
            }
        }
    }

    /// Output, id and line number of each dead letter.
    fn letters(&self) -> Result<Vec<(String, String, u64)>, String> {
        let storage: SharedStorage = Arc::new(self.outside.storage.clone());
        let letters = dead_letter::read_all(&storage, Path::new(DEAD_LETTERS));
        let letters = letters.map_err(|why| format!("no dead letters: {why}"))?;
        let mut found = Vec::new();
        for l in letters {
            let body = String::from_utf8_lossy(&l.letter.document).into_owned();
            if let Some(n) = self.number_of(&body)? {
                found.push((l.letter.output, l.letter.id, n));
            }
        }
        Ok(found)
    }

    /// The line of a document; `None`: it is of a torn one.
    fn number_of(&self, body: &str) -> Result<Option<u64>, String> {
        match number_of(body) {
            Err(_) if self.options.twists.has(Twist::LogEnds) && !body.contains("hunter2") => {
                Ok(None)
            }
            other => other.map(Some),
        }
    }

    /// Takes what can be seen into the trace.
    fn note(&mut self) {
        let (writes, syncs) = self.outside.storage.counts();
        let counts = self.outside.clusters.each_ref().map(Cluster::counts);
        let sizes = self.outside.clusters.each_ref().map(|c| c.documents().len() as u64);
        let seen = [writes, syncs, counts[0].0, counts[0].1, counts[1].0, counts[1].1];
        for value in seen.into_iter().chain(sizes).chain([self.outside.clock.elapsed_ns()]) {
            self.trace = (self.trace ^ value).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
        }
    }
}

/// Lets everything happen that is to happen.
fn drain(life: &mut Life, wakes: &mut Vec<Wake>) -> Result<(), String> {
    // Longer than what is held back for comparison, and than a rescan takes to come.
    for _ in 0..120 {
        life.round(wakes)?;
    }
    for _ in 0..HEALING_ROUNDS {
        if life.journal.drained() && life.check_drained().is_ok() {
            return Ok(());
        }
        life.round(wakes)?;
    }
    life.check_drained().map_err(|why| {
        let (stats, states) = (life.journal.stats(), life.health.states());
        format!("healed, but never done: {why}\n{stats:?}\n{states:?}\n{:?}", life.problem())
    })
}

/// Whether frames are not on disk.
fn is_behind(journal: &Journal) -> bool {
    let stats = journal.stats();
    stats.synced < stats.written
}

/// Whether a line goes to an output, and whether it is refused there.
fn fate(output: usize, n: u64) -> (bool, bool) {
    let kind = Kind::of(n);
    let error = matches!(kind, Kind::Error | Kind::BadError);
    let to = if OUTPUTS[output] == "errors" { error } else { kind != Kind::Debug };
    // A file takes everything.
    (to, output < 2 && matches!(kind, Kind::Bad | Kind::BadError))
}

pub fn number_of(body: &str) -> Result<u64, String> {
    let value: serde_json::Value =
        serde_json::from_str(body).map_err(|why| format!("{why}: {body}"))?;
    value["n"].as_u64().ok_or_else(|| format!("no number: {body}"))
}

fn same_id(ids: &mut BTreeMap<u64, String>, n: u64, id: &str, faults: &mut String) {
    let known = ids.entry(n).or_insert_with(|| id.to_string());
    if known != id {
        let _ = writeln!(faults, "line {n} has the ids {known} and {id}");
    }
}

/// The file and the place in it that an id holds; `None`: it is of an event that a filter has made.
pub fn place(id: &str) -> Option<(&str, (u64, u64))> {
    let mut parts = id.split('-');
    let file = parts.next()?;
    let number = |text| u64::from_str_radix(text, 16).unwrap_or(0);
    let (offset, sub) = (parts.next()?, parts.next().unwrap_or_default());
    // A stream's has a longer number within its frame.
    (sub.len() <= 4).then(|| (file, (number(offset), number(sub))))
}

/// Ids hold the file's number and the line's offset in it: lines of a file come in the order they were written.
fn order_within_files(ids: &BTreeMap<u64, String>, faults: &mut String) {
    let mut last: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for (n, id) in ids {
        let Some((file, place)) = place(id) else { continue };
        if last.insert(file, place).is_some_and(|last| last >= place) {
            let _ =
                writeln!(faults, "line {n} has the id {id}, which is not behind the one before");
        }
    }
}

fn harm(storage: &SimulatedStorage, fault: Fault) {
    heal_disk(storage);
    match fault {
        Fault::Writes => storage.fail_writes(Some(ENOSPC)),
        Fault::Syncs => storage.fail_syncs(Some(EIO)),
        Fault::Reads => storage.fail_reads_below(Path::new("/data"), Some(EIO)),
        Fault::LogReads => storage.fail_reads_below(Path::new(FOLDER), Some(EIO)),
        Fault::Space(left) => storage.leave_space(left),
        Fault::Short => storage.read_short(true),
        Fault::Unread(of, reads) => unread(storage, of, reads),
        Fault::None => {}
    }
}

/// The device is away, and nothing of these files is in memory; or so many reads of them fail.
fn unread(storage: &SimulatedStorage, of: Unread, reads: Option<u64>) {
    storage.fail_syncs(Some(EIO));
    let segments = |path: &Path| path.extension().is_some_and(|end| end == "segment");
    let (journal, letters) = (Path::new(JOURNAL), Path::new(DEAD_LETTERS));
    let of = match of {
        Unread::All => vec![Path::new("/data").to_path_buf()],
        Unread::Names => return storage.fail_names_below(Path::new("/data"), Some(EIO)),
        Unread::Cursors => vec![journal.join("cursors")],
        Unread::Letters => vec![letters.to_path_buf()],
        Unread::Segments | Unread::Newest => {
            let mut found = storage.names();
            found.retain(|path| segments(path) && path.starts_with(journal));
            let older = found.len().saturating_sub(1);
            found.split_off(if of == Unread::Newest { older } else { 0 })
        }
    };
    storage.fail_reads_of(&of, EIO, reads);
}
