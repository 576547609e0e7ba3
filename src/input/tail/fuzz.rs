//! Lines and compressed files of the tail under the fuzzer.
//!
//! In: any bytes. Promises: no byte of a file is lost or read twice, however it is cut; a damaged compressed file gives
//! a beginning of what was compressed, then an error or the end. On failure: a panic.

use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::compressed::Archive;
use super::lines::{Cut, cut, hole};
use crate::storage::Storage;
use crate::storage::simulated::SimulatedStorage;

/// Decompressed bytes that are looked at: a bomb is cut off here.
const INFLATED_BYTES_MAX: u64 = 1024 * 1024;

/// Bytes to whole lines and pieces.
pub(crate) fn tail_lines(data: &[u8]) {
    let [max, step, text @ ..] = data else { return };
    let max = usize::from(*max % 32) + 1;
    assert!(hole(text) <= text.len(), "a hole is larger than the block");
    let (mut from, mut inside, mut end) = (0, false, 0);
    loop {
        end = (end + usize::from(*step).max(1)).min(text.len());
        while from < end {
            let block = &text[from..end];
            let length = match cut(block, max, inside) {
                Cut::Lines(length) => {
                    assert!(!inside, "whole lines begin within a line");
                    let lines = block[..length].split_inclusive(|b| *b == b'\n');
                    assert!(lines.clone().all(|l| l.len() <= max + 1 && l.ends_with(b"\n")));
                    length
                }
                Cut::Piece { length, ends } => {
                    assert!((1..=max + 1).contains(&length), "a piece of {length} bytes");
                    let feed = block[..length].iter().position(|b| *b == b'\n');
                    assert_eq!(feed, ends.then_some(length - 1), "a piece and its line feed");
                    inside = !ends;
                    length
                }
                Cut::More => break,
            };
            from += length;
        }
        if end == text.len() {
            break;
        }
    }
    let rest = &text[from..];
    assert!(rest.len() <= max && !rest.contains(&b'\n'), "{} bytes are kept back", rest.len());
}

/// A compressed file as it is, or a good one that is cut and changed.
pub(crate) fn gzip(data: &[u8]) {
    let [mode, at, rest @ ..] = data else { return };
    if mode & 1 == 0 {
        let first = read(rest, 1 + u64::from(*at));
        assert_eq!(read(rest, 4096), first, "it depends on the size of the reads");
        return;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let whole = encoder.write_all(rest).and_then(|()| encoder.finish()).unwrap_or_default();
    assert_eq!(read(&whole, 512), (rest.to_vec(), true), "a whole file");
    let cut = usize::from(*at) * whole.len() / 256;
    let (text, ended) = read(&whole[..cut], 100);
    assert!(rest.starts_with(&text), "a file that is cut gives other bytes");
    assert!(!ended || text.is_empty(), "the cut is not noticed");
}

/// The decompressed bytes, and whether the file ended well.
fn read(file: &[u8], step: u64) -> (Vec<u8>, bool) {
    let storage = SimulatedStorage::default();
    let path = Path::new("/logs/a.gz");
    storage.put(path, file);
    let Ok(file) = storage.open_read(path) else { return (Vec::new(), false) };
    let mut archive = Archive::new(file);
    let (mut text, mut buffer) = (Vec::new(), vec![0; step as usize]);
    while (text.len() as u64) < INFLATED_BYTES_MAX {
        match archive.read_at(&mut buffer, text.len() as u64) {
            Ok(0) => return (text, true),
            Ok(read) => text.extend_from_slice(&buffer[..read]),
            Err(_) => return (text, false),
        }
    }
    text.truncate(INFLATED_BYTES_MAX as usize);
    (text, false)
}
