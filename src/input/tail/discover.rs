//! Globs over a [`Storage`]: which files are there, and which directories must be watched to see new ones.
//!
//! In: globs. Out: files, and directories with what each is needed for. Promises: only directories that a
//! component of a glob can match are listed; `**` ends in a ring of symbolic links; `*` does not match a leading dot.
//! On failure: a directory that cannot be listed is left out and named.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::io;
use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, Pattern};

use crate::storage::Storage;

const DEPTH_MAX: usize = 64;
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// A glob of absolute paths, one part for each component below its fixed folder.
#[derive(Clone, Debug)]
pub struct Glob {
    root: PathBuf,
    parts: Vec<Part>,
}

/// Something not to read.
#[derive(Clone, Debug)]
pub enum Exclude {
    /// A whole path.
    Path(Glob),
    /// A file's name, in any folder.
    Name(Pattern),
}

/// What is there now.
#[derive(Default)]
pub struct Found {
    /// Files (or whatever has a matching name), each once.
    pub files: Vec<PathBuf>,
    /// Directories to watch; true where files of a glob may be, false where only a directory may appear.
    pub directories: BTreeMap<PathBuf, bool>,
    /// Directories that could not be listed, and why.
    pub problems: Vec<(PathBuf, io::Error)>,
}

#[derive(Clone, Debug)]
enum Part {
    Literal(PathBuf),
    Pattern(Pattern),
    Any,
}

impl Part {
    fn matches(&self, name: &OsStr) -> bool {
        match self {
            Part::Literal(text) => text.as_os_str() == name,
            Part::Pattern(pattern) => pattern.matches_with(&name.to_string_lossy(), OPTIONS),
            Part::Any => !name.as_encoded_bytes().starts_with(b"."),
        }
    }
}

impl Exclude {
    /// Whether the path is excluded.
    pub fn matches(&self, path: &Path) -> bool {
        match self {
            Exclude::Path(glob) => glob.matches(path),
            Exclude::Name(pattern) => {
                path.file_name().is_some_and(|name| pattern.matches(&name.to_string_lossy()))
            }
        }
    }
}

impl Glob {
    /// Reads a glob; a path that is not absolute starts at the current directory.
    pub fn parse(path: &Path) -> Result<Glob, String> {
        let absolute = std::path::absolute(path).map_err(|e| e.to_string())?;
        let text = absolute.to_str().ok_or("it is not valid UTF-8")?;
        if text.ends_with('/') {
            return Err("it ends in `/`, so it names a folder and no file".into());
        }
        let (mut root, mut parts) = (PathBuf::from("/"), Vec::new());
        for component in absolute.components() {
            if component == Component::ParentDir {
                // By its text: `a/../b` is `b`, also where `a` is a symbolic link.
                match parts.pop() {
                    Some(Part::Any | Part::Pattern(_)) => {
                        return Err("`..` stands behind a part with wildcards".into());
                    }
                    Some(Part::Literal(_)) => {}
                    None => {
                        root.pop();
                    }
                }
            }
            let Component::Normal(name) = component else { continue };
            let name = name.to_str().unwrap_or_default();
            if name == "**" {
                parts.push(Part::Any);
            } else if name.contains(['*', '?', '[']) {
                parts.push(Part::Pattern(Pattern::new(name).map_err(|e| e.to_string())?));
            } else if parts.is_empty() {
                root.push(name);
            } else {
                parts.push(Part::Literal(name.into()));
            }
        }
        match parts.last() {
            Some(Part::Any) => parts.push(Part::Pattern(Pattern::new("*").unwrap_or_default())),
            None => {
                let name = root.file_name().ok_or("it names no file")?;
                parts.push(Part::Literal(name.into()));
                root.pop();
            }
            Some(_) => {}
        }
        Ok(Glob { root, parts })
    }

    /// Whether the glob means this path.
    pub fn matches(&self, path: &Path) -> bool {
        let Ok(rest) = path.strip_prefix(&self.root) else { return false };
        let names: Vec<&OsStr> = rest.components().map(Component::as_os_str).collect();
        matches(&self.parts, &names)
    }

    /// Whether a directory at this path could hold what the glob means.
    pub fn leads_through(&self, path: &Path) -> bool {
        if self.root.starts_with(path) {
            return true;
        }
        let Ok(rest) = path.strip_prefix(&self.root) else { return false };
        let names: Vec<&OsStr> = rest.components().map(Component::as_os_str).collect();
        leads_through(&self.parts, &names)
    }

    /// Adds what is there now.
    pub fn walk(&self, storage: &dyn Storage, found: &mut Found) {
        let mut above = self.root.as_path();
        while let Some(parent) = above.parent() {
            above = parent;
            found.directories.entry(above.to_path_buf()).or_insert(false);
            if storage.facts(above).is_ok() {
                break;
            }
        }
        let mut visited = HashSet::new();
        descend(storage, &self.root, &self.parts, 0, &mut visited, found);
    }
}

fn matches(parts: &[Part], names: &[&OsStr]) -> bool {
    match (parts.split_first(), names.split_first()) {
        (None, None) => true,
        (Some((Part::Any, rest)), None) => matches(rest, names),
        (Some((Part::Any, rest)), Some((name, after))) => {
            matches(rest, names) || (Part::Any.matches(name) && matches(parts, after))
        }
        (Some((part, rest)), Some((name, after))) => part.matches(name) && matches(rest, after),
        _ => false,
    }
}

fn leads_through(parts: &[Part], names: &[&OsStr]) -> bool {
    match (parts.split_first(), names.split_first()) {
        (Some(_), None) => true,
        (Some((Part::Any, rest)), Some((name, after))) => {
            leads_through(rest, names) || (Part::Any.matches(name) && leads_through(parts, after))
        }
        (Some((part, rest)), Some((name, after))) => {
            !rest.is_empty() && part.matches(name) && leads_through(rest, after)
        }
        (None, _) => false,
    }
}

fn descend(
    storage: &dyn Storage,
    directory: &Path,
    parts: &[Part],
    depth: usize,
    visited: &mut HashSet<(u64, u64, usize)>,
    found: &mut Found,
) {
    let Some((part, rest)) = parts.split_first() else { return };
    if depth > DEPTH_MAX {
        return;
    }
    if matches!(part, Part::Any) {
        // A ring of links comes back to a directory that was seen with the same parts still to match.
        let Ok(facts) = storage.facts(directory) else { return };
        if !visited.insert((facts.device, facts.inode, parts.len())) {
            return;
        }
        descend(storage, directory, rest, depth, visited, found);
    }
    let Some(names) = names(storage, directory, part, found) else { return };
    let holds_files = rest.is_empty();
    *found.directories.entry(directory.to_path_buf()).or_insert(false) |= holds_files;
    for path in names {
        let name = path.file_name().unwrap_or_default();
        if !part.matches(name) {
            continue;
        }
        if matches!(part, Part::Any) {
            if storage.facts(&path).is_ok_and(|facts| !facts.regular) {
                descend(storage, &path, parts, depth + 1, visited, found);
            }
        } else if holds_files {
            if !matches!(part, Part::Literal(_)) || storage.facts(&path).is_ok() {
                found.files.push(path);
            }
        } else {
            descend(storage, &path, rest, depth + 1, visited, found);
        }
    }
}

// What may match in a directory; `None` where there is no such directory.
fn names(
    storage: &dyn Storage,
    directory: &Path,
    part: &Part,
    found: &mut Found,
) -> Option<Vec<PathBuf>> {
    if let Part::Literal(name) = part {
        return storage.facts(directory).is_ok().then(|| vec![directory.join(name)]);
    }
    match storage.list(directory) {
        Ok(names) => Some(names),
        Err(why) => {
            let expected = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory];
            if !expected.contains(&why.kind()) {
                found.problems.push((directory.to_path_buf(), why));
            }
            None
        }
    }
}
