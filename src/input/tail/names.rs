//! Which file could a rotated file's name stand for.
//!
//! In: a file's name. Out: the names it may have been copied or compressed from: `app.log.1`, `app.log-20240101`,
//! `app-20240101.log`, `app.1.log`, each also with `.gz`, come from `app.log`. Promises: a name is only a guess,
//! which the content must confirm. On failure: a name that is not UTF-8 stands for nothing.

/// Endings of compressed files that cannot be read (yet).
const UNREADABLE: [&str; 6] = [".zst", ".bz2", ".xz", ".zip", ".lz4", ".Z"];

/// Whether the name says gzip.
pub fn is_gzip(name: &str) -> bool {
    name.strip_suffix(".gz").is_some()
}

/// Whether the name says that it is compressed in a way that is not supported.
pub fn is_unreadable(name: &str) -> bool {
    UNREADABLE.iter().any(|ending| name.ends_with(ending))
}

/// The names that `name` may have been rotated from, the longest first.
pub fn originals(name: &str) -> Vec<String> {
    let plain = name.strip_suffix(".gz").unwrap_or(name);
    let extension = plain.rfind('.').filter(|at| *at > 0).map_or("", |at| &plain[at..]);
    let mut found = Vec::new();
    if plain != name {
        found.push(plain.to_string());
    }
    for (at, _) in plain.char_indices().rev().filter(|(_, c)| matches!(c, '.' | '-' | '_')) {
        let stem = &plain[..at];
        if stem.is_empty() {
            continue;
        }
        let with_extension = format!("{stem}{extension}");
        if with_extension != plain {
            found.push(with_extension);
        }
        found.push(stem.to_string());
    }
    found
}
