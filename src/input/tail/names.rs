//! Which file could a rotated file's name stand for.
//!
//! In: a file's name. Out: the names it may have been copied or compressed from: `app.log.1`, `app.log-20240101`,
//! `app-20240101.log`, `app.1.log`, each also with `.gz` and the like, come from `app.log`. Promises: a name is only a
//! guess, which the content must confirm. On failure: a name that is not UTF-8 stands for nothing.

/// Endings of compressed files that can be read.
const ARCHIVES: [&str; 4] = [".gz", ".zst", ".xz", ".bz2"];
/// Endings of compressed files that cannot be read.
const UNREADABLE: [&str; 3] = [".zip", ".lz4", ".Z"];

/// The name without the ending of a compressed file that can be read; `None`: it has none.
pub fn unpacked(name: &str) -> Option<&str> {
    ARCHIVES.iter().find_map(|ending| name.strip_suffix(ending))
}

/// Whether the name says that it is compressed, in a way that can be read.
pub fn is_archive(name: &str) -> bool {
    unpacked(name).is_some()
}

/// Whether the name says that it is compressed in a way that is not supported.
pub fn is_unreadable(name: &str) -> bool {
    UNREADABLE.iter().any(|ending| name.ends_with(ending))
}

/// How a rotated file's name is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `app.log.1`, `app.log-20261122`, `app.log.old`.
    After,
    /// `app-20261122.log`, `app.1.log`: another service's log may be called so.
    Within,
}

/// The names that `name`, as a program that rotates makes it (with a number, a date, or `old`), comes from.
pub fn rotated_from(name: &str) -> Vec<(String, Style)> {
    let plain = unpacked(name).unwrap_or(name);
    let mut found = Vec::new();
    let (stem, extension) = plain.rfind('.').map_or((plain, ""), |at| plain.split_at(at));
    for (at, _) in plain.char_indices().rev().filter(|(at, c)| *at > 0 && is_joint(*c)) {
        let stamp = &plain[at + 1..];
        if is_stamp(stamp) || stamp == "old" {
            found.push((plain[..at].to_string(), Style::After));
        }
        if at < stem.len() && is_stamp(&stem[at + 1..]) {
            found.push((format!("{}{extension}", &stem[..at]), Style::Within));
        }
    }
    found
}

fn is_joint(c: char) -> bool {
    matches!(c, '.' | '-' | '_')
}

// A number or a date, with or without a time.
fn is_stamp(text: &str) -> bool {
    let part = |c: char| c.is_ascii_digit() || is_joint(c) || matches!(c, ':' | 'T' | 'Z' | '+');
    text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(part)
}

/// Whether `name` is one that is known, or may have been rotated from one. A log that was copied, or whose device has
/// another number since the last start, has its own name; that of `messages` or `syslog` comes from no other.
pub fn may_come_from(name: &str, is_known: impl Fn(&str) -> bool) -> bool {
    is_known(name) || originals(name).iter().any(|original| is_known(original))
}

/// The names that `name` may have been rotated from, the longest first.
pub fn originals(name: &str) -> Vec<String> {
    let plain = unpacked(name).unwrap_or(name);
    let extension = plain.rfind('.').filter(|at| *at > 0).map_or("", |at| &plain[at..]);
    let mut found = Vec::new();
    if plain != name {
        found.push(plain.to_string());
    }
    for (at, _) in plain.char_indices().rev().filter(|(_, c)| is_joint(*c)) {
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
