//! Log files into a report, by all cores.
//!
//! In: paths; `-` is standard input, and what begins as gzip does is unpacked. Out: counts. Promises: a file is cut
//! into blocks at its line ends, and each line is counted once, by the thread whose block it begins in; a line of
//! more than [`LINE_BYTES_MAX`] bytes is counted as unread. On failure: the file that cannot be read.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use flate2::read::MultiGzDecoder;
use memchr::{memchr, memrchr};

use super::super::FAILED;
use super::super::progress::Progress;
use crate::diagnostic::Diagnostic;
use crate::report::Gather;
use crate::storage::{File, SharedStorage};

const BLOCK: u64 = 4 << 20;
const LINE_BYTES_MAX: usize = 16 << 20;
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A piece of work: a block of a file, or a whole one that can only be read from its beginning.
enum Piece {
    Block { file: usize, from: u64 },
    Whole { file: usize },
}

struct Opened {
    path: PathBuf,
    file: Box<dyn File>,
    size: u64,
}

/// A file read from its beginning.
struct Stream<'a> {
    file: &'a dyn File,
    at: u64,
}

/// Counts all lines of all files.
pub(super) fn gather(
    paths: &[PathBuf],
    storage: &SharedStorage,
) -> Result<Gather, (Diagnostic, u8)> {
    let failed = |path: &Path, why: io::Error| {
        let hint = "name log files that you may read, or - for standard input";
        let what = format!("cannot read `{}`", path.display());
        (Diagnostic::error(what).because(why).hint(hint), FAILED)
    };
    let (stdin, paths): (Vec<&PathBuf>, Vec<_>) = paths.iter().partition(|p| p.as_os_str() == "-");
    let mut total = 0;
    for path in &paths {
        let facts = storage.facts(path).map_err(|why| failed(path, why))?;
        total += facts.size;
    }
    let progress = Progress::new("reading", total);
    let counted = progress.count(storage);
    let mut files = Vec::new();
    for path in paths {
        let opened = open(&counted, path).map_err(|why| failed(path, why))?;
        files.push(opened);
    }
    let mut all = read_all(&files).map_err(|(file, why)| failed(&files[file].path, why))?;
    if !stdin.is_empty() {
        read_stream(&mut io::stdin().lock(), &mut all)
            .map_err(|why| failed(Path::new("-"), why))?;
    }
    Ok(all)
}

fn open(storage: &SharedStorage, path: &Path) -> io::Result<Opened> {
    let facts = storage.facts(path)?;
    if !facts.regular {
        return Err(io::Error::other("it is not a file"));
    }
    Ok(Opened { path: path.to_path_buf(), file: storage.open_read(path)?, size: facts.size })
}

fn read_all(files: &[Opened]) -> Result<Gather, (usize, io::Error)> {
    let mut pieces = Vec::new();
    for (file, opened) in files.iter().enumerate() {
        let mut start = [0; 2];
        let read = opened.file.read_at(&mut start, 0).map_err(|why| (file, why))?;
        if read == 2 && start == GZIP {
            pieces.push(Piece::Whole { file });
        } else {
            pieces.extend(
                (0..opened.size).step_by(BLOCK as usize).map(|from| Piece::Block { file, from }),
            );
        }
    }
    let next = AtomicUsize::new(0);
    let work = || {
        let mut gather = Gather::default();
        let mut buffer = Vec::new();
        while let Some(piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (file, result) = match piece {
                Piece::Block { file, from } => {
                    (*file, read_block(&*files[*file].file, *from, &mut buffer, &mut gather))
                }
                Piece::Whole { file } => {
                    let stream = Stream { file: &*files[*file].file, at: 0 };
                    (*file, read_stream(&mut MultiGzDecoder::new(stream), &mut gather))
                }
            };
            result.map_err(|why| (file, why))?;
        }
        Ok(gather)
    };
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get).min(16);
    std::thread::scope(|scope| {
        let started: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut all = work()?;
        for thread in started {
            all.merge(thread.join().expect("a thread that counts does not panic")?);
        }
        Ok(all)
    })
}

/// Counts the lines that begin in a block.
fn read_block(
    file: &dyn File,
    from: u64,
    buffer: &mut Vec<u8>,
    gather: &mut Gather,
) -> io::Result<()> {
    buffer.clear();
    // The byte before tells whether a line begins at the block's first one.
    let start = from.saturating_sub(1);
    let end = from + BLOCK;
    fill(file, buffer, start, (end - start) as usize)?;
    let own = buffer.len();
    let skipped = if from == 0 { Some(0) } else { memchr(b'\n', buffer).map(|at| at + 1) };
    // A block within one long line owns nothing.
    let Some(skipped) = skipped.filter(|at| *at < own) else { return Ok(()) };
    let mut whole = buffer[..own].last() == Some(&b'\n');
    let line = memrchr(b'\n', &buffer[..own]).map_or(skipped, |at| at + 1);
    while !whole {
        let known = buffer.len();
        fill(file, buffer, start + known as u64, 64 << 10)?;
        match memchr(b'\n', &buffer[known..]) {
            Some(at) => {
                buffer.truncate(known + at);
                whole = true;
            }
            None => whole = buffer.len() == known,
        }
        if buffer.len() - line > LINE_BYTES_MAX {
            gather.add_unread((own - line) as u64);
            buffer.truncate(line);
            break;
        }
    }
    gather.add_lines(&buffer[skipped.min(buffer.len())..]);
    Ok(())
}

/// Appends up to so many bytes.
fn fill(file: &dyn File, buffer: &mut Vec<u8>, from: u64, count: usize) -> io::Result<()> {
    let first = buffer.len();
    while buffer.len() - first < count {
        let known = buffer.len() - first;
        if file.append_at(buffer, count - known, from + known as u64)? == 0 {
            break;
        }
    }
    Ok(())
}

/// Counts all lines of a stream.
fn read_stream(stream: &mut dyn Read, gather: &mut Gather) -> io::Result<()> {
    let mut buffer = vec![0; BLOCK as usize];
    let mut known = 0;
    loop {
        if known == buffer.len() {
            if known >= LINE_BYTES_MAX {
                gather.add_unread(known as u64);
                known = skip_line(stream, &mut buffer)?;
                continue;
            }
            buffer.resize(known * 2, 0);
        }
        let read = match stream.read(&mut buffer[known..]) {
            Err(why) if why.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        known += read;
        if read == 0 {
            gather.add_lines(&buffer[..known]);
            return Ok(());
        }
        if let Some(end) =
            memrchr(b'\n', &buffer[known - read..known]).map(|at| known - read + at + 1)
        {
            gather.add_lines(&buffer[..end]);
            buffer.copy_within(end..known, 0);
            known -= end;
        }
    }
}

/// Passes over the rest of a line; how much of the next ones is in the buffer then.
fn skip_line(stream: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        let read = stream.read(buffer)?;
        if read == 0 {
            return Ok(0);
        }
        if let Some(at) = memchr(b'\n', &buffer[..read]) {
            buffer.copy_within(at + 1..read, 0);
            return Ok(read - at - 1);
        }
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::simulated::SimulatedStorage;
    use std::io::Write as _;
    use std::sync::Arc;

    fn lines(count: usize) -> Vec<u8> {
        (0..count)
            .flat_map(|n| format!("{{\"message\":\"{}\"}}\n", "x".repeat(n % 97)).into_bytes())
            .collect()
    }

    fn count(files: &[(&str, &[u8])]) -> (u64, u64, u64) {
        let simulated = SimulatedStorage::default();
        for (path, bytes) in files {
            simulated.put(Path::new(path), bytes);
        }
        let storage: SharedStorage = Arc::new(simulated);
        let paths: Vec<PathBuf> = files.iter().map(|(path, _)| PathBuf::from(path)).collect();
        let report = gather(&paths, &storage).ok().unwrap().finish();
        (report.lines, report.unread, report.bytes)
    }

    #[test]
    fn each_line_of_each_block_is_counted_once() {
        let text = lines(200_000);
        assert!(text.len() as u64 > 2 * BLOCK);
        let (counted, unread, _) = count(&[("/a", &text), ("/b", b"{}\n{}"), ("/c", b"")]);
        assert_eq!((counted, unread), (200_002, 0));
        // A line that ends exactly where a block does, and one that is longer than a block.
        let mut even = vec![b' '; BLOCK as usize - 1];
        even[..2].copy_from_slice(b"{}");
        even.extend_from_slice(b"\n{}\n");
        assert_eq!(count(&[("/a", &even)]).0, 2);
        let mut long = vec![b' '; 2 * BLOCK as usize + 5];
        long[..2].copy_from_slice(b"{}");
        long.extend_from_slice(b"\n{}\n");
        let (counted, unread, _) = count(&[("/a", &long)]);
        assert_eq!((counted, unread), (2, 0));
    }

    #[test]
    fn a_line_without_an_end_is_unread_and_the_next_ones_are_not() {
        let mut text = vec![b'x'; LINE_BYTES_MAX + 2 * BLOCK as usize];
        text.extend_from_slice(b"\n{}\n{}");
        assert_eq!(count(&[("/a", &text)]).0, 3);
        let mut gather = Gather::default();
        read_stream(&mut &text[..], &mut gather).unwrap();
        let report = gather.finish();
        assert_eq!((report.lines, report.unread), (3, 1));
    }

    #[test]
    fn gzip_is_unpacked() {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&lines(1000)).unwrap();
        let packed = packed.finish().unwrap();
        assert_eq!(count(&[("/a.gz", &packed), ("/b.gz", &packed)]).0, 2000);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let storage: SharedStorage = Arc::new(SimulatedStorage::default());
        let (problem, code) = gather(&["/gone".into()], &storage).err().unwrap();
        assert!(problem.to_string().contains("cannot read `/gone`"), "{problem}");
        assert_eq!(code, FAILED);
    }
}
