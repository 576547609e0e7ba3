//! How far the old agent had read.
//!
//! In: its own records: Logstash's sincedb, Fluentd's pos_file, Fluent Bit's database (SQLite). Out: files with the
//! byte up to which they were read. Promises: a file is never taken to be read further than the record says; of several
//! lines about one file the last counts. On failure: a line that is no record is counted; a database that cannot be
//! read says why.

use std::path::{Path, PathBuf};

use md5::{Digest as _, Md5};

use super::Language;
use super::source::Files;

mod sqlite;

#[cfg(test)]
mod tests;

/// The record of one input of the new pipelines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The input that goes on.
    pub input: String,
    /// The record's file.
    pub path: PathBuf,
}

/// A file that the old agent was reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// Its path, where the record has one.
    pub path: Option<PathBuf>,
    /// Its inode.
    pub inode: u64,
    /// Bytes that were read.
    pub offset: u64,
}

/// What stands in a record; the number of lines that are none.
///
/// # Errors
/// Why the record cannot be read.
pub fn read(
    language: Language,
    path: &Path,
    around: &dyn Files,
) -> Result<(Vec<Adopted>, usize), String> {
    let read = |path: &Path| around.read_bytes(path).map_err(|why| why.to_string());
    let bytes = read(path)?;
    let lines: Vec<Option<Adopted>> = match language {
        Language::FluentBit => {
            let wal = read(&beside(path, "-wal")).unwrap_or_default();
            sqlite::files(&bytes, &wal)?.into_iter().map(Some).collect()
        }
        Language::Fluentd => String::from_utf8_lossy(&bytes).lines().map(of_fluentd).collect(),
        Language::Logstash => String::from_utf8_lossy(&bytes).lines().map(of_logstash).collect(),
    };
    let wrong = lines.iter().filter(|line| line.is_none()).count();
    let mut known: Vec<Adopted> = Vec::new();
    for adopted in lines.into_iter().flatten() {
        known.retain(|old| old.inode != adopted.inode);
        known.push(adopted);
    }
    // Fluentd's mark of a file that it reads no more.
    known.retain(|adopted| adopted.offset != u64::MAX);
    Ok((known, wrong))
}

/// Where Logstash keeps the record of these paths, unless it is told otherwise.
pub fn sincedb_of(paths: &[String]) -> PathBuf {
    let digest = Md5::digest(paths.join(",").as_bytes());
    let name: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    PathBuf::from(format!("/var/lib/logstash/plugins/inputs/file/.sincedb_{name}"))
}

/// `path TAB offset TAB inode`, both in hexadecimal digits.
fn of_fluentd(line: &str) -> Option<Adopted> {
    let mut parts = line.rsplitn(3, '\t');
    let inode = u64::from_str_radix(parts.next()?.trim(), 16).ok()?;
    let offset = u64::from_str_radix(parts.next()?.trim(), 16).ok()?;
    let path = Some(PathBuf::from(parts.next()?)).filter(|path| !path.as_os_str().is_empty())?;
    Some(Adopted { path: Some(path), inode, offset })
}

/// `inode major minor offset`, and in newer versions a time and the path.
fn of_logstash(line: &str) -> Option<Adopted> {
    let mut parts = line.trim().splitn(6, ' ');
    let inode = parts.next()?.parse().ok()?;
    let (_major, _minor) = (parts.next()?, parts.next()?);
    let offset = parts.next()?.parse().ok()?;
    let path = parts.nth(1).map(PathBuf::from);
    Some(Adopted { path, inode, offset })
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(ending);
    PathBuf::from(name)
}
