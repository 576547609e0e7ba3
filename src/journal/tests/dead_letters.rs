//! The dead-letter store.

use std::path::Path;
use std::sync::Arc;

use crate::clock::ManualClock;
use crate::delivery::{DeadLetter, DeadLetters};
use crate::journal::dead_letter::{Store, count, read_all, read_every};
use crate::metrics::Metrics;
use crate::storage::SharedStorage;
use crate::storage::simulated::{EIO, ENOSPC, SimulatedStorage};

const DIRECTORY: &str = "/data/dead-letters";

fn letter(n: u64) -> DeadLetter {
    DeadLetter {
        output: "logs".into(),
        address: format!("index-{n}"),
        id: format!("id-{n}"),
        reason: "mapper_parsing_exception: failed to parse field [x]".into(),
        refused_ns: n as i64,
        document: format!("{{\"n\":{n}}}").into_bytes(),
    }
}

fn open(storage: &SimulatedStorage, max_bytes: u64) -> Store {
    let shared: SharedStorage = Arc::new(storage.clone());
    let clock = Arc::new(ManualClock::at(1));
    Store::open(shared, clock, &Metrics::default(), Path::new(DIRECTORY), max_bytes).unwrap()
}

fn all(storage: &SimulatedStorage) -> Vec<DeadLetter> {
    let shared: SharedStorage = Arc::new(storage.clone());
    read_all(&shared, Path::new(DIRECTORY)).unwrap().map(|stored| stored.letter).collect()
}

#[test]
fn letters_come_back_as_they_were_after_any_crash() {
    let storage = SimulatedStorage::default();
    let store = open(&storage, 1 << 20);
    store.put(&[letter(1), letter(2)]).unwrap();
    store.put(&[letter(3)]).unwrap();
    assert_eq!(store.count(), 3);
    for seed in 0..20 {
        let left = storage.crash(seed);
        assert_eq!(all(&left), [letter(1), letter(2), letter(3)], "seed {seed}");
        let store = open(&left, 1 << 20);
        assert_eq!(store.count(), 3);
        store.put(&[letter(4)]).unwrap();
        assert_eq!(all(&left).len(), 4);
        let shared: SharedStorage = Arc::new(left);
        assert_eq!(count(&shared, Path::new(DIRECTORY)).unwrap(), 4);
    }
}

#[test]
fn letters_that_cannot_be_read_now_are_neither_removed_nor_lost() {
    let storage = SimulatedStorage::default();
    let store = open(&storage, 1 << 14);
    for n in 1..=9 {
        let document = vec![b' '; 1000];
        store.put(&[DeadLetter { document, ..letter(n) }]).unwrap();
    }
    let segments: Vec<_> = storage.names();
    let segments = segments.iter().filter(|p| p.extension().is_some_and(|e| e == "segment"));
    let segments: Vec<_> = segments.cloned().collect();
    assert!(segments.len() > 2);
    for unread in &segments {
        storage.fail_reads_of(std::slice::from_ref(unread), EIO, None);
        let refused = store.remove(&|stored| stored.letter.id == "id-5").unwrap_err().to_string();
        assert!(refused.contains(&format!("cannot read `{}`", unread.display())), "{refused}");
        storage.fail_reads(None);
        assert_eq!(all(&storage).len(), 9, "{}", unread.display());
    }
    drop(store);
    storage.fail_reads_of(&segments, EIO, None);
    let shared: SharedStorage = Arc::new(storage.clone());
    let clock = Arc::new(ManualClock::at(1));
    let path = Path::new(DIRECTORY);
    let said = Store::open(shared, clock, &Metrics::default(), path, 1 << 20).err().unwrap();
    assert!(said.to_string().contains("cannot read the dead letters in `/data/dead-letters`"));
    storage.fail_reads(None);
    let store = open(&storage, 1 << 20);
    assert_eq!(store.count(), 9);
    assert_eq!(store.remove(&|stored| stored.letter.id == "id-5").unwrap(), 1);
    assert_eq!(all(&storage).len(), 8);
}

#[test]
fn a_full_store_refuses_and_says_what_to_do() {
    let storage = SimulatedStorage::default();
    let store = open(&storage, 4000);
    let mut stored = 0;
    let refused = loop {
        match store.put(&[letter(stored)]) {
            Ok(()) => stored += 1,
            Err(why) => break why.to_string(),
        }
    };
    assert!(stored > 3);
    assert!(refused.contains("4000 bytes") && refused.contains("logweir dlq"), "{refused}");
    assert_eq!(all(&storage).len() as u64, stored);
}

#[test]
fn a_letter_that_could_not_be_written_or_synced_is_an_error_and_the_next_one_works() {
    let storage = SimulatedStorage::default();
    let store = open(&storage, 1 << 20);
    store.put(&[letter(1)]).unwrap();
    storage.fail_writes(Some(ENOSPC));
    assert!(store.put(&[letter(2)]).unwrap_err().to_string().contains("free space"));
    storage.fail_writes(None);
    storage.fail_syncs(Some(EIO));
    assert!(store.put(&[letter(2)]).is_err());
    // Whoever comes first when it works again.
    storage.fail_syncs(None);
    store.put(&[letter(3)]).unwrap();
    store.put(&[letter(2)]).unwrap();
    assert_eq!(store.count(), 3);
    for seed in 0..20 {
        let left = all(&storage.crash(seed));
        assert_eq!(left, [letter(1), letter(3), letter(2)], "each once, seed {seed}");
    }
}

#[test]
fn a_disk_that_fills_at_any_byte_costs_no_letter_and_doubles_none() {
    for room in (0..1200).step_by(37) {
        let storage = SimulatedStorage::default();
        let store = open(&storage, 1 << 20);
        store.put(&[letter(0)]).unwrap();
        storage.leave_space(room);
        let mut stored = vec![letter(0)];
        let mut refused = 0;
        for n in 1..12 {
            // Offered again and again, as outputs do, until there is room.
            while store.put(&[letter(n)]).is_err() {
                refused += 1;
                assert!(refused < 10, "with {room} bytes");
                if refused == 3 {
                    // Killed with a full disk, and started again with it.
                    let after = storage.kill();
                    after.leave_space(0);
                    assert_eq!(all(&after), stored, "with {room} bytes");
                    assert_eq!(open(&after, 1 << 20).count(), n);
                    storage.set_space(None);
                }
            }
            stored.push(letter(n));
        }
        assert!(refused > 0 || room > 1000, "with {room} bytes it was full once");
        assert_eq!(all(&storage), stored, "with {room} bytes");
        drop(store);
        assert_eq!(open(&storage, 1 << 20).count(), 12);
    }
}

#[test]
fn a_disk_that_fills_between_the_frames_of_one_call_doubles_no_letter() {
    let large = |n: u64| DeadLetter { document: vec![b'x'; 7 << 20], ..letter(n) };
    // Two of a kind are two letters.
    let letters = [1, 2, 3, 4, 4, 5].map(large);
    for room in [1 << 20, 16 << 20, 30 << 20] {
        let storage = SimulatedStorage::default();
        let store = open(&storage, 1 << 30);
        storage.leave_space(room);
        for _ in 0..3 {
            assert!(store.put(&letters).is_err(), "with {room} bytes");
        }
        storage.set_space(None);
        store.put(&letters).unwrap();
        assert!(all(&storage) == letters, "with {room} bytes");
        assert_eq!(store.count(), 6);
        // And what is offered later, though it looks the same, is stored.
        store.put(&letters[..1]).unwrap();
        assert_eq!(store.count(), 7);
    }
}

#[test]
fn a_damaged_letter_costs_only_itself() {
    let storage = SimulatedStorage::default();
    let store = open(&storage, 1 << 20);
    for n in 1..=3 {
        store.put(&[letter(n)]).unwrap();
    }
    drop(store);
    let path = Path::new(DIRECTORY).join("00000000000000000001.segment");
    let mut bytes = storage.contents(&path).unwrap();
    let at = bytes.windows(4).position(|w| w == b"id-2").unwrap();
    bytes[at] ^= 1;
    storage.put(&path, &bytes);
    assert_eq!(all(&storage), [letter(1), letter(3)]);
    assert_eq!(open(&storage, 1 << 20).count(), 2);
}

#[test]
fn what_cannot_be_opened_or_read_any_more_ends_a_reading_of_every_letter() {
    let disk = SimulatedStorage::default();
    let store = open(&disk, 1 << 20);
    store.put(&[letter(1)]).unwrap();
    let shared: SharedStorage = Arc::new(disk.clone());
    let directory = Path::new(DIRECTORY);
    let mut letters = read_every(&shared, directory).unwrap();
    disk.fail_names_below(directory, Some(EIO));
    let why = letters.next_or_why().unwrap_err().to_string();
    assert!(why.contains("cannot open `/data/"), "{why}");
    disk.fail_names_below(directory, None);
    let mut letters = read_every(&shared, directory).unwrap();
    disk.fail_reads_of(&[directory.to_path_buf()], EIO, None);
    let why = letters.next_or_why().unwrap_err().to_string();
    assert!(why.contains("cannot read `/data/"), "{why}");
    assert!(read_every(&shared, directory).is_err());
    disk.fail_reads(None);
    assert_eq!(read_every(&shared, directory).unwrap().next().unwrap().letter, letter(1));
}
