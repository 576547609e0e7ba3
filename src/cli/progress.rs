//! A bar for long reads.
//!
//! Is: a storage that counts what is read through it. In: how many bytes there are to read. Out: a line on standard
//! error. Promises: only on a terminal, at most ten times a second, and gone at the end; standard output is left
//! alone. On failure: no bar.

use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::{self, SharedClock};
use crate::storage::{File, FileFacts, SharedStorage, Storage};

const PERIOD_NS: u64 = 100_000_000;
/// Nothing is shown before this.
const PATIENCE_NS: u64 = 500_000_000;
const WIDTH: usize = 30;

/// A bar; it is wiped away when dropped.
pub(super) struct Progress {
    label: String,
    total: u64,
    done: AtomicU64,
    next_ns: AtomicU64,
    clock: SharedClock,
    /// Where the bar is drawn; `None`: nowhere.
    screen: Option<Mutex<Box<dyn Write + Send>>>,
}

/// Reads through this move the bar.
struct CountedStorage {
    storage: SharedStorage,
    progress: Arc<Progress>,
}

struct CountedFile {
    file: Box<dyn File>,
    progress: Arc<Progress>,
}

impl Progress {
    /// A bar for `total` steps or bytes.
    pub(super) fn new(label: &str, total: u64) -> Arc<Progress> {
        Progress::when(io::stderr().is_terminal(), label, total)
    }

    /// A bar beside lines that are printed meanwhile: not where both would be on one screen.
    pub(super) fn beside_output(label: &str, total: u64) -> Arc<Progress> {
        Progress::when(io::stderr().is_terminal() && !io::stdout().is_terminal(), label, total)
    }

    fn when(shown: bool, label: &str, total: u64) -> Arc<Progress> {
        let screen: Option<Box<dyn Write + Send>> =
            if shown { Some(Box::new(io::stderr())) } else { None };
        Progress::on(screen, clock::system(), label, total)
    }

    fn on(
        screen: Option<Box<dyn Write + Send>>,
        clock: SharedClock,
        label: &str,
        total: u64,
    ) -> Arc<Progress> {
        Arc::new(Progress {
            label: label.to_string(),
            total: total.max(1),
            done: AtomicU64::new(0),
            next_ns: AtomicU64::new(PATIENCE_NS),
            clock,
            screen: screen.map(Mutex::new),
        })
    }

    /// So much more is done.
    pub(super) fn add(&self, more: u64) {
        let done = self.done.fetch_add(more, Ordering::Relaxed) + more;
        let now = self.clock.elapsed_ns();
        if self.screen.is_none() || now < self.next_ns.load(Ordering::Relaxed) {
            return;
        }
        self.next_ns.store(now + PERIOD_NS, Ordering::Relaxed);
        let share = (done.min(self.total) as f64) / (self.total as f64);
        let filled = (share * WIDTH as f64) as usize;
        let (full, empty) = ("█".repeat(filled), "░".repeat(WIDTH - filled));
        let percent = (share * 100.0) as u64;
        self.draw(&format!("\r{} {full}{empty} {percent:3} %\x1b[K", self.label));
    }

    fn draw(&self, text: &str) {
        if let Some(screen) = &self.screen {
            let mut screen = screen.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = screen.write_all(text.as_bytes()).and_then(|()| screen.flush());
        }
    }

    /// The same files, counted.
    pub(super) fn count(self: &Arc<Self>, storage: &SharedStorage) -> SharedStorage {
        let (storage, progress) = (Arc::clone(storage), Arc::clone(self));
        Arc::new(CountedStorage { storage, progress })
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.draw("\r\x1b[K");
    }
}

impl File for CountedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.file.read_at(buffer, offset)?;
        self.progress.add(read as u64);
        Ok(read)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn facts(&self) -> io::Result<FileFacts> {
        self.file.facts()
    }
}

impl Storage for CountedStorage {
    fn open_read(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let (file, progress) = (self.storage.open_read(path)?, Arc::clone(&self.progress));
        Ok(Box::new(CountedFile { file, progress }))
    }

    fn open_write(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.storage.open_write(path)
    }

    fn facts(&self, path: &Path) -> io::Result<FileFacts> {
        self.storage.facts(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        self.storage.list(directory)
    }

    fn create_directory(&self, directory: &Path) -> io::Result<()> {
        self.storage.create_directory(directory)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.storage.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.storage.remove(path)
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        self.storage.sync_directory(directory)
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        self.storage.free_bytes(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::storage::simulated::SimulatedStorage;

    /// What a terminal was sent.
    #[derive(Clone, Default)]
    struct Screen(Arc<Mutex<Vec<u8>>>);

    impl Screen {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn bar(total: u64) -> (Arc<Progress>, Screen, Arc<ManualClock>) {
        let (screen, clock) = (Screen::default(), Arc::new(ManualClock::at(0)));
        let shown: Box<dyn Write + Send> = Box::new(screen.clone());
        (Progress::on(Some(shown), clock.clone(), "reading", total), screen, clock)
    }

    #[test]
    fn a_bar_comes_late_moves_ten_times_a_second_and_is_wiped_away() {
        let (progress, screen, clock) = bar(200);
        progress.add(50);
        assert_eq!(screen.text(), "", "what is soon done shows no bar");
        clock.advance_ns(PATIENCE_NS);
        progress.add(50);
        let half = format!("\rreading {}{}  50 %\x1b[K", "█".repeat(15), "░".repeat(15));
        assert_eq!(screen.text(), half);
        progress.add(50);
        assert_eq!(screen.text(), half, "at most once in a tenth of a second");
        clock.advance_ns(PERIOD_NS);
        // More than was expected: files grow while they are read.
        progress.add(500);
        let full = format!("\rreading {} 100 %\x1b[K", "█".repeat(30));
        assert_eq!(screen.text(), format!("{half}{full}"));
        drop(progress);
        assert_eq!(screen.text(), format!("{half}{full}\r\x1b[K"), "the line is free again");
    }

    #[test]
    fn reads_through_it_move_the_bar_and_nothing_is_drawn_where_there_is_no_terminal() {
        let simulated = SimulatedStorage::default();
        simulated.put(Path::new("/a"), &[7; 100]);
        let storage: SharedStorage = Arc::new(simulated);
        let (progress, screen, clock) = bar(100);
        clock.advance_ns(PATIENCE_NS);
        let mut buffer = [0; 30];
        let counted = progress.count(&storage);
        let read = counted.open_read(Path::new("/a")).unwrap().read_at(&mut buffer, 80).unwrap();
        assert_eq!((read, buffer[19], buffer[20]), (20, 7, 0));
        assert!(screen.text().contains(" 20 %"), "{}", screen.text());
        let nowhere = Progress::on(None, clock, "reading", 0);
        nowhere.add(1);
        assert_eq!(nowhere.done.load(Ordering::Relaxed), 1);
    }
}
