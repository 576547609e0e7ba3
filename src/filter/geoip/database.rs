//! A database file, opened again when it changes.
//!
//! In: a path. Out: the [`Database`] of now; see [`super::super::watched`]. Promises: a new one takes the place of the
//! old one only after a trial of its records; a file that another one took the place of by renaming is read on until
//! then. The file is not held in memory, only the pages that were used last. On failure: at load what is wrong with the
//! file and what to do.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::{fmt, io};

use super::format::{Fault, Layout};
use super::pages::Pages;
use super::record::Record;
use crate::clock::SharedClock;
use crate::metrics::Metrics;
use crate::storage::{self, File};

/// Networks whose records are read on trial before a database is used.
const TRIAL_NETWORKS: usize = 4096;

/// An open database.
pub(super) struct Database {
    /// `None`: the file is not there yet, and may be missing.
    there: Option<(Box<dyn File>, Layout)>,
}

/// Why there is no database.
#[derive(Debug)]
pub(super) struct Problem {
    /// Continues "the `GeoIP` database `…` …".
    pub(super) what: &'static str,
    pub(super) why: String,
    pub(super) hint: &'static str,
    /// Nothing is wrong with the file: there is none.
    absent: bool,
}

/// The database of a file, and of the file that takes its place.
pub(super) type Watched = super::super::watched::Watched<Database>;

impl Database {
    pub(super) fn open(path: &Path) -> Result<Database, Problem> {
        let file = storage::disk().open_read(path).map_err(|why| Problem {
            what: "cannot be read",
            why: why.to_string(),
            hint: if why.kind() == io::ErrorKind::NotFound {
                "put the file there: GeoLite2 databases are at https://www.maxmind.com (a free \
                 account is enough); a relative path starts from the pipeline's folder"
            } else {
                "make the file readable for the user that runs logweir"
            },
            absent: why.kind() == io::ErrorKind::NotFound,
        })?;
        Database::new(file).map_err(|why| Problem {
            what: match why {
                Fault::Io(_) => "cannot be read",
                Fault::Format(_) => "is damaged or no MaxMind database",
            },
            why: why.to_string(),
            hint: "download it again; the file must end in .mmdb and be unpacked",
            absent: false,
        })
    }

    /// Checks a file, records included as far as time allows.
    fn new(file: Box<dyn File>) -> Result<Database, Fault> {
        let mut pages = Pages::default();
        let layout = Layout::read(&*file, &mut pages)?;
        let mut view = layout.view(&*file, &mut pages);
        for at in layout.first(&mut view, TRIAL_NETWORKS)? {
            Record::read(&mut view, at)?;
        }
        Ok(Database { there: Some((file, layout)) })
    }

    /// Whether its file was there.
    pub(super) fn is_there(&self) -> bool {
        self.there.is_some()
    }

    /// The record of an address; `pages` are those of this database and this thread.
    pub(super) fn record(
        &self,
        pages: &mut Pages,
        address: IpAddr,
    ) -> Result<Option<Record>, Fault> {
        let Some((file, layout)) = &self.there else { return Ok(None) };
        let mut view = layout.view(&**file, pages);
        let found = layout.find(&mut view, address)?;
        found.map(|at| Record::read(&mut view, at)).transpose()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it {}: {}", self.what, self.why)
    }
}

/// Opens a file for the first time; one that is `optional` may come later.
pub(super) fn open(
    path: PathBuf,
    optional: bool,
    clock: &SharedClock,
    metrics: &Metrics,
) -> Result<Watched, Problem> {
    let help = "Changed GeoIP databases that could not be used; the old one stayed.";
    let failures = metrics.counter("logweir_geoip_reload_failures_total", help);
    let read = move |path: &Path| match Database::open(path) {
        Err(problem) if optional && problem.absent => Ok(Database { there: None }),
        read => read,
    };
    Watched::open("GeoIP database", path, clock, failures, read)
}
