//! A database file, read again when it changes.
//!
//! In: a path. Out: the [`Database`] of now. Promises: the file is looked at every few seconds, not
//! per event; a new one takes the place of the old one only after a trial of its records; who works
//! with the old one finishes with it. On failure: at load what is wrong with the file and what to
//! do; later the old database stays, and that is counted and said once per file.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use maxminddb::{Reader, WithinOptions};

use super::record::Record;
use crate::clock::SharedClock;
use crate::metrics::{Counter, Metrics};

/// Nanoseconds between two looks at the file.
const LOOK_EVERY_NS: u64 = 3_000_000_000;
/// Networks whose records are read on trial before a database is used.
const TRIAL_NETWORKS: usize = 4096;

/// A database in memory.
#[derive(Debug)]
pub(super) struct Database {
    reader: Reader<Vec<u8>>,
}

/// Why there is no database.
#[derive(Debug)]
pub(super) struct Problem {
    /// Continues "the `GeoIP` database `…` …".
    pub(super) what: &'static str,
    pub(super) why: String,
    pub(super) hint: &'static str,
}

/// A file and the database that it held when it was last looked at.
pub(super) struct Watched {
    path: PathBuf,
    current: RwLock<Arc<Database>>,
    stamp: Mutex<Stamp>,
    next_look_ns: AtomicU64,
    failures: Counter,
}

/// Tells one state of a file from another.
type Stamp = Option<(u64, u64, u64, Option<SystemTime>)>;

impl Database {
    fn read(path: &Path) -> Result<Database, Problem> {
        let bytes = std::fs::read(path).map_err(|why| Problem {
            what: "cannot be read",
            why: why.to_string(),
            hint: if why.kind() == io::ErrorKind::NotFound {
                "put the file there: GeoLite2 databases are at https://www.maxmind.com (a free \
                 account is enough); a relative path starts from the pipeline's folder"
            } else {
                "make the file readable for the user that runs logweir"
            },
        })?;
        Database::new(bytes).map_err(|why| Problem {
            what: "is damaged or no MaxMind database",
            why,
            hint: "download it again; the file must end in .mmdb and be unpacked",
        })
    }

    /// Checks a file's bytes, records included as far as time allows.
    fn new(bytes: Vec<u8>) -> Result<Database, String> {
        let reader = Reader::from_source(bytes).map_err(|why| why.to_string())?;
        for network in reader
            .networks(WithinOptions::default())
            .map_err(|e| e.to_string())?
            .take(TRIAL_NETWORKS)
        {
            let found = network.and_then(|found| found.decode::<Record<'_>>().map(|_| ()));
            found.map_err(|why| why.to_string())?;
        }
        Ok(Database { reader })
    }

    /// The record of an address; `None` too where the database is damaged at this place.
    pub(super) fn record(&self, address: IpAddr) -> Option<Record<'_>> {
        self.reader.lookup(address).ok()?.decode().ok()?
    }
}

impl Watched {
    /// Reads a file for the first time.
    pub(super) fn open(
        path: PathBuf,
        clock: &SharedClock,
        metrics: &Metrics,
    ) -> Result<Watched, Problem> {
        let stamp = stamp(&path);
        let current = RwLock::new(Arc::new(Database::read(&path)?));
        let help = "Changed GeoIP databases that could not be used; the old one stayed.";
        Ok(Watched {
            path,
            current,
            stamp: Mutex::new(stamp),
            next_look_ns: AtomicU64::new(clock.elapsed_ns() + LOOK_EVERY_NS),
            failures: metrics.counter("logweir_geoip_reload_failures_total", help),
        })
    }

    /// The database of now.
    pub(super) fn current(&self) -> Arc<Database> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the file again if it is time to look and it has changed; one thread does it.
    pub(super) fn refresh(&self, now_ns: u64) {
        let due = self.next_look_ns.load(Ordering::Relaxed);
        let next = now_ns + LOOK_EVERY_NS;
        let claim = || {
            self.next_look_ns
                .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        };
        if now_ns < due || !claim() {
            return;
        }
        let now = stamp(&self.path);
        let mut known = self.stamp.lock().unwrap_or_else(PoisonError::into_inner);
        // A file that is gone for a moment is about to be replaced.
        if now.is_none() || *known == now {
            return;
        }
        *known = now;
        match Database::read(&self.path) {
            Ok(database) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(database);
                tracing::info!("read the changed GeoIP database `{}`", self.path.display());
            }
            Err(problem) => {
                self.failures.increment();
                let (path, what, why) = (self.path.display(), problem.what, problem.why);
                tracing::warn!(
                    "the GeoIP database `{path}` {what}: {why}; the old one stays in use"
                );
            }
        }
    }
}

fn stamp(path: &Path) -> Stamp {
    use std::os::unix::fs::MetadataExt;
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino(), found.len(), found.modified().ok()))
}
