//! Requests on a simulated disk that crashes in between.

use tokio::sync::watch;

use super::*;
use crate::clock::ManualClock;
use crate::delivery::{DeadLetter, DeadLetters};
use crate::health::Health;
use crate::journal::dead_letter::read_all;
use crate::journal::{Mode, Opened, OutputSlot, Parts, Settings};
use crate::storage::simulated::{EIO, SimulatedStorage};

const FOLDER: &str = "/data/app";

/// A pipeline without inputs on a disk of its own.
struct Bench {
    disk: SimulatedStorage,
    desk: Desk,
    journal: Journal,
    stop: watch::Sender<bool>,
}

fn shared(disk: &SimulatedStorage) -> SharedStorage {
    Arc::new(disk.clone())
}

impl Bench {
    fn on(disk: SimulatedStorage) -> Bench {
        Bench::with(disk, Settings::default())
    }

    fn with(disk: SimulatedStorage, settings: Settings) -> Bench {
        Bench::of(disk, settings, &["logs", "other"])
    }

    fn of(disk: SimulatedStorage, settings: Settings, outputs: &[&str]) -> Bench {
        let (storage, metrics) = (shared(&disk), Metrics::default());
        let clock = Arc::new(ManualClock::at(1_000_000_000));
        let folder = Path::new(FOLDER);
        let parts = Parts {
            storage: Arc::clone(&storage),
            clock: clock.clone(),
            metrics: metrics.clone(),
            health: Health::default().part("journal"),
            budget: crate::budget::Budget::default(),
        };
        let slot = |name: &str| OutputSlot { name: name.into(), required: true, max_lag: None };
        let outputs: Vec<OutputSlot> = outputs.iter().map(|name| slot(name)).collect();
        let Opened { journal, positions, bits, .. } =
            Journal::open(parts, &folder.join("journal"), settings, &outputs).unwrap();
        let letters = folder.join("dead-letters");
        let store = Store::open(Arc::clone(&storage), clock, &metrics, &letters, 1 << 30).unwrap();
        let (stop, stopped) = watch::channel(false);
        let bits = outputs.iter().map(|o| o.name.clone()).zip(bits).collect();
        let work = (Arc::new(store), journal.clone());
        let desk = Desk::new(folder, (&storage, &metrics), work, bits, &positions, stopped);
        Bench { disk, desk, journal, stop }
    }

    /// The same after the machine crashed.
    fn crash(self, seed: u64) -> Bench {
        let left = self.disk.crash(seed);
        drop(self);
        Bench::on(left)
    }

    fn refuse(&self, numbers: std::ops::Range<u64>) {
        let letters: Vec<DeadLetter> = numbers.map(letter).collect();
        self.desk.store.put(&letters).unwrap();
    }

    fn ask(&self, action: Action, upto: u64) {
        let selection = Selection { upto, ..Selection::default() };
        self.desk.requests.ask("one", &Request { action, selection }).unwrap();
    }

    /// Id, body and address of every document for an output in the journal.
    fn journaled(&self, output: &str) -> Vec<(String, String, String)> {
        let bit = self.desk.outputs[output];
        let mut feed = self.journal.feed(bit).unwrap();
        let mut all = Vec::new();
        while let Some(frame) = feed.next_now() {
            for document in frame.documents() {
                let Some(address) = document.address(bit) else { continue };
                let mut id = Vec::new();
                document.write_id(&mut id);
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                all.push((text(&id), text(document.body), text(address)));
            }
        }
        all
    }

    fn left(&self) -> Vec<DeadLetter> {
        let letters = read_all(&self.desk.storage, &self.desk.letters).unwrap();
        letters.map(|stored| stored.letter).collect()
    }
}

fn letter(n: u64) -> DeadLetter {
    DeadLetter {
        output: "logs".into(),
        address: format!("index-{}", n % 3),
        // As of a file, of a connection, and of one of several events of a line.
        id: match n % 3 {
            0 => format!("00ff00ff00ff00ff-{n:010x}"),
            1 => format!("00ff00ff00ff00ff-{n:010x}-000007"),
            _ => format!("00ff00ff00ff00ff-{n:010x}-0001"),
        },
        reason: "refused".into(),
        refused_ns: n as i64,
        document: format!("{{\"n\":{n}}}").into_bytes(),
    }
}

fn expected(numbers: std::ops::Range<u64>) -> Vec<(String, String, String)> {
    let one = |l: DeadLetter| (l.id, String::from_utf8(l.document).unwrap(), l.address);
    numbers.map(letter).map(one).collect()
}

#[test]
fn letters_go_back_to_their_output_alone_with_their_ids_and_leave_the_store() {
    let bench = Bench::on(SimulatedStorage::default());
    bench.refuse(0..3000);
    bench.ask(Action::Replay, u64::MAX);
    bench.desk.work();
    assert_eq!(bench.journaled("logs"), expected(0..3000));
    assert_eq!(bench.journaled("other"), []);
    assert_eq!(bench.left(), []);
    assert_eq!(bench.desk.store.count(), 0);
    let answer = bench.desk.requests.take_answer("one").unwrap();
    assert_eq!(answer, Answer { done: 3000, ..Answer::default() });
    bench.refuse(7..8);
    assert_eq!(bench.left(), [letter(7)], "the store goes on");
}

#[test]
fn a_letter_that_came_after_the_request_is_not_in_it() {
    let bench = Bench::on(SimulatedStorage::default());
    bench.refuse(0..5);
    let upto = read_all(&bench.desk.storage, &bench.desk.letters).unwrap().last().unwrap().key.0;
    bench.ask(Action::Replay, upto);
    bench.refuse(5..6);
    bench.desk.work();
    assert_eq!(bench.journaled("logs"), expected(0..5));
    assert_eq!(bench.left(), [letter(5)]);
    bench.ask(Action::Drop, u64::MAX);
    bench.desk.work();
    assert_eq!(bench.left(), []);
}

#[test]
fn whatever_was_done_before_a_crash_each_letter_is_journaled_once() {
    for seed in 0..12 {
        let bench = Bench::on(SimulatedStorage::default());
        bench.refuse(0..3000);
        bench.ask(Action::Replay, u64::MAX);
        // A part of them is in the journal.
        let mut answer = Answer::default();
        let part = Selection { upto: (1 << 24) + 1700, ..Selection::default() };
        assert!(bench.desk.replay("one", &part, &mut answer).is_ok());
        assert_eq!(answer.done, 1701);
        let bench = bench.crash(seed);
        // All of them, but they are in the store still.
        let all = Selection { upto: u64::MAX, ..Selection::default() };
        assert!(bench.desk.replay("one", &all, &mut Answer::default()).is_ok());
        assert_eq!(bench.left().len(), 3000);
        let bench = bench.crash(seed + 100);
        bench.desk.work();
        let bench = bench.crash(seed + 200);
        bench.desk.work();
        assert_eq!(bench.left(), [], "seed {seed}");
        assert_eq!(bench.journaled("logs"), expected(0..3000), "seed {seed}");
        assert!(bench.desk.begun().is_none() || bench.desk.requests.names().is_empty());
    }
}

#[test]
fn a_crash_while_letters_are_removed_costs_none_that_stays() {
    for seed in 0..30 {
        let bench = Bench::on(SimulatedStorage::default());
        bench.refuse(0..4);
        bench.refuse(4..9);
        // Full after so many more bytes: the new segment is written in part.
        bench.disk.set_space(Some(seed * 40));
        let odd = |s: &StoredLetter| s.letter.refused_ns % 2 == 1;
        let removed = bench.desk.store.remove(&odd);
        bench.disk.set_space(None);
        let bench = bench.crash(seed);
        let left: Vec<i64> = bench.left().iter().map(|l| l.refused_ns).collect();
        if removed.is_ok() {
            assert_eq!(left, [0, 2, 4, 6, 8], "seed {seed}");
        } else {
            assert_eq!(left, [0, 1, 2, 3, 4, 5, 6, 7, 8], "seed {seed}");
        }
        bench.desk.store.remove(&odd).unwrap();
        bench.refuse(11..12);
        let left: Vec<i64> = bench.left().iter().map(|l| l.refused_ns).collect();
        assert_eq!(left, [0, 2, 4, 6, 8, 11]);
        let keys: Vec<u64> =
            read_all(&bench.desk.storage, &bench.desk.letters).unwrap().map(|s| s.key.0).collect();
        assert!(keys.is_sorted() && bench.desk.store.count() == 6, "{keys:?}");
    }
}

#[test]
fn what_is_no_request_is_answered_and_does_not_stop_the_others() {
    let bench = Bench::on(SimulatedStorage::default());
    bench.refuse(0..1);
    let path = Path::new(FOLDER).join("requests/0.json");
    bench.ask(Action::Replay, u64::MAX);
    bench.disk.put(&path, b"{\"action\":\"burn\"}");
    bench.desk.work();
    let failed = bench.desk.requests.take_answer("0").unwrap().failed.unwrap();
    assert!(failed.contains("burn"), "{failed}");
    assert_eq!(bench.journaled("logs"), expected(0..1));
    assert_eq!(bench.desk.requests.names(), [""; 0]);
}

#[test]
fn letters_that_cannot_be_read_for_a_moment_are_not_removed() {
    for failing in 1..30 {
        let bench = Bench::on(SimulatedStorage::default());
        for n in 0..9 {
            bench.refuse(n..n + 1);
        }
        bench.ask(Action::Replay, u64::MAX);
        let folder = Path::new(FOLDER).join("dead-letters");
        bench.disk.fail_reads_of(&[folder], EIO, Some(failing));
        bench.desk.work();
        bench.disk.fail_reads(None);
        assert_eq!((bench.left().len(), bench.desk.requests.names().len()), (9, 1));
        bench.desk.work();
        assert_eq!(bench.journaled("logs"), expected(0..9), "{failing} reads fail");
        assert_eq!(bench.left(), []);
    }
}

#[test]
fn a_stop_ends_a_replay_that_waits_for_the_journal() {
    for mode in [Mode::Disk, Mode::Memory] {
        let settings = Settings { mode, ..Settings::default() };
        let bench = Arc::new(Bench::with(SimulatedStorage::default(), settings));
        bench.refuse(0..1);
        bench.ask(Action::Replay, u64::MAX);
        if mode == Mode::Disk {
            bench.disk.fail_syncs(Some(EIO));
        }
        let before = bench.journal.stats().written;
        let other = Arc::clone(&bench);
        let work = std::thread::spawn(move || other.desk.work());
        let until = |what: &str, holds: &dyn Fn() -> bool| {
            let start = std::time::Instant::now();
            while !holds() {
                assert!(
                    start.elapsed() < Duration::from_secs(20),
                    "{mode:?}: still waiting: {what}"
                );
                std::thread::sleep(Duration::from_millis(5));
            }
        };
        until("for the letter's frame", &|| bench.journal.stats().written > before);
        // What `Pipeline::stop` does before it waits for the desk.
        bench.stop.send(true).unwrap();
        bench.journal.close();
        until("for the end of the replay", &|| work.is_finished());
        assert_eq!((bench.left().len(), bench.desk.requests.names().len()), (1, 1));
    }
}

#[test]
fn a_request_that_was_begun_is_ended_before_one_that_was_asked_for_by_an_earlier_clock() {
    let bench = Bench::on(SimulatedStorage::default());
    bench.refuse(0..5);
    let selection = Selection { upto: u64::MAX, ..Selection::default() };
    let request = Request { action: Action::Replay, selection: selection.clone() };
    bench.desk.requests.ask("2", &request).unwrap();
    // Its letters are in the journal when the agent ends; the clock is set back, and somebody asks again.
    assert!(bench.desk.replay("2", &selection, &mut Answer::default()).is_ok());
    bench.desk.requests.ask("1", &request).unwrap();
    let bench = bench.crash(1);
    // Nor is it taken for none when it cannot be read for a moment.
    let path = Path::new(FOLDER).join("requests/2.json");
    bench.disk.fail_reads_of(&[path], EIO, None);
    bench.desk.work();
    assert_eq!(bench.desk.requests.names(), ["1", "2"]);
    bench.disk.fail_reads(None);
    bench.desk.work();
    assert_eq!(bench.desk.requests.names(), [""; 0]);
    assert_eq!(bench.journaled("logs"), expected(0..5));
    assert_eq!(bench.left(), []);
}

#[test]
fn letters_that_a_begun_request_passed_over_stay_though_their_output_comes_before_it_goes_on() {
    let bench = Bench::of(SimulatedStorage::default(), Settings::default(), &["logs"]);
    let of = |output: &str, n: u64| DeadLetter { output: output.into(), ..letter(n) };
    let letters: Vec<_> = (0..10).map(|n| of(["logs", "new"][n as usize % 2], n)).collect();
    bench.desk.store.put(&letters).unwrap();
    let all = Selection { upto: u64::MAX, ..Selection::default() };
    bench.ask(Action::Replay, u64::MAX);
    assert!(bench.desk.replay("one", &all, &mut Answer::default()).is_ok());
    let left = bench.disk.crash(1);
    drop(bench);
    let again = Bench::of(left, Settings::default(), &["logs", "new"]);
    again.desk.work();
    let new: Vec<DeadLetter> = letters.into_iter().filter(|l| l.output == "new").collect();
    assert_eq!(again.left(), new, "the request was begun without their output");
    assert_eq!(again.journaled("logs").len(), 5);
    again.ask(Action::Replay, u64::MAX);
    again.desk.work();
    assert_eq!((again.journaled("new").len(), again.left().len()), (5, 0));
}

#[test]
fn letters_leave_only_once_what_an_earlier_life_journaled_of_them_is_durable() {
    let bench = Arc::new(Bench::on(SimulatedStorage::default()));
    bench.refuse(0..5);
    bench.ask(Action::Replay, u64::MAX);
    bench.disk.fail_syncs(Some(EIO));
    let before = bench.journal.stats().written;
    let other = Arc::clone(&bench);
    let replay = std::thread::spawn(move || {
        let all = Selection { upto: u64::MAX, ..Selection::default() };
        other.desk.replay("one", &all, &mut Answer::default()).is_ok()
    });
    while bench.journal.stats().written == before {
        std::thread::sleep(Duration::from_millis(5));
    }
    let left = bench.disk.kill();
    bench.journal.close();
    assert!(!replay.join().unwrap(), "it was not told that they are safe");
    // The next life finds them, cannot sync them for a while, and then can.
    left.fail_syncs(Some(EIO));
    let bench = Bench::on(left);
    std::thread::sleep(Duration::from_millis(1500));
    bench.disk.fail_syncs(None);
    bench.desk.work();
    for seed in 0..20 {
        let after = Bench::on(bench.disk.crash(seed));
        assert_eq!((after.journaled("logs").len(), after.left().len()), (5, 0), "seed {seed}");
    }
}
