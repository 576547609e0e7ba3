//! Files that systemd-journal-remote 252 made, in both forms of the format, read as they are and damaged.

use std::io::{self, Read as _};
use std::sync::LazyLock;
use std::sync::atomic::Ordering;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::input::fixture::{self, soon};
use crate::storage::{File, FileFacts, Storage, disk};

const PLAIN: &[u8] = include_bytes!("tests/plain.journal.gz");
const COMPACT: &[u8] = include_bytes!("tests/compact.journal.gz");
const ENTRIES: usize = 41;

fn unpacked(packed: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
    bytes
}

/// All that can be read of these bytes, and how often something could not.
fn lines(bytes: &[u8]) -> (Vec<u8>, usize) {
    lines_with(bytes, render::Names::Ecs)
}

fn lines_with(bytes: &[u8], names: render::Names) -> (Vec<u8>, usize) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.journal");
    std::fs::write(&path, bytes).unwrap();
    let (mut out, mut faults) = (Vec::new(), 0);
    let file = disk().open_read(&path).unwrap();
    let Ok(Some(mut journal)) = JournalFile::open(file) else { return (out, 1) };
    let Ok((entries, _)) = journal.entries() else { return (out, 1) };
    let mut entry = Entry::default();
    for number in 0..entries.min(1_000) {
        match journal.entry(number, &mut entry) {
            Ok(true) => render::write(&entry, names, &mut out),
            Ok(false) => break,
            Err(_) => faults += 1,
        }
    }
    (out, faults)
}

#[test]
fn fields_can_have_the_names_that_journald_gives_them() {
    let first = |strip_underscores, lowercase| {
        let names = render::Names::Journald { strip_underscores, lowercase };
        let (text, faults) = lines_with(&unpacked(PLAIN), names);
        assert_eq!(faults, 0);
        let line = text.split_inclusive(|b| *b == b'\n').nth(1).unwrap();
        serde_json::from_slice::<Value>(line).unwrap()
    };
    let plain = first(false, false);
    assert_eq!(
        (&plain["MESSAGE"], &plain["PRIORITY"], &plain["_SYSTEMD_UNIT"]),
        (&json!("line 1"), &json!("1"), &json!("nginx.service"))
    );
    assert_eq!(plain["@timestamp"], "2025-11-24T16:00:01.000Z");
    assert!(plain.get("message").is_none() && plain.get("journald").is_none(), "{plain}");
    let changed = first(true, true);
    assert_eq!(
        (&changed["message"], &changed["pid"], &changed["systemd_unit"]),
        (&json!("line 1"), &json!("101"), &json!("nginx.service"))
    );
    // Of a name that comes twice, all values are there.
    let names = render::Names::Journald { strip_underscores: false, lowercase: false };
    let (text, _) = lines_with(&unpacked(PLAIN), names);
    assert!(String::from_utf8_lossy(&text).contains("\":[\""));
}

#[test]
fn both_forms_of_a_file_give_the_same_lines() {
    let (plain, faults) = lines(&unpacked(PLAIN));
    assert_eq!((faults, lines(&unpacked(COMPACT))), (0, (plain.clone(), 0)));
    let lines: Vec<&[u8]> = plain.split_inclusive(|b| *b == b'\n').collect();
    assert_eq!(lines.len(), ENTRIES);
    let first: Value = serde_json::from_slice(lines[1]).unwrap();
    let log = json!({ "level": "alert", "syslog": { "severity": { "code": 1 }, "appname": "nginx", "facility": { "code": 3 } } });
    assert_eq!(first["log"], log);
    assert_eq!(first["process"], json!({ "pid": 101, "name": "nginx" }));
    assert_eq!(
        (&first["message"], &first["systemd"]["unit"]),
        (&json!("line 1"), &json!("nginx.service"))
    );
    assert_eq!(first["@timestamp"], "2025-11-24T16:00:01.000Z");
    assert_eq!(first["journald"]["_HOSTNAME"], "node-1");
    assert!(first["journald"].get("MESSAGE").is_none(), "{first}");
    // A text of two lines that is no UTF-8, a name that comes twice, and a field that journald has compressed.
    let last = String::from_utf8_lossy(lines[ENTRIES - 1]).into_owned();
    let last: Value = serde_json::from_str(&last).unwrap();
    assert_eq!(last["message"], "two\nlines \u{fffd}");
    assert_eq!(last["journald"]["TAG"], json!(["one", "two"]));
    assert_eq!(last["journald"]["DUMP"], "compressed ".repeat(500));
}

#[test]
fn lz4_is_unpacked_and_a_size_that_lies_is_refused() {
    assert_eq!(file::unpack_lz4(b"\x05\0\0\0\0\0\0\0\x50hello").unwrap(), b"hello");
    assert!(file::unpack_lz4(b"\xff\xff\xff\xff\xff\0\0\0\x50hello").is_none());
    assert!(file::unpack_lz4(b"short").is_none());
}

#[test]
fn xz_is_unpacked_and_what_is_none_is_refused() {
    let mut writer =
        lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(6)).unwrap();
    io::Write::write_all(&mut writer, b"hello").unwrap();
    assert_eq!(file::unpack_xz(&writer.finish().unwrap()).unwrap(), b"hello");
    assert!(file::unpack_xz(b"\xFD7zXZ\0short").is_none());
}

#[test]
fn what_is_no_file_of_journald_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.journal");
    let open = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        JournalFile::open(disk().open_read(&path).unwrap())
    };
    assert!(open(b"LPKSHHRH").unwrap().is_none(), "not written yet");
    let fault = open(&[b'x'; 300]).err().unwrap().to_string();
    assert!(fault.contains("no file of journald"), "{fault}");
    let mut newer = unpacked(PLAIN)[..300].to_vec();
    newer[13] = 1;
    let fault = open(&newer).err().unwrap().to_string();
    assert!(fault.contains("newer than this program") && fault.contains("0x100"), "{fault}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_is_damaged_reading_ends(
        places in proptest::collection::vec((0_usize..200_000, any::<u8>()), 1..40),
        cut in proptest::option::of(0_usize..200_000),
    ) {
        // What is behind has not been written to.
        static START: LazyLock<Vec<u8>> = LazyLock::new(|| unpacked(PLAIN)[..600_000].to_vec());
        let mut bytes = START[..cut.map_or(START.len(), |cut| cut.max(208))].to_vec();
        for (at, byte) in places {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        let _ = lines(&bytes);
    }
}

fn settings(text: &str) -> Result<Settings, Vec<String>> {
    let (settings, messages) =
        fixture::load(text, Path::new("/"), |section, _| settings::load(section));
    settings.filter(|_| messages.is_empty()).ok_or(messages)
}

fn input(text: &str) -> Journald {
    Journald { settings: settings(text).unwrap(), fields: Vec::new() }
}

/// Reads chunks until so many lines are there.
async fn read(pipeline: &mut fixture::Pipeline, count: usize) -> (Vec<Value>, Vec<Position>) {
    let (mut lines, mut positions) = (Vec::new(), Vec::new());
    while lines.len() < count {
        let chunk = pipeline.chunk().await;
        let text = String::from_utf8_lossy(&chunk.text).into_owned();
        lines.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
        positions.extend(chunk.position);
    }
    (lines, positions)
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_read_once_also_after_a_restart_and_under_another_name() {
    let folder = tempfile::tempdir().unwrap();
    let machine = folder.path().join("cccc");
    std::fs::create_dir(&machine).unwrap();
    std::fs::write(machine.join("system.journal"), unpacked(PLAIN)).unwrap();
    let text = format!("paths = [\"{}\"]", folder.path().display());
    let (context, mut pipeline) = fixture::pipeline(4);
    let run = tokio::spawn(Box::new(input(&text)).run(context));
    let (lines, positions) = read(&mut pipeline, ENTRIES).await;
    assert_eq!(lines.len(), ENTRIES);
    assert!(positions[0].new);
    let last = positions.last().unwrap().clone();
    pipeline.stop.send(true).unwrap();
    soon(run).await.unwrap();

    // The same file under its archived name is known; another one is read.
    std::fs::rename(machine.join("system.journal"), machine.join("system@1.journal")).unwrap();
    std::fs::write(machine.join("system.journal"), unpacked(COMPACT)).unwrap();
    let (mut context, mut pipeline) = fixture::pipeline(4);
    context.positions = vec![last.clone()];
    let run = tokio::spawn(Box::new(input(&text)).run(context));
    let (lines, positions) = read(&mut pipeline, ENTRIES).await;
    assert_eq!(lines.len(), ENTRIES);
    assert!(positions.iter().all(|position| position.key != last.key));
    pipeline.stop.send(true).unwrap();
    soon(run).await.unwrap();

    // A batch that was journaled in part: the lines that are there already do not come again.
    let (mut context, mut pipeline) = fixture::pipeline(4);
    std::fs::remove_file(machine.join("system.journal")).unwrap();
    let (all, _) = self::lines(&unpacked(PLAIN));
    let first_ten = all.split_inclusive(|b| *b == b'\n').take(10).map(<[u8]>::len).sum::<usize>();
    context.positions = vec![Position { offset: first_ten as u64, ..last.clone() }];
    let run = tokio::spawn(Box::new(input(&text)).run(context));
    let chunk = pipeline.chunk().await;
    assert_eq!((chunk.offset, &chunk.text[..]), (first_ten as u64, &all[first_ten..]));
    assert_eq!(chunk.position.unwrap(), Position { new: false, ..last });
    pipeline.stop.send(true).unwrap();
    soon(run).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn units_levels_and_the_boot_choose() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.journal"), unpacked(COMPACT)).unwrap();
    let mut told = Vec::new();
    for (text, count) in [
        ("units = [\"nginx\"]", 21),
        ("units = \"nginx.service\"\npriority = \"err\"", 10),
        ("priority = \"emerg\"", 5),
        ("since = \"boot\"", 21),
        ("since = \"1h\"", 0),
        ("since = \"now\"", 0),
    ] {
        let text = format!("paths = \"{}\"\n{text}", folder.path().display());
        let (context, mut pipeline) = fixture::pipeline(4);
        let run = tokio::spawn(Box::new(input(&text)).run(context));
        let (lines, positions) = if count > 0 {
            read(&mut pipeline, count).await
        } else {
            (Vec::new(), vec![pipeline.chunk().await.position.unwrap()])
        };
        assert_eq!(lines.len(), count, "{text}");
        told.push(positions);
        pipeline.stop.send(true).unwrap();
        soon(run).await.unwrap();
    }
    // What was passed over at the first start is not read at the second one, either.
    let text = format!("paths = \"{}\"", folder.path().display());
    let (mut context, pipeline) = fixture::pipeline(4);
    context.positions = told.pop().unwrap();
    let mut reading = Reading::new(input(&text), context);
    tokio::task::spawn_blocking(move || reading.look().unwrap()).await.unwrap();
    assert!(pipeline.chunks.is_empty());
}

#[test]
fn mistakes_in_settings_are_said() {
    let said = settings("since = \"yesterday\"").err().unwrap().join("\n");
    assert!(said.contains("`since` is \"yesterday\"") && said.contains("\"24h\""), "{said}");
    let said = settings("priority = \"warn\"").err().unwrap().join("\n");
    assert!(said.contains("warning"), "{said}");
    assert_eq!(settings("").unwrap().paths.len(), 2);
}

/// The disk, whose folders cannot be listed now and then.
#[derive(Default)]
struct Unlisted(std::sync::atomic::AtomicBool);

impl Storage for Unlisted {
    fn open_read(&self, path: &Path) -> io::Result<Box<dyn File>> {
        disk().open_read(path)
    }
    fn open_write(&self, path: &Path) -> io::Result<Box<dyn File>> {
        disk().open_write(path)
    }
    fn facts(&self, path: &Path) -> io::Result<FileFacts> {
        disk().facts(path)
    }
    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        if self.0.load(Ordering::Relaxed) {
            // Too many open files.
            return Err(io::Error::from_raw_os_error(24));
        }
        disk().list(directory)
    }
    fn create_directory(&self, directory: &Path) -> io::Result<()> {
        disk().create_directory(directory)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        disk().rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        disk().remove(path)
    }
    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        disk().sync_directory(directory)
    }
    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        disk().free_bytes(path)
    }
}

#[test]
fn a_file_that_a_listing_misses_is_not_read_again_and_one_that_is_removed_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("system.journal"), unpacked(PLAIN)).unwrap();
    let text = format!("paths = \"{}\"", folder.path().display());
    let (mut context, mut pipeline) = fixture::pipeline(64);
    let storage = Arc::new(Unlisted::default());
    let clock = Arc::new(crate::clock::ManualClock::at(1_800_000_000_000_000_000));
    context.storage = storage.clone();
    context.clock = clock.clone();
    let mut reading = Reading::new(input(&text), context);
    let mut look = |unlisted| {
        storage.0.store(unlisted, Ordering::Relaxed);
        reading.look().unwrap();
        clock.advance_ns(10_000_000_000);
        let (mut lines, mut gone) = (0, 0);
        while let Ok(chunk) = pipeline.chunks.try_recv() {
            lines += chunk.text.iter().filter(|b| **b == b'\n').count();
            gone += usize::from(chunk.last);
        }
        (lines, gone)
    };
    assert_eq!(look(false), (ENTRIES, 0));
    assert_eq!([look(true), look(false), look(false)], [(0, 0); 3]);
    std::fs::remove_file(folder.path().join("system.journal")).unwrap();
    assert_eq!(look(false), (0, 1));
}
